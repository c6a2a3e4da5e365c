"""Batches of training and test examples: tuples that end with the labels, or the dicts that HF collators make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.data import DataLoader, RandomSampler

from xai_nlp.core.captum_types import CaptumAssertion

LABELS = ("labels", "label", "label_ids", "start_positions", "end_positions")  # keys of a dict that hold labels
LossFunction = Callable[..., Any]


@dataclass(frozen=True)
class Batch:
    """The arguments of a model, and the labels of its examples.

    own_loss: does the model compute the loss from the labels among its keyword arguments?
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    labels: Any

    @staticmethod
    def of(data: Any, device: torch.device, *, own_loss: bool = False) -> Batch:
        """A batch as a loader gives it. Raises CaptumAssertion for anything but a tuple, a list or a mapping."""
        data = tree_map(lambda t: t.to(device) if isinstance(t, Tensor) else t, data)
        if isinstance(data, Mapping):
            found = {key: data[key] for key in LABELS if key in data}
            kwargs = dict(data) if own_loss else {key: value for key, value in data.items() if key not in found}
            labels = found if len(found) > 1 else next(iter(found.values()), None)
            return Batch((), kwargs, labels)
        if not isinstance(data, (tuple, list)) or not data:
            raise CaptumAssertion(
                f"a batch must be a tuple that ends with the labels, or a dict; got {type(data).__name__}."
            )
        return Batch(tuple(data[:-1]), {}, data[-1])

    @property
    def tensors(self) -> list[Tensor]:
        """All its tensors."""
        leaves, _ = tree_flatten((self.args, dict(self.kwargs), self.labels))
        return [leaf for leaf in leaves if isinstance(leaf, Tensor)]

    def rows(self, size: int) -> Iterator[Batch]:
        """Each of its `size` examples, as a batch of one."""
        for i in range(size):
            yield Batch(*one_row((self.args, dict(self.kwargs), self.labels), i, size))


def one_row(value: Any, i: int, size: int) -> Any:
    """A nest of tensors in which those of `size` rows have row `i` alone."""
    return tree_map(lambda t: t[i : i + 1] if isinstance(t, Tensor) and t.ndim and len(t) == size else t, value)


def device_of(model: nn.Module) -> torch.device:
    """The device of a model's first parameter."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


class SingleBatch(list[Any]):
    """One batch, where a loader is read."""


def loader_of(inputs: Any) -> Any:
    """Something that yields batches, each time it is iterated: the loader itself, or one batch.

    A loader that shuffles is read in the order of its data set, so that positions are indices of the data set.
    """
    if isinstance(inputs, SingleBatch):
        return inputs
    if not isinstance(inputs, DataLoader):
        return SingleBatch([inputs])
    if not isinstance(inputs.sampler, RandomSampler) or inputs.batch_size is None:
        return inputs
    return DataLoader(
        inputs.dataset, inputs.batch_size, shuffle=False, num_workers=inputs.num_workers, collate_fn=inputs.collate_fn
    )


def training_loader(dataset: Any, batch_size: int | None, name: str = "train_dataset") -> DataLoader[Any]:
    """A loader of a data set; a loader is taken as it is. Raises CaptumAssertion without a batch size."""
    if isinstance(dataset, DataLoader):
        return dataset
    if not isinstance(batch_size, int):
        raise CaptumAssertion(f"{name} is a data set, so batch_size must be an int; got {batch_size!r}.")
    return DataLoader(dataset, batch_size, shuffle=False)


@dataclass(frozen=True)
class Loss:
    """A loss function, and whether it returns one number for each example ("none") or for the batch ("sum", "mean")."""

    function: LossFunction | None
    reduction: str

    @staticmethod
    def checked(function: LossFunction | None, name: str, *, reduced: bool) -> Loss:
        """reduced: must it give one number for the batch? Raises CaptumAssertion if it says that it does not."""
        if function is None:
            return Loss(None, "sum")
        if not callable(function):
            raise CaptumAssertion(f"{name} must be callable; got {type(function).__name__}.")
        reduction = getattr(function, "reduction", "sum" if reduced else "none")
        allowed = ("sum", "mean") if reduced else ("none",)
        if reduction not in allowed:
            raise CaptumAssertion(
                f"{name} must have reduction {' or '.join(map(repr, allowed))} where sample_wise_grads_per_batch is "
                f"{reduced}; got {reduction!r}."
            )
        return Loss(function, reduction)

    def is_models_own(self, data: Any) -> bool:
        """Does the model compute the loss? It does for a dict with labels where no function is given."""
        return self.function is None and isinstance(data, Mapping) and any(key in data for key in LABELS)

    def of_examples(self, output: Any, labels: Any) -> Tensor:
        """The loss of each example: (B,). The loss of a token is added to that of its example.

        A loss that is one number for a batch is called with one example at a time.
        Raises CaptumAssertion for an output or a loss without one entry for each example.
        """
        if self.function is None:
            output = logits_of(output)
            _check_rows(output, output)
            return output.flatten(1).sum(1) if output.ndim > 1 else output
        if isinstance(labels, Tensor) or labels is None:
            output = logits_of(output)
        size = rows_of(output)
        if self.reduction == "none":
            losses = self.function(output, labels)
            _check_rows(losses, output)
            return losses.reshape(size, -1).sum(1)
        parts = [self.function(*one_row((output, labels), i, size)) for i in range(size)]
        if any(part.numel() != 1 for part in parts):
            raise CaptumAssertion("the loss function must give one number for a batch, its sum or its mean.")
        return torch.stack([part.reshape(()) for part in parts])


def logits_of(output: Any) -> Any:
    """The tensor that a loss function reads: the output, or its logits."""
    if isinstance(output, Tensor):
        return output
    return getattr(output, "logits", output)


def rows_of(output: Any) -> int:
    """The number of examples of an output. Raises CaptumAssertion for an output without dimensions."""
    leaves, _ = tree_flatten(dict(output) if isinstance(output, Mapping) else output)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not tensors or not tensors[0].ndim:
        raise CaptumAssertion("the model's output must be a tensor with one row for each example.")
    return len(tensors[0])


def _check_rows(losses: Any, output: Any) -> None:
    """One loss for each example, or for each of its tokens, also in one row: (B, …) or (B · T,)."""
    size = rows_of(output)
    per_token = not isinstance(output, Tensor) or output.ndim > 2
    shape = tuple(getattr(losses, "shape", ()))
    if not shape or (shape[0] != size and not (per_token and len(shape) == 1 and shape[0] % size == 0)):
        raise CaptumAssertion(
            "the loss function must give one loss for each example (reduction='none'): "
            f"{size} examples, and losses of shape {shape}."
        )
