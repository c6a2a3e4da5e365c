"""A forward function as a Subject: its inputs move, or the tensors at a layer, and a neuron may be the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.captum_types import Baselines, CaptumAssertion, TargetOutOfRange
from xai_nlp.core.features import by_row
from xai_nlp.core.forward import Forward, as_tuple, baseline_tensors, select
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.subject import MovableInput, Run, Subject
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.hooks.prefix_cache import use_cached
from xai_nlp.hooks.scope import HookPoint, ModulePoint, captured, replaced, tensors_at

Selector: TypeAlias = int | tuple[int | slice, ...] | Callable[[Any], Tensor]
Layer: TypeAlias = nn.Module | HookPoint
Layers: TypeAlias = Layer | list[Layer]


def subject_of(forward: Forward, baselines: Baselines = None, rows: int | None = None) -> Subject:
    """The forward function with its inputs as what moves, and its target as the number that is read."""
    ends = zip(forward.inputs, baseline_tensors(forward.inputs, baselines), strict=True)
    inputs = {f"input {i}": MovableInput(x=(x,), baseline=(x0,)) for i, (x, x0) in enumerate(ends)}

    def run(arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        if not arguments:
            return forward.at_examples(owner)
        return forward(tuple(arguments[name] for name in inputs), owner)

    return Subject(
        forward=run,
        read=lambda run, owner: forward.one_number(select(run(), forward.target, owner)),
        inputs=inputs,
        examples=forward.examples,
        device=forward.inputs[0].device,
        batching=Batching(limit=rows),
    )


def neuron_subject(subject: Subject, forward: Forward, point: HookPoint, selector: Selector) -> Subject:
    """The subject with a neuron as the number that is read; the pass stops there."""

    def read(run: Run, owner: Tensor) -> Tensor:
        (tensors,) = tensors_at([point], run)
        return select_neuron(tensors, selector, len(owner))

    return replace(subject, read=read)


def flow_subject(subject: Subject, forward: Forward, point: HookPoint, selector: Selector) -> Subject:
    """The subject with the part of its target that flows through a neuron as the number that is read.

    That part's gradient is ∂f/∂neuron · ∂neuron/∂x, so integrating it gives the neuron's conductance.
    """

    def read(run: Run, owner: Tensor) -> Tensor:
        with captured([point], differentiable=torch.is_grad_enabled()) as capture:
            values = forward.one_number(select(run(), forward.target, owner))
        (tensors,) = capture.tensors()
        if len(owner) > 1 and selected_neurons(tensors, selector).numel() == 1:
            raise CaptumAssertion("conductance needs a neuron of each example; the neuron_selector returns one number.")
        slopes = torch.autograd.grad(
            values.sum(), tensors, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return select_neuron(slopes, selector, len(owner)).detach() * select_neuron(tensors, selector, len(owner))

    return replace(subject, read=read)


def zero_where_unused(problem: Problem, whole: Problem) -> Problem:
    """The problem at a layer, with a gradient of 0 if the target does not use the layer, but depends on the inputs.

    whole: the problem of the inputs themselves.
    """

    def value(z: Tensors, owner: Tensor) -> Tensor:
        values = problem.value(z, owner)
        if not torch.is_grad_enabled() or values.requires_grad:
            return values
        if not whole.depends_on_inputs(tuple(x[owner.to(x.device)] for x in whole.x), owner):
            return values
        return values + sum(by_row(t)[:, :0].sum(1, keepdim=True).to(values) for t in z)

    return replace(problem, value=value)


def from_layer(forward: Forward, layer: Layers, *, layer_input: bool = False) -> Forward:
    """The same function, of the tensors at the layer. The original inputs become extra arguments.

    If what comes before the layer can be left out, passes with two numbers of rows have shown that, and the rows.
    """
    entered = subject_of(forward).at(layer_points(layer, layer_input=layer_input)[:1], torch.zeros_like)
    (inner,) = entered.inputs.values()
    point, tensors = inner.point, inner.x
    assert point is not None

    @wraps(forward.func, assigned=(), updated=())
    def reenter(*args: Any) -> Any:
        replacements = [t.clone() for t in args[: len(tensors)]]  # the next module may change them in place
        owner, *rest = args[len(tensors) :]
        with use_cached(entered.prefix, owner, forward.examples), replaced([(point, replacements)]):
            return forward.func(*rest)

    extra = (forward.everyone, *forward.inputs, *forward.extra)
    known = bool(entered.prefix.outputs)
    return Forward(reenter, tensors, extra, forward.target, len(tensors) > 1, rowwise=known)


def of_neuron(forward: Forward, point: HookPoint, selector: Selector) -> Forward:
    """The function whose output is the neuron: (B,), or one number if the selector sums over the batch."""

    def neuron(*args: Any) -> Tensor:
        (tensors,) = tensors_at([point], lambda: forward.func(*args))
        neurons = selected_neurons(tensors, selector)
        return neurons if neurons.numel() == 1 else select_neuron(tensors, selector, len(neurons))[:, 0]

    return replace(forward, func=neuron)


def select_neuron(tensors: Tensors, selector: Selector, rows: int) -> Tensor:
    """The selected neurons of a layer's tensors, summed for each row: (R, 1).

    If a function sums over the rows too, each row has its share of the sum, so that gradients are those of the sum.
    Raises TargetOutOfRange or CaptumAssertion if the selector does not name neurons of the layer.
    """
    neurons = selected_neurons(tensors, selector)
    if neurons.numel() == 1:
        return neurons.reshape(1, 1).expand(rows, 1) / rows
    if len(neurons) != rows:
        raise CaptumAssertion(
            f"a neuron_selector returns a number, or a row for each of {rows} rows; got {tuple(neurons.shape)}."
        )
    return by_row(neurons).sum(1, keepdim=True)


def selected_neurons(tensors: Tensors, selector: Selector) -> Tensor:
    """The selected neurons of a layer's tensors: (R, …), or what a function returns."""
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
    return neurons


def layer_points(layer: Layers, *, layer_input: bool = False) -> list[HookPoint]:
    """The hook point of each layer; a hook point stands for itself.

    Raises CaptumAssertion for anything that is neither a module nor a hook point, and for the input of attention.
    """
    layers = list(layer) if isinstance(layer, (list, tuple, nn.ModuleList)) else [layer]
    side: Literal["input", "output"] = "input" if layer_input else "output"
    points: list[HookPoint] = []
    for one in layers:
        if isinstance(one, nn.Module):
            points.append(ModulePoint(one, side))
        elif isinstance(one, ModulePoint) and layer_input:
            points.append(replace(one, side="input"))
        elif isinstance(one, AttentionPoint) and layer_input:
            raise CaptumAssertion(f"{one} is one tensor, without an input side; leave attribute_to_layer_input out.")
        elif hasattr(one, "open") and hasattr(one, "module"):
            points.append(one)
        else:
            raise CaptumAssertion(
                f"a layer is a torch module, a hook point, or a list of them; got {type(one).__name__}."
            )
    return points
