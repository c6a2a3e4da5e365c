"""The types of the arguments that Captum's interface shares, and errors that are also what Captum raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from xai_nlp.errors import InvalidInput, UnknownName

TensorOrTuple: TypeAlias = Tensor | tuple[Tensor, ...]
Baselines: TypeAlias = Tensor | int | float | tuple[Tensor | int | float, ...] | None
BaselineDistribution: TypeAlias = TensorOrTuple | Callable[..., TensorOrTuple]
TargetType: TypeAlias = int | tuple[int, ...] | Tensor | list[int] | list[tuple[int, ...]] | None


class CaptumAssertion(InvalidInput, AssertionError):
    """An argument that cannot be worked with. Captum asserts there, so code that catches AssertionError still works."""


class TargetOutOfRange(CaptumAssertion, IndexError):
    """A target or a neuron that is not among the entries of its tensor."""


class UnknownChoice(UnknownName, AssertionError):
    """A name that an argument does not know."""


class NotRowwise(CaptumAssertion):
    """A forward function whose output does not have one row for each row of its input."""
