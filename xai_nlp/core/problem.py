"""The one thing a method is handed: T numbers of some tensors, the point to explain, the point to compare it with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from xai_nlp.core.batching import Batching, Result
from xai_nlp.core.features import Features
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import HookPoint, captured, tensors_at

Tensors = tuple[Tensor, ...]
ID_ENTRIES = 128  # a token id counts as many numbers when a row's size is estimated


def row_entries(x: Tensors) -> int:
    """The size of one row of these inputs, in numbers."""
    ids = max((t[:1].numel() for t in x if not t.is_floating_point()), default=0)
    return sum(t[:1].numel() for t in x if t.is_floating_point()) + ids * ID_ENTRIES


def cat_each(parts: Iterable[Tensors]) -> Tensors:
    """The first tensors of all parts along their rows, then the second ones, and so on."""
    return tuple(map(torch.cat, zip(*parts, strict=True)))


class Slope(NamedTuple):
    """Values and gradients at R points, from one forward pass and T backward passes."""

    values: Tensor  # (R, T)
    sites: Tensors  # (R, *S) each: what the gradient was asked of
    gradients: Tensors  # (R, T, *S) each: d values / d sites

    def rows(self, rows: slice) -> Slope:
        """Some of the points."""
        return Slope(self.values[rows], tuple(t[rows] for t in self.sites), tuple(t[rows] for t in self.gradients))

    @classmethod
    def joined(cls, parts: Sequence[Slope]) -> Slope:
        """All points of several parts."""
        if len(parts) == 1:
            return parts[0]
        values, sites, gradients = zip(*parts, strict=True)
        return cls(torch.cat(values), cat_each(sites), cat_each(gradients))


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A function of one or more tensors, bound to a model: tensors in, T numbers a row out.

    Tensors may be on several devices: sites and gradients stay on their module's, values are on the first input's.

    `value(z, owner)` scores R trial points at once, each a row of every tensor in `z`. `owner[r]` says which of the
    B examples row r belongs to, so masks, targets and other context are looked up, never repeated by the caller.

    Scores are asked of `sites`: tensors that pass inside the model, caught as it runs; without any, of the inputs;
    with `also_inputs`, of the sites first and then of the inputs, in the same sweep.
    """

    value: Callable[[Tensors, Tensor], Tensor]  # z: (R, *S) each, owner: (R,) int64 -> (R, T)
    x: Tensors  # (B, *S) each
    baseline: Tensors  # (B, *S) each
    sites: tuple[HookPoint, ...] = ()
    also_inputs: bool = False
    features: Features | None = None  # what perturbation removes together; each entry alone if None
    rows: Batching = field(default_factory=Batching)

    def __post_init__(self) -> None:
        for x, x0 in zip(self.x, self.baseline, strict=True):
            if x.shape != x0.shape:
                raise InvalidInput(
                    f"a baseline has the shape of its input; got {tuple(x0.shape)} for {tuple(x.shape)}."
                )

    @property
    def examples(self) -> int:
        return len(self.x[0])

    @property
    def everyone(self) -> Tensor:
        """The owner of each row when every example is one row: (B,)."""
        return torch.arange(self.examples, device=self.x[0].device)

    def at(self, owner: Tensor, t: Tensor) -> Tensors:
        """The points x₀ + t·(x − x₀) of the examples `owner`: (R, *S) each. Whole numbers become floating-point."""
        points = []
        for ends in zip(self.baseline, self.x, strict=True):
            rows = owner.to(ends[0].device)
            x0, x = (end[rows] if end.is_floating_point() else end[rows].to(torch.get_default_dtype()) for end in ends)
            points.append(torch.lerp(x0, x, t.to(x).view(-1, *[1] * (x.ndim - 1))))
        return tuple(points)

    def chunks(self, count: int, work: Callable[[slice], Result]) -> Iterator[tuple[slice, Result]]:
        """`work` over `count` rows, as many at a time as memory allows."""
        return self.rows.chunks(count, row_entries(self.x), self.x[0].device, work)

    def ends(self) -> tuple[Tensor, Tensor]:
        """f(x) and f(x₀), without a gradient: (B, T) each."""
        both = tuple(torch.cat(ends) for ends in zip(self.x, self.baseline, strict=True))
        value, baseline_value = self.values(both, self.everyone.repeat(2)).chunk(2)
        return value, baseline_value

    def values(self, z: Tensors, owner: Tensor) -> Tensor:
        """The T numbers of each row, without a gradient: (R, T)."""

        def work(part: slice) -> Tensor:
            with torch.no_grad():
                return self.value(tuple(t[part] for t in z), owner[part]).to(owner.device)

        return torch.cat([values for _, values in self.chunks(len(owner), work)])

    def slope(self, z: Tensors, owner: Tensor, *, inputs_too: bool = False) -> Slope:
        """Values and gradients at R points, in one forward pass and T backward passes.

        Touches no parameter's `.grad` and no caller's tensor. With `inputs_too` the inputs follow the sites.
        """
        needs_graph = inputs_too or not self.sites  # else what lies before the sites needs no graph
        with torch.enable_grad(), ExitStack() as done:
            z = tuple(t.detach().requires_grad_(needs_graph) if t.is_floating_point() else t for t in z)
            if self.sites:
                with captured(self.sites, differentiable=True, rows=len(owner), until=done) as result:
                    values = self.value(z, owner)
                nodes = tuple(tensor for tensors in result.tensors() for tensor in tensors)
                nodes += tuple(t for t in z if inputs_too and t.requires_grad)
            else:
                try:
                    values, nodes = self.value(z, owner), z
                except RuntimeError as error:
                    if "'indices'" not in str(error):
                        raise
                    raise _no_gradients_of_ids("the function looks its inputs up in a table") from None
                if not all(t.requires_grad for t in z):
                    raise _no_gradients_of_ids(f"got {', '.join(str(t.dtype) for t in self.x)}")
            if values.requires_grad:
                grad = partial(torch.autograd.grad, values, nodes, allow_unused=True, materialize_grads=True)
                *others, last = _each_target(values)
                gradients = [*(grad(target, retain_graph=True) for target in others), grad(last)]
            elif not needs_graph and self.depends_on_inputs(z, owner):  # the target does not use the sites
                gradients = [tuple(map(torch.zeros_like, nodes))] * values.shape[1]
            else:
                raise InvalidInput(
                    f"the target does not depend on {'the inputs' if needs_graph else 'the layer'} through "
                    "differentiable operations. Does it use them? "
                    "Is the model's forward wrapped in `torch.no_grad()`, or does it return numbers instead of tensors?"
                )
        stacked = tuple(
            torch.stack(of_site, 1) if len(of_site) > 1 else of_site[0][:, None]
            for of_site in zip(*gradients, strict=True)
        )
        return Slope(values.detach().to(owner.device), tuple(node.detach() for node in nodes), stacked)

    def depends_on_inputs(self, z: Tensors, owner: Tensor) -> bool:
        """True if the target has a gradient at some input; whole numbers have none. It takes a pass."""
        moving = tuple(t.detach().requires_grad_() if t.is_floating_point() else t for t in z)
        return self.value(moving, owner).requires_grad

    def slope_at_x(self) -> Slope:
        """Values and gradients at the inputs themselves, in bounded memory: R is B."""

        def work(part: slice) -> Slope:
            return self.slope(tuple(t[part] for t in self.x), self.everyone[part])

        return Slope.joined([slope for _, slope in self.chunks(self.examples, work)])

    def site_tensors(self, z: Tensors) -> list[Tensors]:
        """The tensors at each site when the inputs of the examples are z (B, *S), without a gradient: (B, *S) each.

        A tensor that passes once for the whole batch counts for every example.
        """

        def work(part: slice) -> list[Tensors]:
            owner = self.everyone[part]
            with torch.no_grad():
                sites = tensors_at(self.sites, lambda: self.value(tuple(t[part] for t in z), owner))
            return [tuple(t.expand(len(owner), *t.shape[1:]) if len(t) == 1 else t for t in ts) for ts in sites]

        parts = [tensors for _, tensors in self.chunks(self.examples, work)]
        return parts[0] if len(parts) == 1 else [cat_each(of_site) for of_site in zip(*parts, strict=True)]

    def part(self, examples: Tensor) -> Problem:
        """The same problem for some of the examples: (E,) their numbers, which may repeat."""

        def value(z: Tensors, owner: Tensor) -> Tensor:
            return self.value(z, examples[owner])

        x, x0 = (tuple(t[examples.to(t.device)] for t in tensors) for tensors in (self.x, self.baseline))
        features = None if self.features is None else self.features.select(examples)
        return replace(self, value=value, x=x, baseline=x0, features=features)

    def against(self, baselines: Tensors) -> Problem:
        """Each example with each of N baselines (N, *S) in turn, as B · N examples."""
        pairs = self.part(self.everyone.repeat_interleave(len(baselines[0])))
        starts = tuple(b.detach().repeat(self.examples, *[1] * (b.ndim - 1)) for b in baselines)
        return replace(pairs, baseline=starts)


def _each_target(values: Tensor) -> list[Tensor]:
    """What selects one target after the other, summed over the rows of the values (R, T), on the way back."""
    T = values.shape[1]
    if T == 1:
        return [torch.ones_like(values)]
    return list(torch.eye(T, dtype=values.dtype, device=values.device)[:, None].expand(T, len(values), T))


def _no_gradients_of_ids(reason: str) -> InvalidInput:
    remedy = "Token ids can be explained at a layer: name the embedding layer."
    return InvalidInput(f"gradients need floating-point inputs; {reason}. {remedy}")
