"""The methods that Insights offers, by Captum's names, with the arguments that can be set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from xai_nlp.attr import (
    Deconvolution,
    DeepLift,
    FeatureAblation,
    GuidedBackprop,
    InputXGradient,
    IntegratedGradients,
    Occlusion,
    Saliency,
)
from xai_nlp.attr.base import RULES
from xai_nlp.errors import InvalidInput, UnknownName


class NumberConfig(NamedTuple):
    """A whole number between two limits, either of which may be None."""

    value: int = 1
    limit: tuple[int | None, int | None] = (None, None)
    type: str = "number"


class StrEnumConfig(NamedTuple):
    """One of several names."""

    value: str
    limit: tuple[str, ...]
    type: str = "enum"


class StrConfig(NamedTuple):
    """A text, such as "3 5 5" for a window's shape."""

    value: str
    type: str = "string"


Config = NumberConfig | StrEnumConfig | StrConfig


@dataclass(frozen=True)
class Offered:
    """A method: its class, its arguments, and whether its scores add up to f(x) − f(x₀)."""

    method: type
    arguments: Mapping[str, Config] = field(default_factory=dict)
    complete: bool = False


PER_PASS = NumberConfig(value=1, limit=(1, 100))
METHODS: dict[str, Offered] = {
    "Deconvolution": Offered(Deconvolution),
    "Deep Lift": Offered(DeepLift, complete=True),
    "Guided Backprop": Offered(GuidedBackprop),
    "Input X Gradient": Offered(InputXGradient),
    "Integrated Gradients": Offered(
        IntegratedGradients,
        {
            "n_steps": NumberConfig(value=25, limit=(2, None)),
            "method": StrEnumConfig(value="gausslegendre", limit=tuple(RULES)),
        },
        complete=True,
    ),
    "Saliency": Offered(Saliency),
    "Feature Ablation": Offered(FeatureAblation, {"perturbations_per_eval": PER_PASS}),
    "Occlusion": Offered(
        Occlusion,
        {
            "sliding_window_shapes": StrConfig(value=""),
            "strides": StrConfig(value=""),
            "perturbations_per_eval": PER_PASS,
        },
    ),
}


def offered(name: str) -> Offered:
    """The method of that name. Raises UnknownName."""
    if name not in METHODS:
        raise UnknownName("method of Insights", name, METHODS)
    return METHODS[name]


def defaults(name: str) -> dict[str, Any]:
    """A method's arguments as they are if nobody sets them."""
    return {argument: config.value for argument, config in offered(name).arguments.items()}


def arguments(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """A method's arguments as it takes them, out of what a form gave.

    Raises UnknownName for one that it does not have, InvalidInput for a value that is out of its limits.

    >>> arguments("Integrated Gradients", {"n_steps": "10"})
    {'n_steps': 10, 'method': 'gausslegendre'}
    >>> arguments("Occlusion", {"sliding_window_shapes": "3 5 5"})["sliding_window_shapes"]
    (3, 5, 5)
    """
    known = offered(name).arguments
    for argument in given:
        if argument not in known:
            raise UnknownName(f"argument of {name}", argument, known)
    values = {**defaults(name), **given}
    read = {argument: READ[config.type](argument, values[argument], config) for argument, config in known.items()}
    return {argument: value for argument, value in read.items() if value != ()}


def _number(argument: str, value: Any, config: Any) -> int:
    low, high = config.limit
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = None
    if number is None or (low is not None and number < low) or (high is not None and number > high):
        between = f"from {low}" + (f" to {high}" if high is not None else " on")
        raise InvalidInput(f"{argument} is a whole number {between}; got {value!r}.")
    return number


def _choice(argument: str, value: Any, config: Any) -> str:
    if value not in config.limit:
        raise UnknownName(argument, value, config.limit)
    return str(value)


def _whole_numbers(argument: str, value: Any, config: Any) -> tuple[int, ...]:
    if isinstance(value, (tuple, list)):
        return tuple(value)
    try:
        return tuple(int(part) for part in str(value).split())
    except ValueError:
        raise InvalidInput(f"{argument} is whole numbers with spaces between, such as 3 5 5; got {value!r}.") from None


READ: dict[str, Callable[[str, Any, Any], Any]] = {"number": _number, "enum": _choice, "string": _whole_numbers}
