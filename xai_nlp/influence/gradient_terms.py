"""Gradients of each example as sums of outer products: their dot products need no matrix of a weight's size.

The gradient of a weight that is multiplied with vectors is Σ_t left[t] ⊗ right[t] over the positions t of an example.
The dot product of two such sums is Σ_st ⟨left[s], left'[t]⟩ · ⟨right[s], right'[t]⟩ ("ghost" products: Goodfellow 2015,
arXiv:1510.01799; Li et al. 2022, sec. 4, arXiv:2110.05679). For word embeddings `left` is one-hot: tokens must agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor

ENTRIES = 2**24  # entries of what is in memory for one chunk of examples


@dataclass(frozen=True)
class Dense:
    """The gradient of each example: (B, *shape)."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @property
    def entries(self) -> int:
        """Numbers of one example in memory."""
        return self.values[0].numel()

    def part(self, rows: slice) -> Dense:
        """Some examples."""
        return Dense(self.values[rows])

    def matrix(self) -> Tensor:
        """One row for each example: (B, P)."""
        return self.values.reshape(len(self.values), -1)

    def sum(self, weights: Tensor) -> Tensor:
        """The weighted sum over examples: (P,)."""
        return weights.to(self.values) @ self.matrix()


@dataclass(frozen=True)
class Outer:
    """For each example Σ_t left[t] ⊗ right[t].

    left: (B, T, m), or with `rows` the index of a row of m each: (B, T). right: (B, T, n).
    """

    left: Tensor
    right: Tensor
    rows: int | None = None

    def __len__(self) -> int:
        return len(self.right)

    @property
    def width(self) -> int:
        """Numbers that the product of two lefts adds up."""
        return 1 if self.rows else self.left.shape[2]

    @property
    def entries(self) -> int:
        """Numbers of one example in memory."""
        return self.left[0].numel() + self.right[0].numel()

    @property
    def size(self) -> int:
        """Numbers of the matrix of one example."""
        return (self.rows or self.left.shape[2]) * self.right.shape[2]

    def part(self, rows: slice) -> Outer:
        """Some examples."""
        return Outer(self.left[rows], self.right[rows], self.rows)

    def matrix(self) -> Tensor:
        """One row for each example: (B, m · n)."""
        if not self.rows:
            return torch.einsum("btm,btn->bmn", self.left, self.right).flatten(1)
        B, T, n = self.right.shape
        flat = self.right.new_zeros(B * self.rows, n)
        offsets = torch.arange(B, device=flat.device)[:, None] * self.rows
        return flat.index_add_(0, (self.left + offsets).flatten(), self.right.reshape(B * T, n)).view(B, -1)

    def sum(self, weights: Tensor) -> Tensor:
        """The weighted sum over examples: (m · n,)."""
        right = self.right * weights.to(self.right)[:, None, None]
        whole = Outer(self.left.flatten(0, 1)[None], right.flatten(0, 1)[None], self.rows)
        return whole.matrix()[0]


Term = Dense | Outer
Part = TypeVar("Part", Dense, Outer)


def dense(term: Term) -> Dense:
    """The term as a matrix."""
    return Dense(term.matrix())


def compact(term: Term) -> Term:
    """The form that takes less memory."""
    return dense(term) if isinstance(term, Outer) and term.entries >= term.size else term


def products(first: Term, second: Term) -> Tensor:
    """The dot product of each gradient of the first with each of the second: (A, B)."""
    if isinstance(first, Outer) and isinstance(second, Outer):
        S, T = first.right.shape[1], second.right.shape[1]
        pairs = len(first) * len(second)
        ghost = pairs * S * T * (first.width + second.width + first.right.shape[2])
        by_matrix = (len(first) * S + len(second) * T + pairs) * first.size
        if ghost <= by_matrix:
            return _in_parts(first, len(second) * S * T, lambda part: _ghost(part, second))
    if isinstance(first, Outer):
        return _in_parts(first, first.size, lambda part: products(dense(part), second))
    if isinstance(second, Outer):
        return _in_parts(second, second.size, lambda part: products(first, dense(part)).T).T
    return first.matrix() @ second.matrix().T


