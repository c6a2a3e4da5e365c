"""The methods that an `AttributionVisualizer` offers, by Captum's names, with the arguments that can be set."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

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
from xai_nlp.attr.base import Attribution
from xai_nlp.attr.path import RULES
from xai_nlp.core.fields import OptionField
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.web.forms import parse_options

SHAPES = ("sliding_window_shapes", "strides")
#: Arguments that can be set, of the methods whose `attribute` has them.
ARGUMENTS = (
    OptionField(name="n_steps", type=int, default=25, least=2, help="Points of the path."),
    OptionField(name="method", type=str, default="gausslegendre", choices=tuple(RULES), help="The quadrature rule."),
    *(OptionField(name=name, type=str, help="Integers with spaces between, such as 3 5 5.") for name in SHAPES),
    OptionField(
        name="perturbations_per_eval", type=int, default=1, least=1, most=100, help="Perturbed inputs of a pass."
    ),
)


METHODS: dict[str, type[Attribution]] = {
    cls.get_name(): cls
    for cls in (
        Deconvolution,
        DeepLift,
        GuidedBackprop,
        InputXGradient,
        IntegratedGradients,
        Saliency,
        FeatureAblation,
        Occlusion,
    )
}


def find_captum_method(name: str) -> type[Attribution]:
    """The class of that name. Raises UnknownName."""
    if name not in METHODS:
        raise UnknownName("method of Insights", name, METHODS)
    return METHODS[name]


def needs_baseline(method: type[Attribution]) -> bool:
    """Does its `attribute` take a baseline?"""
    return "baselines" in signature(method.attribute).parameters


def arguments_of(method: type[Attribution]) -> list[OptionField]:
    """The arguments of its `attribute` that can be set."""
    return [one for one in ARGUMENTS if one.name in signature(method.attribute).parameters]


def parse_arguments(method: type[Attribution], values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of its `attribute`, from the values of a form.

    Raises UnknownName for an argument that does not exist, InvalidInput for a value that is out of its bounds.

    >>> parse_arguments(IntegratedGradients, {"n_steps": "10"})
    {'n_steps': 10, 'method': 'gausslegendre'}
    >>> parse_arguments(Occlusion, {"sliding_window_shapes": "3 5 5"})
    {'sliding_window_shapes': (3, 5, 5), 'perturbations_per_eval': 1}
    """
    arguments = arguments_of(method)
    defaults = {one.name: one.default for one in arguments}
    parsed = parse_options(f"argument of {method.__name__}", arguments, {**defaults, **values})
    given = {name: value for name, value in parsed.items() if value is not None}
    for name in given.keys() & set(SHAPES):
        try:
            given[name] = tuple(map(int, given[name].split()))
        except ValueError:
            raise InvalidInput(
                f"{name} is a list of integers with spaces between, such as 3 5 5; got {given[name]!r}."
            ) from None
    return given
