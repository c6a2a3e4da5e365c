"""What Captum's classes have in common: their three kinds, and the way results take Captum's shapes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.forward import (
    Baselines,
    Forward,
    Layers,
    Refused,
    TargetType,
    TensorOrTuple,
    UnknownChoice,
    as_tuple,
    at_inputs,
    at_layers,
    site_tensors,
    sites_of,
    tensorized,
)
from xai_nlp.core.problem import Tensors
from xai_nlp.core.registry import Method
from xai_nlp.errors import Unsupported

#: Captum's names for the quadrature rules. Its trapezoid is kept as it is, since it is NeuronConductance's default and
#: a user who swaps the import expects the same numbers; `core.path.trapezoid` is the right one.
RULES = {
    "gausslegendre": "gauss_legendre",
    "riemann_trapezoid": "captum_trapezoid",
    "riemann_left": "left",
    "riemann_middle": "middle",
    "riemann_right": "right",
}
GRAD_OPTIONS = {"allow_unused", "materialize_grads"}  # both are always on here


def rule(method: str) -> str:
    """Our name for Captum's quadrature method. Raises UnknownChoice."""
    if method not in RULES:
        raise UnknownChoice("integration method", method, RULES)
    return RULES[method]


def check_grad_kwargs(grad_kwargs: dict[str, Any] | None) -> None:
    """Refuse what would change a gradient's meaning; what only allows more is allowed anyway."""
    for name in grad_kwargs or {}:
        if name not in GRAD_OPTIONS:
            raise UnknownChoice("option of torch.autograd.grad", name, GRAD_OPTIONS)


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
            raise Refused(f"the forward function must be callable; got {type(forward_func).__name__}.")
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
        self, method: Method, forward: Forward, baselines: Baselines, rows: int | None, tuple_in: bool
    ) -> Any:
        with forward.lent():
            tensors = squeezed(method.scores(at_inputs(forward, baselines, rows=rows)).tensors)
        return tensors if tuple_in else tensors[0]

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
                raise Refused(f"{forward.examples} examples need as many rows of scores; got {len(scores)}.")
        total = sum(scores.flatten(1).sum(1) for scores in as_tuple(attributions))
        return total - (ends[0] - ends[1])

    def _with_delta(
        self, wanted: bool, shaped: Any, flat: Sequence[Tensor], forward: Forward, baselines: Baselines
    ) -> Any:
        if not wanted:
            return shaped
        delta = self.compute_convergence_delta(tuple(flat), baselines, forward.inputs, forward.target, forward.extra)
        return shaped, delta


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


class LayerAttribution(InternalAttribution, GradientAttribution):
    """Scores of what passes at a layer, or at several."""

    def _moving_layer(
        self, method: Method, forward: Forward, baselines: Baselines, layer_input: bool, rows: int | None
    ) -> tuple[Any, Tensors]:
        """Scores where the layer's tensors themselves go from baseline to input."""
        with forward.lent():
            problem, counts = at_layers(forward, baselines, sites_of(self.layer, layer_input=layer_input), rows)
            tensors = squeezed(method.scores(problem).tensors)
        return like_layers(tensors, counts, self.layer), tensors

    def _inside(
        self,
        scores: Callable[[Any], Tensors],
        forward: Forward,
        baselines: Baselines,
        layer_input: bool,
        rows: int | None = None,
    ) -> tuple[Any, Tensors]:
        """Scores at the layer while the inputs move, or stay."""
        sites = sites_of(self.layer, layer_input=layer_input)
        with forward.lent():
            tensors = squeezed(scores(at_inputs(forward, baselines, sites=sites, rows=rows)))
        return like_layers(tensors, self._counts(forward, sites, len(tensors)), self.layer), tensors

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

    layer: nn.Module
