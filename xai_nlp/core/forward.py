"""A forward function in Captum's sense: any callable, bound to the arguments of one call, and the target it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import (
    Baselines,
    CaptumAssertion,
    NotRowwise,
    TargetOutOfRange,
    TargetType,
    TensorOrTuple,
)
from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.interrupts import interrupts_held_back
from xai_nlp.hooks.model_state import as_written, frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.onednn import onednn_products_of


def as_tuple(value: Any) -> tuple[Any, ...]:
    """The value itself if it is a tuple, else a tuple of it alone."""
    return value if isinstance(value, tuple) else (value,)


def output_tensor(output: Any) -> Tensor:
    """The tensor in a forward function's output: itself, the logits of a ModelOutput, or the first of a tuple.

    Python's numbers become tensors of their precision, float64 or int64.
    Raises CaptumAssertion if there is none.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, float):
        return torch.tensor(output, dtype=torch.float64)
    if isinstance(output, int):
        return torch.tensor(output)
    if isinstance(output, dict) and output:
        return output["logits"] if "logits" in output else next(v for v in output.values() if isinstance(v, Tensor))
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        return output[0]
    raise CaptumAssertion(
        f"the forward function must return a tensor, a number or a ModelOutput; got {type(output).__name__}."
    )


def select(output: Tensor, target: TargetType, owner: Tensor) -> Tensor:
    """The target's entries of each row: (R, …) -> (R, T).

    target: one index for all rows, or a list or tensor with one for each example. owner: the example of each row (R,).
    Raises NotRowwise if the output does not have R rows, TargetOutOfRange or CaptumAssertion for a target it lacks.
    """
    rows = len(owner)
    if output.ndim == 0 or len(output) != rows:
        raise NotRowwise(
            f"{rows} rows went in and an output of shape {tuple(output.shape)} came out; expected {rows} rows."
        )
    if isinstance(target, Tensor) and target.numel() == 1:
        target = int(target)
    if isinstance(target, list) and target and isinstance(target[0], int):
        target = torch.tensor(target)
    try:
        if target is None:
            return output.reshape(rows, -1)
        if isinstance(target, (int, tuple)):
            return output[(slice(None), *as_tuple(target))].reshape(rows, -1)
        if isinstance(target, Tensor) and target.ndim == 1 and output.ndim == 2:
            return output.gather(1, target.to(owner.device)[owner][:, None].to(output.device))
        if isinstance(target, list) and all(isinstance(t, tuple) for t in target):
            return torch.stack([output[(r, *target[e])] for r, e in enumerate(owner.tolist())]).reshape(rows, -1)
    except (IndexError, RuntimeError) as error:
        raise TargetOutOfRange(
            f"target {target!r} is not in an output of shape {tuple(output.shape)}: {error}."
        ) from None
    raise CaptumAssertion(
        f"target {target!r} does not fit an output of shape {tuple(output.shape)}: give an int, a tuple of ints, "
        "or a list or tensor with one of them for each example."
    )


def baseline_tensors(inputs: Tensors, baselines: Baselines) -> Tensors:
    """Baselines in the shapes of the inputs: numbers are filled in, a single row is repeated.

    A float stays a float where the input has whole numbers.
    Raises CaptumAssertion for another number of baselines, another shape or another type.
    """
    values = (0,) * len(inputs) if baselines is None else as_tuple(baselines)
    if len(values) != len(inputs):
        raise CaptumAssertion(f"{len(inputs)} inputs need as many baselines; got {len(values)}.")
    tensors = []
    for x, baseline in zip(inputs, values, strict=True):
        if isinstance(baseline, (int, float)):
            fits = x.is_floating_point() or not isinstance(baseline, float)
            baseline = torch.full_like(x, baseline, dtype=x.dtype if fits else torch.get_default_dtype())
        if not isinstance(baseline, Tensor):
            raise CaptumAssertion(f"a baseline is a number or a tensor; got {type(baseline).__name__}.")
        if baseline.shape[1:] != x.shape[1:] or len(baseline) not in (1, len(x)):
            raise CaptumAssertion(
                f"a baseline is a number, or a tensor of its input's shape {tuple(x.shape)} or of one row of it; "
                f"got {tuple(baseline.shape)}."
            )
        tensors.append((baseline.to(x.dtype) if x.is_floating_point() else baseline).expand_as(x))
    return tuple(tensors)


def baseline_distribution(inputs: Any, baselines: Any) -> tuple[Any, ...]:
    """The tensors that baselines are drawn from: (N, …) each. A function is called, with the inputs if it takes any."""
    if callable(baselines):
        baselines = baselines(inputs) if signature(baselines).parameters else baselines()
    return as_tuple(baselines)


class SingleDevice(nn.Module):
    """A `DataParallel` model on its first device alone: hooks and gradient rules work in the thread that opens them."""

    def __init__(self, parallel: nn.DataParallel) -> None:
        super().__init__()
        self.module = parallel.module

    def forward(self, *args: Any) -> Any:
        device = device_of(self.module)
        return self.module(*(arg.to(device) if isinstance(arg, Tensor) else arg for arg in args))


