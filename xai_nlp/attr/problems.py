"""A forward function as a Problem: of its inputs, of the tensors at a layer, or of a neuron."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TargetOutOfRange
from xai_nlp.core.forward import Forward, as_tuple, baseline_tensors, select
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.hooks.evaluate import evaluate_sites
from xai_nlp.hooks.prefix_cache import settled
from xai_nlp.hooks.replace import Passed, replaced, skipped
from xai_nlp.hooks.scope import HookPoint, ModulePoint, captured

Selector: TypeAlias = int | tuple[int | slice, ...] | Callable[[Any], Tensor]
Layers: TypeAlias = nn.Module | list[nn.Module]


def at_inputs(
    forward: Forward, baselines: Baselines, *, sites: Sequence[HookPoint] = (), rows: int | None = None
) -> Problem:
    """The inputs move. They are scored, or the tensors at the sites if there are any."""
    return Problem(
        value=lambda z, owner: forward.one_number(forward.value(z, owner)),
        x=forward.inputs,
        baseline=baseline_tensors(forward.inputs, baselines),
        sites=tuple(sites),
        rows=Batching(limit=rows),
    )


def at_layers(
    forward: Forward, baselines: Baselines, sites: Sequence[HookPoint], rows: int | None
) -> tuple[Problem, list[int]]:
    """The tensors at the layers move, and the model is re-entered there. Also returns how many each layer has."""
    ends = (forward.inputs, baseline_tensors(forward.inputs, baselines))
    by_site = [site_tensors(forward, inputs, sites) for inputs in ends]
    counts = [len(tensors) for tensors in by_site[0]]
    prefix = prefix_of(forward, sites)

    def value(z: Tensors, owner: Tensor) -> Tensor:
        tensors = iter(z)
        replacements = [(site, [next(tensors) for _ in range(n)]) for site, n in zip(sites, counts, strict=True)]
        with skipped(prefix, owner, forward.examples), replaced(replacements):
            return forward.one_number(select(forward.at_examples(owner), forward.target, owner))

    x, x0 = (tuple(t.detach() for tensors in of_sites for t in tensors) for of_sites in by_site)
    return Problem(value=value, x=x, baseline=x0, rows=Batching(limit=rows)), counts


def at_neuron(
    forward: Forward,
    baselines: Baselines,
    site: HookPoint,
    selector: Selector,
    *,
    through: bool = False,
    rows: int | None = None,
) -> Problem:
    """The neuron is the target while the inputs move. `through`: the part of the function's target that flows by it.

    That part's gradient is ∂f/∂neuron · ∂neuron/∂x, so integrating it gives the neuron's conductance.
    """

    def neuron(z: Tensors, owner: Tensor) -> Tensor:
        (tensors,) = evaluate_sites([site], lambda: forward(z, owner))
        return select_neuron(tensors, selector, len(owner))

    def flow(z: Tensors, owner: Tensor) -> Tensor:
        with captured([site], differentiable=torch.is_grad_enabled()) as capture:
            values = forward.one_number(forward.value(z, owner))
        (tensors,) = capture.tensors()
        slopes = torch.autograd.grad(values.sum(), tensors, retain_graph=True)
        return select_neuron(slopes, selector, len(owner)).detach() * select_neuron(tensors, selector, len(owner))

    return Problem(
        value=flow if through else neuron,
        x=forward.inputs,
        baseline=baseline_tensors(forward.inputs, baselines),
        rows=Batching(limit=rows),
    )


def from_layer(forward: Forward, layer: Layers, *, layer_input: bool = False) -> Forward:
    """The same function, of the tensors at the layer. The original inputs become extra arguments."""
    sites = layer_points(layer, layer_input=layer_input)
    (tensors,) = site_tensors(forward, forward.inputs, sites)
    prefix = prefix_of(forward, sites)

    def reenter(*args: Any) -> Any:
        replacements = [t.clone() for t in args[: len(tensors)]]  # the next module may change them in place
        owner, *rest = args[len(tensors) :]
        with skipped(prefix, owner, forward.examples), replaced([(sites[0], replacements)]):
            return forward.func(*rest)

    extra = (forward.everyone, *forward.inputs, *forward.extra)
    return Forward(reenter, tensors, extra, forward.target, len(tensors) > 1)


def site_tensors(forward: Forward, inputs: Tensors, sites: Sequence[HookPoint]) -> list[Tensors]:
    """The tensors at each site for these inputs: (B, *S) each. A single row for the whole batch is repeated."""
    with torch.no_grad():
        by_site = evaluate_sites(sites, lambda: forward(inputs, forward.everyone))
    B = forward.examples
    return [tuple(t.expand(B, *t.shape[1:]) if len(t) == 1 else t for t in tensors) for tensors in by_site]


def prefix_of(forward: Forward, sites: Sequence[HookPoint]) -> Passed:
    """The modules before the sites, and their outputs: they need not run again when the model is re-entered."""
    return settled(sites, forward.at_examples, forward.everyone)


def select_neuron(tensors: Tensors, selector: Selector, rows: int) -> Tensor:
    """The selected neurons of a layer's tensors, summed: (R, 1).

    Raises TargetOutOfRange or CaptumAssertion if the selector does not name one of them.
    """
    if callable(selector):
        neurons = selector(tensors if len(tensors) > 1 else tensors[0])
    elif len(tensors) != 1:
        raise CaptumAssertion(
            f"this layer gives out {len(tensors)} tensors; select the neuron with a function of them."
        )
    else:
        index = as_tuple(selector)
        try:
            neurons = tensors[0][(slice(None), *index)]
        except (IndexError, TypeError) as error:
            raise TargetOutOfRange(
                f"no neuron {selector!r} in a layer of shape {tuple(tensors[0].shape[1:])}: {error}."
            ) from None
        if neurons.ndim > 1 and not any(isinstance(i, slice) for i in index):
            raise CaptumAssertion(
                f"neuron {selector!r} leaves a tensor of shape {tuple(neurons.shape[1:])} for each example, "
                f"not a number; give {tensors[0].ndim - 1} indices."
            )
    return neurons.reshape(rows, -1).sum(1, keepdim=True)


def layer_points(layer: Layers, *, layer_input: bool = False) -> list[HookPoint]:
    """The hook point of each layer. Raises CaptumAssertion for anything that is not a module."""
    layers = list(layer) if isinstance(layer, (list, tuple, nn.ModuleList)) else [layer]
    for module in layers:
        if not isinstance(module, nn.Module):
            raise CaptumAssertion(f"a layer is a torch module, or a list of them; got {type(module).__name__}.")
    side: Literal["input", "output"] = "input" if layer_input else "output"
    return [ModulePoint(module, side) for module in layers]
