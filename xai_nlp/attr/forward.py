"""What Captum's arguments mean: a forward function, its inputs and a target become a Problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from inspect import signature
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.hooks.prefix_cache import settled
from xai_nlp.hooks.replace import Passed, replaced, skipped
from xai_nlp.hooks.scope import ModulePoint, captured, tensors_at

TensorOrTuple: TypeAlias = Tensor | tuple[Tensor, ...]
Baselines: TypeAlias = Tensor | int | float | tuple[Tensor | int | float, ...] | None
Distribution: TypeAlias = TensorOrTuple | Callable[..., TensorOrTuple]  # of baselines
TargetType: TypeAlias = int | tuple[int, ...] | Tensor | list[int] | list[tuple[int, ...]] | None
Selector: TypeAlias = int | tuple[int | slice, ...] | Callable[[Any], Tensor]
Layers: TypeAlias = nn.Module | list[nn.Module]


class CaptumAssertion(InvalidInput, AssertionError):
    """An argument that cannot be worked with: where Captum asserts, code that catches its AssertionError goes on."""


class TargetOutOfRange(CaptumAssertion, IndexError):
    """A place in a tensor that has none there."""


class UnknownChoice(UnknownName, AssertionError):
    """A name that an argument does not know."""


class NotRowwise(CaptumAssertion):
    """A forward function whose output has no row for each row of its input."""


def as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def drawn_for(inputs: Any, baselines: Any) -> tuple[Any, ...]:
    """A distribution of baselines: what it was given as, or what a function gives, of the inputs if it takes them."""
    if callable(baselines):
        baselines = baselines(inputs) if signature(baselines).parameters else baselines()
    return as_tuple(baselines)


def output_tensor(output: Any) -> Tensor:
    """The tensor in what a forward function returned: itself, a ModelOutput's logits, or the first of a tuple."""
    if isinstance(output, Tensor):
        return output
    if isinstance(output, (int, float)):
        return torch.tensor(output)
    if isinstance(output, dict) and output:
        return output["logits"] if "logits" in output else next(v for v in output.values() if isinstance(v, Tensor))
    if isinstance(output, (tuple, list)) and output and isinstance(output[0], Tensor):
        return output[0]
    raise CaptumAssertion(
        f"the forward function must return a tensor, a number or a ModelOutput; got {type(output).__name__}."
    )


def select(output: Tensor, target: TargetType, owner: Tensor) -> Tensor:
    """The target's column of each row: (R, …) -> (R, T). A list or a tensor holds one target an example."""
    rows = len(owner)
    if output.ndim == 0 or len(output) != rows:
        raise NotRowwise(
            f"{rows} rows went in and an output of shape {tuple(output.shape)} came out; expected {rows} rows."
        )
    if isinstance(target, Tensor) and target.numel() == 1:
        target = int(target)
    if isinstance(target, list) and target and isinstance(target[0], int):
        target = torch.tensor(target)
    try:
        if target is None:
            return output.reshape(rows, -1)
        if isinstance(target, (int, tuple)):
            return output[(slice(None), *as_tuple(target))].reshape(rows, -1)
        if isinstance(target, Tensor) and target.ndim == 1 and output.ndim == 2:
            return output.gather(1, target.to(owner.device)[owner][:, None].to(output.device))
        if isinstance(target, list) and all(isinstance(t, tuple) for t in target):
            return torch.stack([output[(r, *target[e])] for r, e in enumerate(owner.tolist())]).reshape(rows, -1)
    except (IndexError, RuntimeError) as error:
        raise TargetOutOfRange(
            f"target {target!r} is not in an output of shape {tuple(output.shape)}: {error}."
        ) from None
    raise CaptumAssertion(
        f"target {target!r} does not fit an output of shape {tuple(output.shape)}: give an int, a tuple of ints, "
        "or a list or tensor with one of them for each example."
    )


def tensorized(inputs: Tensors, baselines: Baselines) -> Tensors:
    """Baselines with the shape of the inputs: numbers filled in, one row repeated."""
    given = (0,) * len(inputs) if baselines is None else as_tuple(baselines)
    if len(given) != len(inputs):
        raise CaptumAssertion(f"{len(inputs)} inputs need as many baselines; got {len(given)}.")
    made = []
    for x, x0 in zip(inputs, given, strict=True):
        if isinstance(x0, Tensor):
            if x0.shape[1:] != x.shape[1:] or len(x0) not in (1, len(x)):
                raise CaptumAssertion(
                    f"a baseline is a number, or a tensor of its input's shape {tuple(x.shape)} or of one row of it; "
                    f"got {tuple(x0.shape)}."
                )
            made.append((x0.to(x.dtype) if x.is_floating_point() else x0).expand_as(x))
        elif isinstance(x0, (int, float)):
            made.append(torch.full_like(x, x0))
        else:
            raise CaptumAssertion(f"a baseline is a number or a tensor; got {type(x0).__name__}.")
    return tuple(made)


