"""The smallest value of an attack's argument at which a model goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import count, takewhile
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import check_count
from xai_nlp.core.captum_types import CaptumAssertion, TargetType, UnknownChoice
from xai_nlp.core.forward import as_tuple, output_tensor
from xai_nlp.robust.trials import Trial, TrialModel

Number = int | float


def default_correct_fn(model_out: Any, target: TargetType) -> bool:
    """True if the largest output of every example is at its target.

    model_out: (B, C), or a ModelOutput with such logits.
    Raises CaptumAssertion for an output of another shape.
    """
    output = output_tensor(model_out)
    if output.ndim != 2:
        raise CaptumAssertion(
            f"the default correct_fn needs an output (examples, classes); got {tuple(output.shape)}. Give a correct_fn."
        )
    labels = target if isinstance(target, Tensor) else torch.tensor(target)
    return bool((output.argmax(1) == labels.to(output.device)).all())


class MinParamPerturbation:
    """A search for the smallest value of an attack's argument that makes the model's answer wrong.

    forward_func: the model, or any function of the (preprocessed) inputs.
    attack: a function or `Perturbation` of the inputs and of the argument. One with a `layer` changes the tensors
        there; the model gets the inputs as they are.
    arg_name: the argument that is varied. arg_min, arg_max, arg_step: its values arg_min + i · arg_step below arg_max.
    mode: linear tries the values one after the other; binary halves the range, which is faster and right if a larger
        value never makes a wrong answer right again.
    num_attempts: attacks for each value, for those that are random.
    preproc_fn: makes inputs of the model from inputs of any type.
    apply_before_preproc: attack the inputs before preprocessing.
    correct_fn: says of the model's output (and of `target`, if one is given) whether it is right. By default the
        largest output of every example is at its target.
    Raises CaptumAssertion for a range without two values, UnknownChoice for another mode.

    >>> attack = lambda inputs, shift: inputs - shift
    >>> search = MinParamPerturbation(lambda x: x, attack, "shift", 0, 10, 1)
    >>> search.evaluate(torch.tensor([[3.0, 1.0]]), target=0)
    (None, None)
    >>> attack = lambda inputs, shift: inputs - shift * torch.tensor([[1.0, 0.0]])
    >>> MinParamPerturbation(lambda x: x, attack, "shift", 0, 10, 1).evaluate(torch.tensor([[3.0, 1.0]]), target=0)
    (tensor([[0., 1.]]), 3)
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        attack: Callable[..., Any],
        arg_name: str,
        arg_min: Number,
        arg_max: Number,
        arg_step: Number,
        mode: str = "linear",
        num_attempts: int = 1,
        preproc_fn: Callable[..., Any] | None = None,
        apply_before_preproc: bool = False,
        correct_fn: Callable[..., Any] | None = None,
    ) -> None:
        if not arg_step > 0 or not arg_max > arg_min + arg_step:
            raise CaptumAssertion(
                f"arg_max must be above arg_min + arg_step, and arg_step above 0; got {arg_min} to {arg_max} in steps "
                f"of {arg_step}."
            )
        check_count("num_attempts", num_attempts)
        searches = {"linear": self._linear_search, "binary": self._binary_search}
        if mode.lower() not in searches:
            raise UnknownChoice("mode", mode, searches)
        self.forward_func = forward_func
        self.attack = attack
        self.arg_name = arg_name
        self.arg_min = arg_min
        self.arg_max = arg_max
        self.arg_step = arg_step
        self.mode = mode.lower()
        self.num_attempts = num_attempts
        self.preproc_fn = preproc_fn
        self.apply_before_preproc = apply_before_preproc
        self.correct_fn: Callable[..., Any] = correct_fn or default_correct_fn

    def evaluate(
        self,
        inputs: Any,
        additional_forward_args: object | None = None,
        target: TargetType = None,
        perturbations_per_eval: int = 1,
        attack_kwargs: dict[str, Any] | None = None,
        correct_fn_kwargs: dict[str, Any] | None = None,
    ) -> tuple[Any, Number | None]:
        """What the attack returned at the smallest value with a wrong answer, and that value; or (None, None).

        inputs: an example of any type, a batch (B, …), or a tuple of batches. A batch is one thing: it is wrong as soon
            as `correct_fn` says so, by default as soon as one of its examples is.
        additional_forward_args: further arguments of the forward function, a tuple if there are several.
        target: the right label, or one for each example; handed to `correct_fn`, if it is not None.
        perturbations_per_eval: attacked copies in each forward pass.
        attack_kwargs, correct_fn_kwargs: further arguments of the attack and of `correct_fn`.
        """
        check_count("perturbations_per_eval", perturbations_per_eval)
        extra = () if additional_forward_args is None else as_tuple(additional_forward_args)
        model = TrialModel(self.forward_func, self.preproc_fn, extra)
        preprocessed = model.preprocessed(inputs)
        known = {} if target is None else {"target": target}
        known |= correct_fn_kwargs or {}

        def trials(values: Iterable[Number]) -> Iterator[Trial]:
            for value in values:
                for _ in range(self.num_attempts):
                    options = {**(attack_kwargs or {}), self.arg_name: value}
                    yield model.trial(value, self.attack, self.apply_before_preproc, inputs, preprocessed, **options)

        def first_wrong(values: Iterable[Number]) -> Trial | None:
            outputs = model.outputs(trials(values), perturbations_per_eval)
            return next((trial for trial, output in outputs if not self.correct_fn(output, **known)), None)

        wrong = self._linear_search(first_wrong) if self.mode == "linear" else self._binary_search(first_wrong)
        return (None, None) if wrong is None else (wrong.attacked, wrong.label)

    def _linear_search(self, first_wrong: Callable[[Iterable[Number]], Trial | None]) -> Trial | None:
        values = (self.arg_min + i * self.arg_step for i in count())
        return first_wrong(takewhile(lambda value: value < self.arg_max, values))

    def _binary_search(self, first_wrong: Callable[[Iterable[Number]], Trial | None]) -> Trial | None:
        low, high, smallest = self.arg_min, self.arg_max, None
        while high > low:
            steps = (high - low) // self.arg_step // 2
            if steps == 0 and low + self.arg_step < high:
                steps = 1
            middle = low + steps * self.arg_step
            wrong = first_wrong([middle])
            if wrong is not None:
                smallest, high = wrong, middle
            if math.isclose(low, middle):
                break
            if wrong is None:
                low = middle
        return smallest
