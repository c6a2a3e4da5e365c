"""What Captum's classes have in common: their three kinds, and the way results take Captum's shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from xai_nlp.attr.forward import (
    Baselines,
    CaptumAssertion,
    Forward,
    Layers,
    Selector,
    TargetType,
    TensorOrTuple,
    UnknownChoice,
    as_tuple,
    at_inputs,
    at_layers,
    at_neuron,
    site_tensors,
    sites_of,
    tensorized,
)
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.registry import Method
from xai_nlp.errors import Unsupported

#: Captum's names for the quadrature rules. Its trapezoid is kept as it is, since it is NeuronConductance's default and
#: a user who swaps the import expects the same numbers; `core.quadrature.trapezoid` is the right one.
RULES = {
    "gausslegendre": "gauss_legendre",
    "riemann_trapezoid": "captum_trapezoid",
    "riemann_left": "left",
    "riemann_middle": "middle",
    "riemann_right": "right",
}
GRAD_OPTIONS = {"allow_unused", "materialize_grads"}  # both are always on here


class Path(TypedDict):
    """How finely a method walks from baseline to input."""

    rule: str
    steps: int


def path_of(method: str, steps: int) -> Path:
    """How finely a path is walked: our names for Captum's. Raises UnknownChoice or CaptumAssertion."""
    if method not in RULES:
        raise UnknownChoice("integration method", method, RULES)
    least = 2 if method == "riemann_trapezoid" else 1
    if not isinstance(steps, int) or steps < least:
        raise CaptumAssertion(f"n_steps must be a whole number of at least {least} for {method}; got {steps!r}.")
    return {"rule": RULES[method], "steps": steps}


class UnknownOption(UnknownChoice, TypeError):
    """An option that a function does not take."""


def check_grad_kwargs(grad_kwargs: dict[str, Any] | None) -> None:
    """Refuse what would change a gradient's meaning; what only allows more is allowed anyway."""
    for name in grad_kwargs or {}:
        if name not in GRAD_OPTIONS:
            raise UnknownOption("option of torch.autograd.grad", name, GRAD_OPTIONS)


def squeezed(tensors: Tensors) -> Tensors:
    """Scores of one target: (B, 1, *S) -> (B, *S) each."""
    return tuple(t.squeeze(1) for t in tensors)


def like_layers(tensors: Sequence[Tensor], counts: Sequence[int], layer: Layers) -> Any:
    """Tensors as Captum gives them: one, or a tuple where a layer has several; a list of those for a list of layers."""
    pieces = iter(tensors)
    groups = [tuple(next(pieces) for _ in range(n)) for n in counts]
    shaped = [group if len(group) > 1 else group[0] for group in groups]
    return shaped[0] if isinstance(layer, nn.Module) and not isinstance(layer, nn.ModuleList) else shaped


class Attribution:
    """An attribution method of one forward function, under Captum's name and signature."""

    attribute: Callable[..., Any]

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        if not callable(forward_func):
            raise CaptumAssertion(f"the forward function must be callable; got {type(forward_func).__name__}.")
        self.forward_func = forward_func

    @property
    def multiplies_by_inputs(self) -> bool:
        """Are scores contributions (True) or slopes (False)?"""
        return getattr(self, "_multiply_by_inputs", False)

    def has_convergence_delta(self) -> bool:
        """Can the scores' sum be checked against f(x) − f(x₀)?"""
        return False

    @classmethod
    def get_name(cls) -> str:
        """The class's name in words.

        >>> from xai_nlp.attr import LayerConductance
        >>> LayerConductance.get_name()
        'Layer Conductance'
        """
        return "".join(c if c.islower() or not i else f" {c}" for i, c in enumerate(cls.__name__))

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        raise Unsupported(f"{type(self).__name__} has no asynchronous form; call `attribute`, which batches by itself.")


class GradientAttribution(Attribution):
    """Scores of the inputs, from gradients."""

    def _of_inputs(
        self, method: Method, forward: Forward, baselines: Baselines = None, rows: int | None = None
    ) -> TensorOrTuple:
        with forward.lent():
            return forward.shaped(squeezed(method.scores(at_inputs(forward, baselines, rows=rows)).tensors))

    def compute_convergence_delta(
        self,
        attributions: TensorOrTuple,
        start_point: Baselines,
        end_point: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
    ) -> Tensor:
        """Σ scores − (f(x) − f(x₀)) for each example: (B,). Zero for a perfect integral."""
        forward = Forward.of(self.forward_func, end_point, additional_forward_args, target)
        with torch.no_grad(), forward.lent():
            ends = [
                forward.value(z, forward.everyone).sum(1)
                for z in (forward.inputs, tensorized(forward.inputs, start_point))
            ]
        for scores in as_tuple(attributions):
            if len(scores) != forward.examples:
                raise CaptumAssertion(f"{forward.examples} examples need as many rows of scores; got {len(scores)}.")
        difference = ends[0] - ends[1]
        total = sum(scores.flatten(1).sum(1).to(difference.device) for scores in as_tuple(attributions))
        return total - difference

    def _with_delta(self, wanted: bool, shaped: Any, forward: Forward, baselines: Baselines) -> Any:
        """The scores, however they are shaped, and where it is wanted what they miss."""
        if not wanted:
            return shaped
        flat = tuple(t for group in (shaped if isinstance(shaped, list) else [shaped]) for t in as_tuple(group))
        return shaped, self.compute_convergence_delta(flat, baselines, forward.inputs, forward.target, forward.extra)