class OnOne(nn.Module):
    """What `DataParallel` runs, on its first device alone: hooks and rules are seen by the thread that asks."""

    def __init__(self, parallel: nn.DataParallel) -> None:
        super().__init__()
        self.module = parallel.module

    def forward(self, *args: Any) -> Any:
        device = device_of(self.module)
        return self.module(*(arg.to(device) if isinstance(arg, Tensor) else arg for arg in args))


@dataclass(frozen=True)
class Forward:
    """A forward function, bound to the arguments of one `attribute` call."""

    func: Callable[..., Any]
    inputs: Tensors  # (B, …) each
    extra: tuple[Any, ...]
    target: TargetType
    tuple_in: bool = True  # were the inputs a tuple? Scores are what inputs were

    @classmethod
    def of(
        cls,
        func: Callable[..., Any],
        inputs: Any,
        extra: Any = None,
        target: TargetType = None,
        *,
        of_batch: bool = False,
    ) -> Forward:
        """Checked. `of_batch`: inputs may differ in batch size, or be empty, where the output is of them all."""
        given = as_tuple(inputs)
        if not given or not all(isinstance(t, Tensor) for t in given):
            raise CaptumAssertion(
                f"inputs must be a tensor or a tuple of tensors; got {[type(t).__name__ for t in given]}."
            )
        sizes = {len(t) if t.ndim else None for t in given}
        if None in sizes or ((len(sizes) > 1 or 0 in sizes) and not of_batch):
            raise CaptumAssertion(f"inputs need one batch size, not 0; got shapes {[tuple(t.shape) for t in given]}.")
        many = len(target) if isinstance(target, list) or (isinstance(target, Tensor) and target.numel() > 1) else None
        if len(sizes) == 1 and many not in (None, len(given[0])):
            raise CaptumAssertion(f"{len(given[0])} examples need as many targets, or one for all; got {many}.")
        func = OnOne(func) if isinstance(func, nn.DataParallel) else func
        return cls(func, given, () if extra is None else as_tuple(extra), target, isinstance(inputs, tuple))

    def shaped(self, tensors: Sequence[Tensor]) -> TensorOrTuple:
        """One tensor for each input, as the inputs were given: a tuple, or the one alone."""
        return tuple(tensors) if self.tuple_in else tensors[0]

    @property
    def examples(self) -> int:
        return len(self.inputs[0])

    @property
    def everyone(self) -> Tensor:
        return torch.arange(self.examples, device=self.inputs[0].device)

    def __call__(self, inputs: Tensors, owner: Tensor) -> Tensor:
        """The raw output for rows of the inputs; extra arguments with a row for each example follow their owner."""
        extra = (
            arg[owner.to(arg.device)] if isinstance(arg, Tensor) and arg.ndim and len(arg) == self.examples else arg
            for arg in self.extra
        )
        hidden = self.model is None and inputs[0].device.type == "cpu"
        with onednn_products() if hidden else nullcontext():
            return output_tensor(self.func(*inputs, *extra))

    def of_owners(self, owner: Tensor) -> Tensor:
        """The raw output at the inputs themselves."""
        return self(tuple(t[owner.to(t.device)] for t in self.inputs), owner)

    def value(self, inputs: Tensors, owner: Tensor) -> Tensor:
        return select(self(inputs, owner), self.target, owner)

    def single(self, values: Tensor) -> Tensor:
        """Values of which a gradient can be taken: one number a row."""
        if values.shape[1] != 1:
            raise CaptumAssertion(
                f"the target must be one number for each example; it has {values.shape[1]}. Give a `target`."
            )
        return values

    @property
    def model(self) -> nn.Module | None:
        """The model behind the function, if there is one to be seen."""
        model = getattr(self.func, "__self__", self.func)
        return model if isinstance(model, nn.Module) else None

    def lent(self) -> AbstractContextManager[None]:
        """The model behind the function, borrowed while we work."""
        return nullcontext() if self.model is None else frozen_model(self.model)


# What is explained, of which tensor: three ways to bind the same function. ------------------------------------------


def at_inputs(
    forward: Forward, baselines: Baselines, *, sites: Sequence[ModulePoint] = (), rows: int | None = None
) -> Problem:
    """Scores are asked of the inputs, or of sites inside while the inputs move."""
    return Problem(
        value=lambda z, owner: forward.single(forward.value(z, owner)),
        x=forward.inputs,
        baseline=tensorized(forward.inputs, baselines),
        sites=tuple(sites),
        rows=Batching(limit=rows),
    )


