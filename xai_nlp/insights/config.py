"""The methods that an `AttributionVisualizer` offers, by Captum's names, with the arguments that can be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from xai_nlp.attr.base import RULES
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


@dataclass(frozen=True)
class CaptumMethod:
    """A class of Captum's names, and the arguments of its `attribute`."""

    cls: type[Any]

    @property
    def arguments(self) -> tuple[OptionField, ...]:
        """The arguments that can be set."""
        return tuple(one for one in ARGUMENTS if one.name in signature(self.cls.attribute).parameters)

    @property
    def needs_baseline(self) -> bool:
        """Does its `attribute` take a baseline?"""
        return "baselines" in signature(self.cls.attribute).parameters

    def parse(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of `attribute`, from the values of a form.

        Raises UnknownName for an argument that does not exist, InvalidInput for a value that is out of its bounds.

        >>> METHODS["Integrated Gradients"].parse({"n_steps": "10"})
        {'n_steps': 10, 'method': 'gausslegendre'}
        >>> METHODS["Occlusion"].parse({"sliding_window_shapes": "3 5 5"})
        {'sliding_window_shapes': (3, 5, 5), 'perturbations_per_eval': 1}
        """
        defaults = {one.name: one.default for one in self.arguments}
        parsed = parse_options(f"argument of {self.cls.__name__}", self.arguments, {**defaults, **values})
        given = {name: value for name, value in parsed.items() if value is not None}
        return {name: whole_numbers(name, value) if name in SHAPES else value for name, value in given.items()}


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Numbers with spaces between. Raises InvalidInput."""
    try:
        return tuple(map(int, text.split()))
    except ValueError:
        raise InvalidInput(f"{name} is a list of integers with spaces between, such as 3 5 5; got {text!r}.") from None


METHODS: dict[str, CaptumMethod] = {
    cls.get_name(): CaptumMethod(cls)
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


def find_captum_method(name: str) -> CaptumMethod:
    """The method of that name. Raises UnknownName."""
    if name not in METHODS:
        raise UnknownName("method of Insights", name, METHODS)
    return METHODS[name]