@dataclass(frozen=True)
class Forward:
    """A forward function, bound to the inputs, the extra arguments and the target of one call."""

    func: Callable[..., Any]
    inputs: Tensors  # (B, …) each
    extra: tuple[Any, ...]
    target: TargetType
    tuple_in: bool = True  # results are a tuple if the inputs were one
    several: bool = False  # the target may be several numbers a row
    rowwise: bool = False  # is it known that the output has a row for each row of the inputs?

    @classmethod
    def bind(
        cls,
        func: Callable[..., Any],
        inputs: Any,
        extra: Any = None,
        target: TargetType = None,
        *,
        batch_output: bool = False,
        several: bool = False,
    ) -> Forward:
        """The function with checked arguments; raises CaptumAssertion if they do not fit each other.

        batch_output: the output may belong to the batch as a whole, so inputs may differ in batch size or be empty.
        """
        tensors = as_tuple(inputs)
        if not tensors or not all(isinstance(t, Tensor) for t in tensors):
            raise CaptumAssertion(
                f"inputs must be a tensor or a tuple of tensors; got {[type(t).__name__ for t in tensors]}."
            )
        sizes = {len(t) if t.ndim else None for t in tensors}
        if None in sizes or ((len(sizes) > 1 or 0 in sizes) and not batch_output):
            raise CaptumAssertion(f"inputs need one batch size, not 0; got shapes {[tuple(t.shape) for t in tensors]}.")
        many = len(target) if isinstance(target, list) or (isinstance(target, Tensor) and target.numel() > 1) else None
        if len(sizes) == 1 and many not in (None, len(tensors[0])):
            raise CaptumAssertion(f"{len(tensors[0])} examples need as many targets, or one for all; got {many}.")
        with torch.inference_mode(False):  # a tensor made in inference mode is part of no graph; a copy may be
            tensors = tuple(t.clone() if t.is_inference() else t for t in tensors)
        func = SingleDevice(func) if isinstance(func, nn.DataParallel) else func
        extra = () if extra is None else as_tuple(extra)
        return cls(func, tensors, extra, target, isinstance(inputs, tuple), several)

    def like_inputs(self, tensors: Sequence[Tensor]) -> TensorOrTuple:
        """One tensor for each input, as a tuple if the inputs were one."""
        return tuple(tensors) if self.tuple_in else tensors[0]

    @property
    def examples(self) -> int:
        return len(self.inputs[0])

    @property
    def everyone(self) -> Tensor:
        """The owner of each row when every example is one row: (B,)."""
        return torch.arange(self.examples, device=self.inputs[0].device)

    def __call__(self, inputs: Tensors, owner: Tensor) -> Tensor:
        """The raw output for rows of the inputs. Extra arguments with a row for each example are looked up by owner.

        The function gets copies: it may change its arguments in place.
        """
        extra = (
            arg[owner.to(arg.device)] if isinstance(arg, Tensor) and arg.ndim and len(arg) == self.examples else arg
            for arg in self.extra
        )
        args = (arg.clone() if isinstance(arg, Tensor) else arg for arg in (*inputs, *extra))
        hidden = self.model is None and inputs[0].device.type == "cpu"
        with onednn_products_of(self.func) if hidden else nullcontext():
            return output_tensor(self.func(*args))

    @cached_property
    def output(self) -> Tensor:
        """The raw output at the inputs, without a gradient. The function is called once, with the inputs as given."""
        with torch.no_grad():
            return self(self.inputs, self.everyone)

    def at_examples(self, owner: Tensor) -> Tensor:
        """The raw output at the inputs of the examples `owner` (R,)."""
        return self(tuple(t[owner.to(t.device)] for t in self.inputs), owner)

    def value(self, inputs: Tensors, owner: Tensor) -> Tensor:
        """The target's numbers for rows of the inputs: (R, T)."""
        return select(self(inputs, owner), self.target, owner)

    def one_number(self, values: Tensor) -> Tensor:
        """The values (R, 1) themselves. Raises CaptumAssertion for several numbers a row, unless they are allowed."""
        if values.shape[1] != 1 and not self.several:
            raise CaptumAssertion(
                f"the target must be one number for each example; it has {values.shape[1]}. Give a `target`."
            )
        return values

    @property
    def model(self) -> nn.Module | None:
        """The module that the function is, or is a method of; None for any other function."""
        model = getattr(self.func, "__self__", self.func)
        return model if isinstance(model, nn.Module) else None

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While open, the parameters of the model, if it is known, require no gradients; Ctrl-C waits for a pass.

        A caller's inference mode is left, and what was compiled runs as it was written.
        """
        if self.model is None:
            with as_written(), interrupts_held_back():
                yield
        else:
            with frozen_model(self.model):
                yield