def at_layers(
    forward: Forward, baselines: Baselines, sites: Sequence[ModulePoint], rows: int | None
) -> tuple[Problem, list[int]]:
    """The layers' tensors move themselves: the model is re-entered there. Also how many tensors each layer has."""
    found = [site_tensors(forward, inputs, sites) for inputs in (forward.inputs, tensorized(forward.inputs, baselines))]
    counts = [len(tensors) for tensors in found[0]]
    passed = prefix_of(forward, sites)

    def value(z: Tensors, owner: Tensor) -> Tensor:
        pieces = iter(z)
        instead = [(site, [next(pieces) for _ in range(n)]) for site, n in zip(sites, counts, strict=True)]
        with skipped(passed, owner, forward.examples), replaced(instead):
            return forward.single(select(forward.of_owners(owner), forward.target, owner))

    x, x0 = (tuple(t.detach() for tensors in of_sites for t in tensors) for of_sites in found)
    return Problem(value=value, x=x, baseline=x0, rows=Batching(limit=rows)), counts


def at_neuron(
    forward: Forward,
    baselines: Baselines,
    site: ModulePoint,
    selector: Selector,
    *,
    through: bool = False,
    rows: int | None = None,
) -> Problem:
    """A neuron is the target. `through`: the part of the function's own target that flows through the neuron.

    That part's gradient is ∂f/∂neuron · ∂neuron/∂x, so integrating it gives the neuron's conductance.
    """

    def neuron(z: Tensors, owner: Tensor) -> Tensor:
        (tensors,) = tensors_at([site], lambda: forward(z, owner))
        return pick(tensors, selector, len(owner))

    def flow(z: Tensors, owner: Tensor) -> Tensor:
        with captured([site], differentiable=torch.is_grad_enabled()) as seen:
            values = forward.single(forward.value(z, owner))
        (tensors,) = seen.tensors()
        slopes = torch.autograd.grad(values.sum(), tensors, retain_graph=True)
        return pick(slopes, selector, len(owner)).detach() * pick(tensors, selector, len(owner))

    return Problem(
        value=flow if through else neuron,
        x=forward.inputs,
        baseline=tensorized(forward.inputs, baselines),
        rows=Batching(limit=rows),
    )


def site_tensors(forward: Forward, inputs: Tensors, sites: Sequence[ModulePoint]) -> list[Tensors]:
    """What passes at the sites for these inputs; what passes once for the batch counts for every example."""
    with torch.no_grad():
        found = tensors_at(sites, lambda: forward(inputs, forward.everyone))
    B = forward.examples
    return [tuple(t.expand(B, *t.shape[1:]) if len(t) == 1 else t for t in tensors) for tensors in found]


def prefix_of(forward: Forward, sites: Sequence[ModulePoint]) -> Passed:
    """What need not run again when a model is re-entered at the sites."""
    return settled(sites, forward.of_owners, forward.everyone)


def pick(tensors: Tensors, selector: Selector, rows: int) -> Tensor:
    """The selected neurons of a layer's tensors, summed: (R, 1)."""
    if callable(selector):
        chosen = selector(tensors if len(tensors) > 1 else tensors[0])
    elif len(tensors) != 1:
        raise CaptumAssertion(
            f"this layer gives out {len(tensors)} tensors; select the neuron with a function of them."
        )
    else:
        where = as_tuple(selector)
        try:
            chosen = tensors[0][(slice(None), *where)]
        except (IndexError, TypeError) as error:
            raise TargetOutOfRange(
                f"no neuron {selector!r} in a layer of shape {tuple(tensors[0].shape[1:])}: {error}."
            ) from None
        if chosen.ndim > 1 and not any(isinstance(index, slice) for index in where):
            raise CaptumAssertion(
                f"neuron {selector!r} leaves a tensor of shape {tuple(chosen.shape[1:])} for each example, "
                f"not a number; give {tensors[0].ndim - 1} indices."
            )
    return chosen.reshape(rows, -1).sum(1, keepdim=True)


def sites_of(layer: Layers, *, layer_input: bool = False) -> list[ModulePoint]:
    """One site a layer. Raises CaptumAssertion for anything that is not a module."""
    layers = list(layer) if isinstance(layer, (list, tuple, nn.ModuleList)) else [layer]
    for module in layers:
        if not isinstance(module, nn.Module):
            raise CaptumAssertion(f"a layer is a torch module, or a list of them; got {type(module).__name__}.")
    side: Literal["input", "output"] = "input" if layer_input else "output"
    return [ModulePoint(module, side) for module in layers]
