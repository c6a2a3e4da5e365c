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
from xai_nlp.attr.path import RULES
from xai_nlp.core.fields import OptionField
from xai_nlp.errors import InvalidInput, UnknownName


@dataclass(frozen=True)
class CaptumMethod:
    """A class of Captum's names, its arguments, and whether its scores add up to f(x) − f(x₀)."""

    cls: type[Any]
    arguments: tuple[OptionField, ...] = ()
    complete: bool = False

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
        known = {one.name: one for one in self.arguments}
        for name in values:
            if name not in known:
                raise UnknownName(f"argument of {self.cls.__name__}", name, known)
        parsed = {name: one.parse(values.get(name, one.default)) for name, one in known.items()}
        return {
            name: whole_numbers(name, value) if name in SHAPES else value
            for name, value in parsed.items()
            if value is not None
        }


def whole_numbers(name: str, text: str) -> tuple[int, ...]:
    """Numbers with spaces between. Raises InvalidInput."""
    try:
        return tuple(map(int, text.split()))
    except ValueError:
        raise InvalidInput(f"{name} is a list of integers with spaces between, such as 3 5 5; got {text!r}.") from None


SHAPES = ("sliding_window_shapes", "strides")
PER_PASS = OptionField(
    name="perturbations_per_eval", type=int, default=1, least=1, most=100, help="Perturbed inputs of a pass."
)
METHODS: dict[str, CaptumMethod] = {
    "Deconvolution": CaptumMethod(Deconvolution),
    "Deep Lift": CaptumMethod(DeepLift, complete=True),
    "Guided Backprop": CaptumMethod(GuidedBackprop),
    "Input X Gradient": CaptumMethod(InputXGradient),
    "Integrated Gradients": CaptumMethod(
        IntegratedGradients,
        (
            OptionField(name="n_steps", type=int, default=25, least=2, help="Points of the path."),
            OptionField(
                name="method", type=str, default="gausslegendre", choices=tuple(RULES), help="The quadrature rule."
            ),
        ),
        complete=True,
    ),
    "Saliency": CaptumMethod(Saliency),
    "Feature Ablation": CaptumMethod(FeatureAblation, (PER_PASS,)),
    "Occlusion": CaptumMethod(
        Occlusion,
        (
            *(OptionField(name=name, type=str, help="Integers with spaces between, such as 3 5 5.") for name in SHAPES),
            PER_PASS,
        ),
    ),
}


def find_captum_method(name: str) -> CaptumMethod:
    """The method of that name. Raises UnknownName."""
    if name not in METHODS:
        raise UnknownName("method of Insights", name, METHODS)
    return METHODS[name]
