"""Captum's name for scores of a whole data set: what a metric over all of it loses when a feature goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from xai_nlp.attr.base import Attribution
from xai_nlp.attr.perturbation import FeatureAblation
from xai_nlp.core.batching import Batching, progress_bar
from xai_nlp.core.features import FeatureMask
from xai_nlp.core.forward import Baselines, CaptumAssertion, TensorOrTuple, as_tuple
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.methods.perturbation import OcclusionMethod as Leave

SCORED, GIVEN, KEPT = 0, 1, 2  # roles: explained; given to the function and not explained; not given to the function


class DataLoaderAttribution(Attribution):
    """Feature ablation of a metric over a data set: `methods.perturbation.Occlusion` of which features there are.

    The data set is gone through once, and again for every `perturbations_per_pass` features.
    """

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
        first = next(iter(dataloader))
        roles = input_roles or (SCORED,) * len(_items(first))
        if len(roles) != len(_items(first)) or SCORED not in roles:
            raise CaptumAssertion(
                f"each of the {len(_items(first))} things that the data loader gives has a role, and at least one is "
                f"explained ({SCORED}); got {roles}."
            )
        scored = tuple(item for item, role in zip(_items(first), roles, strict=True) if role == SCORED)
        starts = _one_row(scored, (0,) * len(scored) if baselines is None else as_tuple(baselines), "baseline")
        masks = _one_row(
            scored, FeatureMask.entries(scored).ids if feature_mask is None else as_tuple(feature_mask), "mask"
        )
        count = 1 + max(int(mask.max()) for mask in masks)

        def metric(present: Tensor) -> Tensor:
            """Of the data with the features that are present (M,): (T,)."""
            state: Any = None
            for batch in dataloader:
                ablated = tuple(_ablated(_items(batch), roles, starts, masks, present > 0))
                taken = (item for item, role in zip(ablated, roles, strict=True) if role != KEPT)
                state = (reduce or _concatenated)(state, self.forward_func(*taken), ablated)
            found = to_metric(state) if to_metric else state
            if not isinstance(found, Tensor):
                raise CaptumAssertion(f"what is explained of a data set is a tensor; got {type(found).__name__}.")
            return found.flatten() if found.is_floating_point() else found.flatten().float()

        everything = torch.ones(1, count, device=scored[0].device)
        with progress_bar(self.get_name()) if show_progress else nullcontext() as progress:
            problem = Problem(
                value=lambda z, owner: torch.stack([metric(present) for present in z[0]]),
                x=(everything,),
                baseline=(torch.zeros_like(everything),),
                rows=Batching(limit=perturbations_per_pass, progress=progress),
            )
            (scores,) = Leave().scores(problem).tensors[0]  # (T, M)
        if not return_input_shape:
            return scores
        shaped = tuple(scores[:, mask.expand(1, *x.shape[1:])[0].long()] for mask, x in zip(masks, scored, strict=True))
        return shaped if isinstance(first, (tuple, list)) else shaped[0]


def _items(batch: Any) -> tuple[Any, ...]:
    return tuple(batch) if isinstance(batch, (tuple, list)) else (batch,)


def _concatenated(state: Tensor | None, output: Tensor, inputs: tuple[Any, ...]) -> Tensor:
    return output if state is None else torch.cat([state, output])


def _one_row(scored: Tensors, given: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    """One for each tensor that is explained, good for any batch. Raises CaptumAssertion."""
    if len(given) != len(scored):
        raise CaptumAssertion(f"{len(scored)} inputs to explain need as many of {what}; got {len(given)}.")
    if any(isinstance(item, Tensor) and len(item) != 1 for item in given):
        raise CaptumAssertion(f"a {what} serves every batch of the data set, so its first dimension is 1.")
    return given


def _ablated(
    items: tuple[Any, ...], roles: tuple[int, ...], starts: tuple[Any, ...], masks: Tensors, present: Tensor
) -> Iterator[Any]:
    """A batch, its inputs at the baseline where a feature (M,) is absent."""
    left = iter(zip(starts, masks, strict=True))
    for item, role in zip(items, roles, strict=True):
        if role != SCORED:
            yield item
            continue
        start, mask = next(left)
        kept = present[mask.to(present.device)].to(item.device)
        yield torch.where(kept, item, torch.as_tensor(start, dtype=item.dtype, device=item.device))