def paired(first: Term, second: Term) -> Tensor:
    """The dot product of each gradient of the first with that of the same example in the second: (B,)."""
    if isinstance(first, Outer) and isinstance(second, Outer):
        S, T = first.right.shape[1], second.right.shape[1]
        if S * T * (first.width + first.right.shape[2]) <= (S + T + 1) * first.size:
            ones = range(len(first))
            return torch.cat([_ghost(first.part(slice(i, i + 1)), second.part(slice(i, i + 1)))[0] for i in ones])
    size = max(term.size if isinstance(term, Outer) else term.entries for term in (first, second))
    step = max(1, ENTRIES // size)
    parts = [slice(start, start + step) for start in range(0, len(first), step)]
    return torch.cat([(first.part(part).matrix() * second.part(part).matrix()).sum(1) for part in parts])


def _in_parts(term: Part, entries: int, work: Callable[[Part], Tensor]) -> Tensor:
    """What work gives for all examples of a term, where so many entries are in memory for one of them."""
    step = max(1, ENTRIES // max(1, entries))
    return torch.cat([work(term.part(slice(start, start + step))) for start in range(0, len(term), step)])


def _ghost(first: Outer, second: Outer) -> Tensor:
    """The dot products by positions: (A, B)."""
    right = torch.einsum("asn,btn->abst", first.right, second.right)
    return (right * _left_products(first, second)).sum((2, 3))


def products_by_position(first: Outer, second: Outer) -> tuple[Tensor, Tensor]:
    """The dot products of each pair as sums over the positions of either: (A, B, S) and (A, B, T)."""
    both = torch.einsum("asn,btn->abst", first.right, second.right) * _left_products(first, second)
    return both.sum(3), both.sum(2)


def _left_products(first: Outer, second: Outer) -> Tensor:
    """⟨left[s], left'[t]⟩ of each pair of examples: (A, B, S, T)."""
    if first.rows and second.rows:
        return first.left[:, None, :, None] == second.left[None, :, None, :]
    if second.rows:
        return first.left[:, :, second.left].permute(0, 2, 1, 3)
    if first.rows:
        return _left_products(second, first).permute(1, 0, 3, 2)
    return torch.einsum("asm,btm->abst", first.left, second.left)


@dataclass(frozen=True)
class ExampleGradients:
    """The gradient of each of `size` examples: for each parameter a sum of terms."""

    size: int
    terms: Mapping[str, Sequence[Term]] = field(default_factory=dict)

    def products(self, other: ExampleGradients) -> Tensor:
        """The dot product of each gradient with each of the other's: (A, B)."""
        parts = [
            products(first, second)
            for name, terms in self.terms.items()
            for first in terms
            for second in other.terms[name]
        ]
        return torch.stack(parts).sum(0)

    def squares(self) -> Tensor:
        """The squared length of each gradient: (B,)."""
        parts = [
            paired(first, second) for terms in self.terms.values() for first in terms for second in terms
        ]  # few weights are used twice
        return torch.stack(parts).sum(0)

    def matrix(self) -> Tensor:
        """One row for each example, parameters in their order: (B, P)."""
        return torch.cat([sum(term.matrix() for term in terms) for terms in self.terms.values()], 1)  # type: ignore[misc]

    def total(self) -> ExampleGradients:
        """The sum over the examples, as one gradient."""
        totals = {name: [Dense(summed(terms)[None])] for name, terms in self.terms.items()}
        return ExampleGradients(1, totals)

    def compacted(self) -> ExampleGradients:
        """The same in the form that takes less memory."""
        return ExampleGradients(self.size, {name: [compact(t) for t in terms] for name, terms in self.terms.items()})

    @staticmethod
    def concatenated(parts: Sequence[ExampleGradients]) -> ExampleGradients:
        """The examples of several one after another, which have the same terms."""
        if len(parts) == 1:
            return parts[0]
        names = parts[0].terms
        joined = {name: _joined([part.terms[name] for part in parts]) for name in names}
        return ExampleGradients(sum(part.size for part in parts), joined)


def summed(terms: Sequence[Term], weights: Tensor | None = None) -> Tensor:
    """The weighted sum of terms and examples: (P,)."""
    ones = torch.ones(len(terms[0]), device=terms[0].matrix().device) if weights is None else weights
    return torch.stack([term.sum(ones) for term in terms]).sum(0)


def _joined(parts: Sequence[Sequence[Term]]) -> list[Term]:
    """Terms of several batches, term by term where they have the same form."""
    if all([_form(term) for term in part] == [_form(term) for term in parts[0]] for part in parts):
        return [
            Dense(torch.cat([t.values for t in terms]))
            if isinstance(terms[0], Dense)
            else Outer(torch.cat([t.left for t in terms]), torch.cat([t.right for t in terms]), terms[0].rows)
            for terms in zip(*parts, strict=True)
        ]
    return [Dense(torch.cat([torch.stack([t.matrix() for t in part]).sum(0) for part in parts]))]


def _form(term: Term) -> tuple[object, ...]:
    if isinstance(term, Dense):
        return (Dense, term.values.shape[1:])
    return (Outer, term.left.shape[1:], term.right.shape[1:], term.rows)
