"""The base classes of Captum's names: scores of inputs, layers and neurons, in the shapes that Captum returns."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.attr.arguments import document
from xai_nlp.attr.problems import Layers, layer_points, neuron_subject, subject_of
from xai_nlp.core.batching import Batching, Progress
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TargetType, TensorOrTuple, UnknownChoice
from xai_nlp.core.features import by_row
from xai_nlp.core.forward import Forward, as_tuple, baseline_tensors
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.progress import progress_bar
from xai_nlp.core.registry import Method
from xai_nlp.errors import Unsupported

GRAD_OPTIONS = {"allow_unused", "materialize_grads"}  # both are always on here


class NoWholeNumber(CaptumAssertion, TypeError):
    """A value that is no whole number, where Captum raises TypeError."""


def check_count(name: str, value: Any, least: int = 1) -> int:
    """A number that a user gave, as an int. Raises CaptumAssertion if it is no whole number, or too small."""
    if not isinstance(value, Integral):
        raise NoWholeNumber(f"{name} must be a whole number of at least {least}; got {value!r}.")
    if value < least:
        raise CaptumAssertion(f"{name} must be a whole number of at least {least}; got {value!r}.")
    return int(value)


class UnknownOption(UnknownChoice, TypeError):
    """An option that a function does not take."""


class Attribution:
    """An attribution method of one forward function, under Captum's name and signature.

    multiplies_by_inputs: True if scores are contributions, False if they are slopes.
    """

    attribute: Callable[..., Any]
    multiplies_by_inputs = False
    _has_delta = False
    _needs_module = False  # True: gradient rules or hooks need the model itself, not any function
    _several_targets = False  # True: the output's T numbers are all explained, and scores have a dimension for them

    def __init_subclass__(cls) -> None:
        if "attribute" in vars(cls):
            document(cls.attribute)

    def __init__(self, forward_func: Callable[..., Any]) -> None:
        if self._needs_module and not isinstance(forward_func, nn.Module):
            raise CaptumAssertion(f"the model must be a torch module; got {type(forward_func).__name__}.")
        if not callable(forward_func):
            raise CaptumAssertion(f"the forward function must be callable; got {type(forward_func).__name__}.")
        self.forward_func = forward_func

    def has_convergence_delta(self) -> bool:
        """True if the scores' sum can be checked against f(x) − f(x₀)."""
        return self._has_delta

    @classmethod
    def get_name(cls) -> str:
        """The class's name in words.

        >>> from xai_nlp.attr import LayerConductance
        >>> LayerConductance.get_name()
        'Layer Conductance'
        """
        return "".join(c if c.islower() or not i else f" {c}" for i, c in enumerate(cls.__name__))

    def _bind(
        self,
        inputs: Any,
        extra: Any = None,
        target: TargetType = None,
        grad_kwargs: dict[str, Any] | None = None,
        **checks: bool,
    ) -> Forward:
        """The forward function, bound to the arguments of one call.

        grad_kwargs: options of torch.autograd.grad that only allow more have no effect; others are refused.
        """
        for name in grad_kwargs or {}:
            if name not in GRAD_OPTIONS:
                raise UnknownOption("option of torch.autograd.grad", name, GRAD_OPTIONS)
        return Forward.bind(self.forward_func, inputs, extra, target, several=self._several_targets, **checks)

    def _progress(self, shown: bool) -> AbstractContextManager[Progress | None]:
        """A progress bar while open, if it is to be shown."""
        return progress_bar(f"{self.get_name()} attribution", requested=True) if shown else nullcontext()

    def attribute_future(self, *args: Any, **kwargs: Any) -> Any:
        """Raises Unsupported: only methods that ablate features have an asynchronous form."""
        raise Unsupported(f"{type(self).__name__} has no asynchronous form; call `attribute`, which batches by itself.")


