"""Trials: attacked inputs that go through a model, several in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.problems import Layer, layer_points
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.core.forward import Forward, as_tuple
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.hooks.scope import replaced


@dataclass(frozen=True)
class Trial:
    """What an attack returned, and what the model is given to see its effect.

    label: whose trial it is, or at which value.
    at_layer: the tensors at `layer` in the pass; () if only the inputs are changed.
    """

    label: Any
    attacked: Any
    model_input: Any
    layer: Layer | None = None
    at_layer: tuple[Tensor, ...] = ()

    @property
    def rows(self) -> int:
        """The number of examples in it."""
        return len(as_tuple(self.model_input)[0])

    def joins(self, other: Trial) -> bool:
        """Can both go through the model together? Texts of different length cannot."""

        def shapes(trial: Trial) -> list[Any]:
            return [t.shape[1:] if isinstance(t, Tensor) else None for t in as_tuple(trial.model_input)]

        return self.layer is other.layer and shapes(self) == shapes(other)


@dataclass(frozen=True)
class TrialModel:
    """A model with its preprocessing, which attacks are tried on.

    forward_func: the function of preprocessed inputs and of `extra`, a tuple.
    """

    forward_func: Callable[..., Any]
    preproc_fn: Callable[[Any], Any] | None
    extra: tuple[Any, ...]

    def preprocessed(self, inputs: Any) -> Any:
        """The inputs as the forward function takes them."""
        return inputs if self.preproc_fn is None else self.preproc_fn(inputs)

    def trial(
        self, label: Any, attack: Callable[..., Any], before: bool, inputs: Any, preprocessed: Any, **kwargs: Any
    ) -> Trial:
        """An attack on the inputs, if it comes before preprocessing, or on the preprocessed ones.

        Raises CaptumAssertion for an attack at a layer that comes before preprocessing.
        """
        layer = getattr(attack, "layer", None)
        if layer is not None and before and self.preproc_fn is not None:
            raise CaptumAssertion("an attack at a layer comes after preprocessing: give apply_before_preproc=False.")
        attacked = attack(inputs if before else preprocessed, **kwargs)
        if layer is not None:
            return Trial(label, attacked, preprocessed, layer, as_tuple(attacked))
        return Trial(label, attacked, self.preprocessed(attacked) if before else attacked)

    def outputs(self, trials: Iterable[Trial], at_once: int) -> Iterator[tuple[Trial, Any]]:
        """Each trial with the model's output, up to `at_once` neighbours in one pass; trials are made as needed."""
        waiting: list[Trial] = []
        for trial in trials:
            if waiting and not trial.joins(waiting[0]):
                yield from self._pass(waiting)
                waiting = []
            waiting.append(trial)
            if len(waiting) == at_once:
                yield from self._pass(waiting)
                waiting = []
        if waiting:
            yield from self._pass(waiting)

    def _pass(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Any]]:
        first, extra = trials[0], self.extra
        model_input = first.model_input
        at_layer = first.at_layer
        if len(trials) > 1:
            model_input = joined([trial.model_input for trial in trials])
            at_layer = joined([trial.at_layer for trial in trials])
            extra = tuple(repeated(argument, first.rows, len(trials)) for argument in extra)
        hooks = replaced([(layer_points(first.layer)[0], at_layer)]) if first.layer is not None else nullcontext()
        with torch.no_grad(), Forward(self.forward_func, (), (), None).frozen(), onednn_products(), hooks:
            output = self.forward_func(model_input, *extra)
        if len(trials) == 1:
            yield first, output
            return
        start = 0
        for trial in trials:
            yield trial, rows_of(output, slice(start, start + trial.rows))
            start += trial.rows


def joined(values: Sequence[Any]) -> Any:
    """The rows of several tensors, or of several tuples of tensors, one after the other.

    Raises CaptumAssertion for anything else.
    """
    if all(isinstance(value, Tensor) for value in values):
        return torch.cat([value.to(values[0].device) for value in values])
    if all(isinstance(value, tuple) for value in values):
        return tuple(map(joined, zip(*values, strict=True)))
    raise CaptumAssertion(
        f"tensors and tuples of tensors go through the model together; got {type(values[0]).__name__}. "
        "Give perturbations_per_eval=1."
    )


def repeated(argument: Any, rows: int, count: int) -> Any:
    """A tensor with a row for each example, `count` times; any other argument as it is."""
    is_by_row = isinstance(argument, Tensor) and argument.ndim and len(argument) == rows
    return torch.cat([argument] * count) if is_by_row else argument


def rows_of(output: Any, rows: slice) -> Any:
    """Rows of a tensor, or of each tensor in a tuple or a ModelOutput."""
    if isinstance(output, Tensor):
        return output[rows]
    if isinstance(output, dict):
        return type(output)(**{name: rows_of(value, rows) for name, value in output.items()})
    if isinstance(output, (tuple, list)):
        parts = [rows_of(value, rows) for value in output]
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)
    return output