class Contributions(GradientAttribution):
    """Scores of the inputs that are contributions, or with `multiply_by_inputs=False` slopes."""

    def __init__(self, forward_func: Callable[..., Any], multiply_by_inputs: bool = True) -> None:
        super().__init__(forward_func)
        self._multiply_by_inputs = multiply_by_inputs


class ModelAttribution(GradientAttribution):
    """What is asked of a module, not of any function."""

    def __init__(self, model: nn.Module) -> None:
        self.model = module(model)
        super().__init__(model)


def module(model: Any) -> nn.Module:
    """The model. Raises CaptumAssertion for what is no module."""
    if not isinstance(model, nn.Module):
        raise CaptumAssertion(f"the model must be a torch module; got {type(model).__name__}.")
    return model


class PerturbationAttribution(Attribution):
    """Scores from taking parts of the inputs away."""

    _multiply_by_inputs = True


class InternalAttribution(Attribution):
    """What concerns a layer of the model, or several."""

    def __init__(self, forward_func: Callable[..., Any], layer: Layers, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func)
        sites_of(layer)
        self.layer = layer
        self.device_ids = device_ids  # kept for Captum's signature; hooks follow their module's own device


class InternalContributions(InternalAttribution):
    """The same choice as `Contributions`, for what concerns a layer."""

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layers,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self._multiply_by_inputs = multiply_by_inputs


class LayerAttribution(InternalAttribution, GradientAttribution):
    """Scores of what passes at a layer, or at several."""

    def _at_layer(
        self,
        method: Method,
        forward: Forward,
        layer_input: bool,
        baselines: Baselines = None,
        rows: int | None = None,
        *,
        moving: bool = False,
    ) -> Any:
        """Scores at the layer while the inputs move, or stay; `moving`: while the layer's own tensors do."""
        sites = sites_of(self.layer, layer_input=layer_input)
        with forward.lent():
            if moving:
                problem, counts = at_layers(forward, baselines, sites, rows)
            else:
                problem, counts = at_inputs(forward, baselines, sites=sites, rows=rows), None
            tensors = squeezed(method.scores(problem).tensors)
            return like_layers(tensors, counts or self._counts(forward, sites, len(tensors)), self.layer)

    @staticmethod
    def _counts(forward: Forward, sites: Sequence[Any], tensors: int) -> list[int]:
        """How many tensors each layer has; only looked up where it is not plain."""
        if len(sites) == 1:
            return [tensors]
        if len(sites) == tensors:
            return [1] * tensors
        return [len(found) for found in site_tensors(forward, forward.inputs, sites)]

    @staticmethod
    def interpolate(
        layer_attribution: Tensor, interpolate_dims: int | tuple[int, ...], interpolate_mode: str = "nearest"
    ) -> Tensor:
        """Scores of a layer (B, C, *small) resized to the input's size (B, C, *interpolate_dims)."""
        return nn.functional.interpolate(layer_attribution, interpolate_dims, mode=interpolate_mode)


class NeuronAttribution(InternalAttribution):
    """Scores of the inputs, for one neuron of a layer instead of the function's output."""

    def _of_neuron(
        self,
        method: Method,
        forward: Forward,
        selector: Selector,
        neuron_input: bool,
        baselines: Baselines = None,
        rows: int | None = None,
        *,
        through: bool = False,
    ) -> TensorOrTuple:
        with forward.lent():
            problem = self._problem(forward, selector, neuron_input, baselines, rows, through=through)
            return forward.shaped(squeezed(method.scores(problem).tensors))

    def _problem(
        self,
        forward: Forward,
        selector: Selector,
        neuron_input: bool,
        baselines: Baselines,
        rows: int | None = None,
        *,
        through: bool = False,
    ) -> Problem:
        (site,) = sites_of(self.layer, layer_input=neuron_input)
        return at_neuron(forward, baselines, site, selector, through=through, rows=rows)
