"""Captum's name for scores of a whole data set: how much a metric over it falls when a feature is ablated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from xai_nlp.attr.ablation import feature_masks, largest
from xai_nlp.attr.base import Attribution, check_count
from xai_nlp.attr.perturbation import FeatureAblation
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TensorOrTuple
from xai_nlp.core.forward import baseline_tensors

EXPLAINED, FORWARDED, WITHHELD = 0, 1, 2  # roles: ablated; given to the function as it is; not given to the function


class DataLoaderAttribution(Attribution):
    """Feature ablation of a metric over a data set."""

    def __init__(self, attr_method: Attribution) -> None:
        if type(attr_method) is not FeatureAblation:
            raise CaptumAssertion(f"a data set is explained by FeatureAblation; got {type(attr_method).__name__}.")
        super().__init__(attr_method.forward_func)
        self.attr_method = attr_method

    def attribute(
        self,
        dataloader: DataLoader[Any],
        input_roles: tuple[int, ...] | None = None,
        baselines: Baselines = None,
        feature_mask: TensorOrTuple | None = None,
        reduce: Callable[..., Any] | None = None,
        to_metric: Callable[[Any], Tensor] | None = None,
        perturbations_per_pass: int = 1,
        show_progress: bool = False,
        return_input_shape: bool = True,
    ) -> Any:
        """The metric less the metric without the entry's feature: (T, …) for each explained input, T numbers a metric.

        dataloader: gives batches, a tensor or a tuple each. It is read ⌈M / perturbations_per_pass⌉ + 2 times for M
            features: for the shapes of the first batch, for the metric, and for each block of features.
        input_roles: for each tensor of a batch 0 (explained), 1 (given to the function, not explained) or 2 (not given
            to the function); None explains all.
        baselines: for each explained input a number, 0 by default, or a tensor of one row.
        feature_mask: for each explained input the number of each entry's feature, (1, …); None makes each entry one.
        reduce: makes a state from the previous state (None at first), a batch's output and the batch; None
            concatenates the outputs.
        to_metric: makes the metric, a tensor of T numbers, from the last state; None takes the state itself.
        perturbations_per_pass: features that are ablated in one pass through the data.
        return_input_shape: False returns a score for each feature, (T, M), instead of one for each entry.

        Raises CaptumAssertion for roles, baselines or masks that do not fit the first batch, or another metric.
        """
        first = next(iter(dataloader))
        roles = input_roles or (EXPLAINED,) * len(_items(first))
        if len(roles) != len(_items(first)) or EXPLAINED not in roles:
            raise CaptumAssertion(
                f"each of the {len(_items(first))} tensors that the data loader gives has a role, and at least one is "
                f"explained ({EXPLAINED}); got {roles}."
            )
        places = [i for i, role in enumerate(roles) if role == EXPLAINED]
        explained = tuple(_items(first)[i] for i in places)
        row = tuple(x[:1] for x in explained)  # a baseline and a mask serve every batch of the data set
        starts, masks = baseline_tensors(row, baselines), feature_masks(row, feature_mask)

        def ablated(batch: Any, removed: Tensor) -> tuple[Any, ...]:
            """A batch with the features that are removed (M,) bool at the baseline."""
            items = list(_items(batch))
            for i, start, mask in zip(places, starts, masks, strict=True):
                items[i] = torch.where(removed[mask].to(items[i].device), start.to(items[i].device), items[i])
            return tuple(items)

        @torch.no_grad()
        def metrics(removed: Tensor) -> Tensor:
            """The metric over the data without each of the sets of features (R, M) bool, in one pass: (R, T)."""
            states: list[Any] = [None] * len(removed)
            for batch in dataloader:
                for r, features in enumerate(removed):
                    items = ablated(batch, features)
                    arguments = (item for item, role in zip(items, roles, strict=True) if role != WITHHELD)
                    states[r] = (reduce or _concatenated)(states[r], self.forward_func(*arguments), items)
            return torch.stack([_metric(to_metric(state) if to_metric else state) for state in states])

        each = torch.eye(1 + largest(masks), dtype=torch.bool, device=masks[0].device)
        blocks = each.split(check_count("perturbations_per_pass", perturbations_per_pass))
        with self._progress(show_progress) as progress:
            parts = [metrics(torch.zeros_like(each[:1]))]
            for block in blocks:
                parts.append(metrics(block))
                if progress:
                    progress(len(parts) - 1, len(blocks))
        whole, without = parts[0], torch.cat(parts[1:])
        scores = (whole - without).T  # (T, M)
        if not return_input_shape:
            return scores
        shaped = tuple(scores[:, mask.expand(x.shape)[0]] for mask, x in zip(masks, row, strict=True))
        return shaped if isinstance(first, (tuple, list)) else shaped[0]


def _metric(result: Any) -> Tensor:
    """The numbers of a metric: (T,)."""
    if not isinstance(result, Tensor):
        raise CaptumAssertion(f"the metric of a data set must be a tensor; got {type(result).__name__}.")
    return result.flatten() if result.is_floating_point() else result.flatten().float()


def _items(batch: Any) -> tuple[Any, ...]:
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _concatenated(state: Tensor | None, output: Tensor, inputs: tuple[Any, ...]) -> Tensor:
    return output if state is None else torch.cat([state, output])