class GradientAttribution(Attribution):
    """Scores of the inputs, from gradients.

    Classes for layers and neurons say what is scored instead, at the `place` that the arguments of `attribute` name:
    attribute_to_layer_input, or the pair of neuron_selector and attribute_to_neuron_input.
    """

    def _problem(
        self, forward: Forward, place: Any = None, baselines: Baselines = None, rows: int | None = None
    ) -> Problem:
        """The problem whose sites are scored."""
        return subject_of(forward, baselines, rows).problem()

    def _shaped(self, tensors: Tensors, forward: Forward, place: Any) -> Any:
        """The scores of the problem's sites as Captum returns them."""
        return forward.like_inputs(tensors)

    def _scores(
        self,
        method: Method,
        forward: Forward,
        place: Any = None,
        baselines: Baselines = None,
        rows: int | None = None,
        with_delta: bool = False,
    ) -> Any:
        """Scores by the method; with their convergence delta, if it is requested."""
        with forward.frozen():
            tensors = method.scores(self._problem(forward, place, baselines, rows)).tensors
            if not forward.several:
                tensors = tuple(t.squeeze(1) for t in tensors)
            scores = self._shaped(tensors, forward, place)
        return (scores, self._delta(tensors, forward, baselines, rows)) if with_delta else scores

    def compute_convergence_delta(
        self,
        attributions: TensorOrTuple,
        start_point: Baselines,
        end_point: TensorOrTuple,
        target: TargetType = None,
        additional_forward_args: object | None = None,
    ) -> Tensor:
        """Σ scores − (f(x) − f(x₀)) for each example: (B,). Zero for a perfect integral.

        attributions: scores, one tensor or several, (B, …) each. start_point: x₀, as `baselines` in `attribute`.
        end_point: x, as `inputs` there. target, additional_forward_args: as there.
        Raises CaptumAssertion if the scores have another number of rows than the examples.
        """
        forward = self._bind(end_point, additional_forward_args, target)
        return self._delta(as_tuple(attributions), forward, start_point)

    def _delta(self, scores: Tensors, forward: Forward, baselines: Baselines, rows: int | None = None) -> Tensor:
        for tensor in scores:
            if len(tensor) != forward.examples:
                raise CaptumAssertion(f"{forward.examples} examples need as many rows of scores; got {len(tensor)}.")
        with forward.frozen():
            problem = self._ends(forward, baselines, rows)
            both_ends = tuple(map(torch.cat, zip(problem.x, problem.baseline, strict=True)))
            end, start = problem.values(both_ends, forward.everyone.repeat(2)).sum(1).chunk(2)
        return sum(by_row(tensor).sum(1).to(end.device) for tensor in scores) - (end - start)

    def _ends(self, forward: Forward, baselines: Baselines, rows: int | None) -> Problem:
        """The problem whose f(x) − f(x₀) the scores should add up to."""
        x0 = baseline_tensors(forward.inputs, baselines)
        return Problem(value=forward.value, x=forward.inputs, baseline=x0, rows=Batching(limit=rows))


class Contributions(GradientAttribution):
    """Scores of the inputs that are contributions, or with `multiply_by_inputs=False` slopes."""

    def __init__(self, forward_func: Callable[..., Any], multiply_by_inputs: bool = True) -> None:
        super().__init__(forward_func)
        self.multiplies_by_inputs = multiply_by_inputs


class ModelAttribution(GradientAttribution):
    """Scores of a module's inputs, by rules that need the module and not just any function."""

    _needs_module = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.model = model


class PerturbationAttribution(Attribution):
    """Scores from replacing parts of the inputs."""

    multiplies_by_inputs = True


class InternalAttribution(Attribution):
    """Scores that concern a layer of the model, or several.

    layer: a torch module, a hook point such as `xai_nlp.points(model).attention[3]`, or a list of them.
    """

    def __init__(self, forward_func: Callable[..., Any], layer: Layers, device_ids: list[int] | None = None) -> None:
        super().__init__(forward_func)
        layer_points(layer)
        self.layer = layer
        self.device_ids = device_ids  # for Captum's signature; hooks follow their module's own device


class InternalContributions(InternalAttribution):
    """The choice of `Contributions`, for scores that concern a layer."""

    def __init__(
        self,
        forward_func: Callable[..., Any],
        layer: Layers,
        device_ids: list[int] | None = None,
        multiply_by_inputs: bool = True,
    ) -> None:
        super().__init__(forward_func, layer, device_ids)
        self.multiplies_by_inputs = multiply_by_inputs


class LayerAttribution(InternalAttribution, GradientAttribution):
    """Scores of the tensors at a layer, or at several."""

    def _problem(
        self, forward: Forward, place: Any = None, baselines: Baselines = None, rows: int | None = None
    ) -> Problem:
        return subject_of(forward, baselines, rows).problem(observe=layer_points(self.layer, layer_input=place))

    def _shaped(self, tensors: Tensors, forward: Forward, place: Any) -> Any:
        points = layer_points(self.layer, layer_input=place)
        if len(points) == 1:
            return self._grouped([tensors])
        if len(points) == len(tensors):
            return self._grouped([(tensor,) for tensor in tensors])
        remaining = iter(tensors)  # another forward pass tells how many belong to each layer
        counts = [len(at_point) for at_point in subject_of(forward).tensors(points)]
        return self._grouped([tuple(itertools.islice(remaining, count)) for count in counts])

    def _grouped(self, by_layer: Sequence[Tensors]) -> Any:
        """One tensor, or a tuple for a layer with several; a list of those for several layers."""
        shaped = [tensors if len(tensors) > 1 else tensors[0] for tensors in by_layer]
        return shaped if isinstance(self.layer, (list, tuple, nn.ModuleList)) else shaped[0]

    @staticmethod
    def interpolate(
        layer_attribution: Tensor, interpolate_dims: int | tuple[int, ...], interpolate_mode: str = "nearest"
    ) -> Tensor:
        """Scores of a layer (B, C, *small), resized to the input's size: (B, C, *interpolate_dims).

        interpolate_mode: a mode of torch.nn.functional.interpolate.
        """
        return nn.functional.interpolate(layer_attribution, interpolate_dims, mode=interpolate_mode)


class NeuronAttribution(InternalAttribution):
    """Scores of the inputs, for one neuron of a layer instead of the function's output."""

    _neuron_subject = staticmethod(neuron_subject)  # the subject whose number belongs to the neuron

    def _problem(
        self, forward: Forward, place: Any = None, baselines: Baselines = None, rows: int | None = None
    ) -> Problem:
        selector, neuron_input = place
        (point,) = layer_points(self.layer, layer_input=neuron_input)
        return self._neuron_subject(subject_of(forward, baselines, rows), forward, point, selector).problem()
