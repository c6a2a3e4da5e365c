"""Methods that read attention matrices: whom each token drew on, layer by layer and head by head.

A problem's sites are the matrices, (B, H, Q, K) each, the first layer first. In an encoder–decoder, and where an image
has a side of its own, `streams` of each tell which sequence looks at which; everywhere else there is one sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem, Slope
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.methods.gradient import InputXGradientMethod
from xai_nlp.methods.path import Conductance, IntegratedGradientsMethod

Stream = str
#: stack of a matrix -> (who looks, at whom)
STREAMS: dict[str, tuple[Stream, Stream]] = {
    "self": ("text", "text"),
    "encoder": ("text", "text"),
    "decoder": ("out", "out"),
    "cross": ("out", "text"),
    "vision": ("image", "image"),
    "image": ("text", "image"),
    "words": ("image", "text"),
}
FLOW_UNIT = 2**24  # capacities of a flow are whole numbers: so many stand for 1


def streams_of(problem: Problem) -> list[tuple[Stream, Stream]]:
    """(who looks, at whom) of each matrix."""
    return [STREAMS[site.matrices[n].stack] for site in problem.sites for n in getattr(site, "numbers", ())]  # type: ignore[attr-defined]


def steps(streams: Sequence[tuple[Stream, Stream]]) -> list[list[int]]:
    """Matrices by number, in the order of the layers; two sequences that look at each other do so at the same time.

    >>> steps([("text", "text"), ("text", "image"), ("image", "text"), ("text", "text")])
    [[0], [1, 2], [3]]
    """
    found: list[list[int]] = []
    for n, (query, key) in enumerate(streams):
        if n and query != key and streams[n - 1] == (key, query) and len(found[-1]) == 1:
            found[-1].append(n)
        else:
            found.append([n])
    return found


def last_read(slope: Slope) -> int:
    """The last matrix that the target depends on: what one side computes at the end may not be read by anybody."""
    read = (n for n in reversed(range(len(slope.gradients))) if slope.gradients[n].any())
    return next(read, len(slope.gradients) - 1)


def reading(slope: Slope) -> Tensor:
    """Which queries of the last layer the target reads, as shares that add up to 1: (B, T, Q).

    A position that the head of the model does not look at has a gradient of zero in its row. Keys that are masked do
    not count: what a query would gain from padding, or from words to come, says nothing of the target.
    """
    last = last_read(slope)
    size = (slope.gradients[last] * (slope.sites[last] > 0)[:, None]).pow(2).sum((2, 4)).sqrt()
    total = size.sum(-1, keepdim=True)
    return torch.where(total > 0, size / total, 1 / size.shape[-1])


class _Streams:
    """How much each position of one sequence holds of each position of another, as layers are passed: (B, T, Q, K)."""

    def __init__(self, matrices: Sequence[Tensor], streams: Sequence[tuple[Stream, Stream]], targets: int) -> None:
        self.of: dict[tuple[Stream, Stream], Tensor] = {}
        sizes: dict[Stream, int] = {}
        for matrix, pair in zip(matrices, streams, strict=True):
            sizes.update(zip(pair, matrix.shape[-2:], strict=True))
        for name, n in sizes.items():
            for other, m in sizes.items():
                start = torch.eye(n) if name == other else torch.zeros(n, m)
                first = matrices[0]
                self.of[name, other] = start.to(first).expand(len(first), targets, n, m)

    def sources(self, stream: Stream) -> list[Stream]:
        return [other for name, other in self.of if name == stream]

    def read(self, stream: Stream, read: Tensor) -> Found:
        """What the positions of one sequence that are read (B, T, Q) hold of text and image."""
        there = (other for other in ("text", "image") if (stream, other) in self.of)
        return {other: torch.einsum("btq,btqk->btk", read, self.of[stream, other]) for other in there}


Found = dict[Stream, Tensor]  # (B, T, L) for each sequence that scores fall on


@dataclass(frozen=True, kw_only=True)
class AttentionMethod(Method):
    """What the methods of this family share: they read the matrices of all layers, at the input itself."""

    needs_baseline: ClassVar[bool] = False
    unit: ClassVar[str] = ""
    operates_on: ClassVar[str] = "attention"

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        streams = streams_of(problem) or [("text", "text")] * len(slope.sites)
        if any(matrix.ndim != 4 for matrix in slope.sites):
            raise InvalidInput("attention methods score matrices (B, H, Q, K); pose the problem at the attention.")
        matrices, found = self.read(slope, streams, reading(slope))
        return Scores(matrices, slope.values, tokens=found.get("text"), seen=found.get("image"))

    def read(
        self, slope: Slope, streams: Sequence[tuple[Stream, Stream]], read: Tensor
    ) -> tuple[tuple[Tensor, ...], Found]:
        """A score for each entry of each matrix (B, T, H or 1, Q, K), and for each position of a sequence."""
        raise NotImplementedError


def _targets(slope: Slope) -> int:
    return slope.gradients[0].shape[1]


def _one_sequence(streams: Sequence[tuple[Stream, Stream]], what: str) -> None:
    if len({name for pair in streams for name in pair}) > 1:
        raise Unsupported(f"{what} is defined for one sequence; use attention_relevance on an encoder–decoder.")


@method("attention_probabilities")
@dataclass(frozen=True, kw_only=True)
class AttentionProbabilities(AttentionMethod):
    """The attention probabilities as they are; a token's score is what the last layer's readers gave it.

    Says where the model looked, not what it took from there: high attention on a zero vector does nothing.
    Cost: one forward and one backward pass.
    Misleads: where much attention goes to vectors of no length (a separator, often); whatever the target is, it
    says the same.
    Source: Vaswani et al. 2017, eq. 1 (arXiv:1706.03762); on reading it, Jain & Wallace 2019 (arXiv:1902.10186).
    """

    row_stochastic: ClassVar[bool] = True

    def read(
        self, slope: Slope, streams: Sequence[tuple[Stream, Stream]], read: Tensor
    ) -> tuple[tuple[Tensor, ...], Found]:
        T = _targets(slope)
        last = last_read(slope)
        matrices = tuple(matrix[:, None].expand(-1, T, -1, -1, -1) for matrix in slope.sites)
        return matrices, {streams[last][1]: torch.einsum("btq,bqk->btk", read, slope.sites[last].mean(1))}


def mixed(slope: Slope, streams: Sequence[tuple[Stream, Stream]]) -> tuple[tuple[Tensor, ...], _Streams]:
    """Rollout: of what each position is a mixture after each layer, half itself and half what its heads drew on."""
    held = _Streams(slope.sites, streams, _targets(slope))
    after = []
    for step in steps(streams):
        rows: dict[tuple[Stream, Stream], Tensor] = {}
        for n in step:
            query, key = streams[n]
            mean = slope.sites[n].mean(1)[:, None]  # (B, 1, Q, K)
            mixture = {other: held.of[query, other] + mean @ held.of[key, other] for other in held.sources(query)}
            rows |= {(query, other): row / 2 for other, row in mixture.items()}
        held.of.update(rows)
        after += [held.of[streams[n]][:, :, None] for n in step]
    return tuple(after), held


@method("attention_rollout")
@dataclass(frozen=True, kw_only=True)
class AttentionRollout(AttentionMethod):
    """Of which tokens each position is a mixture after each layer, if a layer takes half from itself, half from others.

    Heads are averaged; values, norms and the target are not looked at. Matrices are those accumulated up to each layer.
    Cost: one forward and one backward pass.
    Misleads: in deep models, where mixtures become even; it knows neither the target nor what was taken from whom.
    Source: Abnar & Zuidema 2020, sec. 3 (arXiv:2005.00928); for cross attention the same mixture over both sequences.
    """

    row_stochastic: ClassVar[bool] = True

    def read(
        self, slope: Slope, streams: Sequence[tuple[Stream, Stream]], read: Tensor
    ) -> tuple[tuple[Tensor, ...], Found]:
        after, held = mixed(slope, streams)
        return after, held.read(streams[last_read(slope)][0], read)


@method("attention_flow")
@dataclass(frozen=True, kw_only=True)
class AttentionFlow(AttentionMethod):
    """The maximum flow from each token to the positions that the target reads, through attention as capacities.

    Slow: one flow problem for each token and reader, over layers × L² edges (seconds at 64 tokens, minutes at 256).
    Matrices are the capacities: half the mean head, half the position itself.
    Cost: one forward and one backward pass, and a flow problem for each token and reader.
    Misleads: as `attention_rollout` does; and flows are large along many weak ways.
    Source: Abnar & Zuidema 2020, sec. 3 (arXiv:2005.00928).
    """

    row_stochastic: ClassVar[bool] = True

    def read(
        self, slope: Slope, streams: Sequence[tuple[Stream, Stream]], read: Tensor
    ) -> tuple[tuple[Tensor, ...], Found]:
        _one_sequence(streams, "attention flow")
        B, T, Q = read.shape
        eye = torch.eye(Q).to(slope.sites[0])
        capacities = [(matrix.mean(1) + eye) / 2 for matrix in slope.sites]
        tokens = read.new_zeros(B, T, Q)
        for b in range(B):
            readers = (read[b] > 1e-3).any(0).nonzero()[:, 0].tolist()
            flows = _max_flows(torch.stack([c[b] for c in capacities]).double().cpu(), readers)
            tokens[b] = read[b][:, readers] @ flows.to(read)
        return tuple(c[:, None, None].expand(B, T, 1, Q, Q) for c in capacities), {"text": tokens}


def _max_flows(capacities: Tensor, readers: Sequence[int]) -> Tensor:
    """From each position of the first layer to each reader after the last, (layers, L, L) -> (readers, L)."""
    import numpy as np
    from scipy.sparse import coo_array, csr_array
    from scipy.sparse.csgraph import maximum_flow

    layers, L, _ = capacities.shape
    whole = (capacities * FLOW_UNIT).round().to(torch.int32).numpy()
    layer, query, key = whole.nonzero()
    edges = ((layer + 1) * L + query, layer * L + key)
    size = (layers + 1) * L
    graph = csr_array(coo_array((whole[layer, query, key], edges), shape=(size, size)))
    graph.indices, graph.indptr = graph.indices.astype(np.int32), graph.indptr.astype(np.int32)
    flows = [[maximum_flow(graph, layers * L + q, k).flow_value / FLOW_UNIT for k in range(L)] for q in readers]
    return torch.tensor(flows, dtype=torch.float64)


@method("attention_relevance")
@dataclass(frozen=True, kw_only=True)
class AttentionRelevance(AttentionMethod):
    """Positive gradient × attention, averaged over heads and carried from layer to layer to where the target reads.

    A token's score is what the readers' rows of the carried relevance hold of it, their own identity left out.
    Scores are not negative and do not add up to f(x) − f(x₀). Matrices are gradient × attention, positive part.
    Cost: one forward and one backward pass.
    Misleads: where something speaks against the target: what is negative is dropped; and where the values, not the
    weights, make the difference.
    Source: Chefer, Gur & Wolf 2021b, eq. 5, 6, 10, 11 (arXiv:2103.15679); from a third sequence (the image, by way of
    the question) as eq. 10 has it.
    """

    def read(
        self, slope: Slope, streams: Sequence[tuple[Stream, Stream]], read: Tensor
    ) -> tuple[tuple[Tensor, ...], Found]:
        kept = tuple((m[:, None] * g).clamp_min(0) for m, g in zip(slope.sites, slope.gradients, strict=True))
        held = _Streams(slope.sites, streams, _targets(slope))
        for step in steps(streams):
            added = {pair: more for n in step for pair, more in _carried(held, kept[n].mean(2), *streams[n]).items()}
            held.of.update({pair: held.of[pair] + more for pair, more in added.items()})
        last = streams[last_read(slope)][0]
        held.of[last, last] = held.of[last, last] - torch.eye(held.of[last, last].shape[-1]).to(read)
        return kept, held.read(last, read)


def _carried(held: _Streams, mean: Tensor, query: Stream, key: Stream) -> dict[tuple[Stream, Stream], Tensor]:
    """What one attention (B, T, Q, K) adds to the relevance of the sequence that looks."""
    if query == key:
        return {(query, other): mean @ held.of[query, other] for other in held.sources(query)}
    own, other = _normalised(held.of[query, query]), _normalised(held.of[key, key])
    through = own.transpose(-1, -2) @ mean
    added = {(query, source): through @ held.of[key, source] for source in held.sources(key)}
    return added | {(query, key): through @ other, (query, query): mean @ held.of[key, query]}  # eq. 10 and 11


def _normalised(relevance: Tensor) -> Tensor:
    """Rows of what was added to the identity, brought to sum 1, and the identity again: eq. 8 and 9."""
    eye = torch.eye(relevance.shape[-1]).to(relevance)
    added = relevance - eye
    return added / added.sum(-1, keepdim=True).clamp_min(torch.finfo(added.dtype).tiny) + eye


def by_key(matrices: Sequence[Tensor], streams: Sequence[tuple[Stream, Stream]]) -> Found:
    """What was drawn from each position of text and image, over all matrices that look at it: (B, T, K) each."""
    found: dict[Stream, list[Tensor]] = {}
    for matrix, (_, key) in zip(matrices, streams, strict=True):
        found.setdefault(key, []).append(matrix.sum((2, 3)))
    return {key: torch.stack(drawn).sum(0) for key, drawn in found.items() if key in ("text", "image")}


@method("attention_x_gradient")
@dataclass(frozen=True, kw_only=True)
class AttentionXGradient(InputXGradientMethod):
    """Gradient × attention, entry by entry; a token's score is the sum over all that drew on it.

    The sum over a head's matrix is the derivative of the target by a factor on that head: its size, averaged over
    examples, is the head's importance.
    Cost: one forward and one backward pass.
    Misleads: where attention is sure: its slope is flat there.
    Source: Michel, Levy & Neubig 2019, eq. 2 (arXiv:1905.10650).
    """

    operates_on: ClassVar[str] = "attention"

    def scores(self, problem: Problem) -> Scores:
        return _with_tokens(super().scores(problem), problem)


@method("attention_conductance")
@dataclass(frozen=True, kw_only=True)
class AttentionConductance(Conductance):
    """How much of f(x) − f(x₀) flows through each attention probability while the embeddings move.

    Not complete: the values that attention weighs, and the residual connections, carry the rest.
    Cost: a forward and a backward pass at each step, all layers and heads at once.
    Misleads: where it is taken for all that a layer does: values and residual connections carry the rest.
    Source: Dhamdhere, Sundararajan & Yan 2018, eq. 2 (arXiv:1805.12233), at the matrices as in Captum's BERT tutorial.
    """

    complete: ClassVar[bool] = False
    operates_on: ClassVar[str] = "attention"

    def scores(self, problem: Problem) -> Scores:
        return _with_tokens(super().scores(problem), problem)


def _with_tokens(found: Scores, problem: Problem) -> Scores:
    drawn = by_key(found.tensors, streams_of(problem) or [("text", "text")] * len(found.tensors))
    return replace(found, tokens=drawn.get("text"), seen=drawn.get("image"))


@method("attention_integrated_gradients")
@dataclass(frozen=True, kw_only=True)
class AttentionIntegratedGradients(IntegratedGradientsMethod):
    """Shares out what the target loses when a layer's attention goes to zero, or to uniform: IG of the matrix itself.

    One layer at a time, the layers above left free, or all together. Each layer's scores add up to F(A) − F(A₀), and
    its residual is reported; a token's score is the sum over all that drew on it, averaged over the layers, so tokens
    add up too.
    Cost: a forward and a backward pass at each step, for each layer.
    Misleads: where a layer without attention is nothing that the model has met; and what the values hold does not
    show.
    Source: Hao, Dong, Wei & Xu 2021, eq. 4 (arXiv:2004.11207), with nested quadrature in place of the sum of eq. 5.
    """

    operates_on: ClassVar[str] = "moved attention"

    start: Literal["zero", "uniform"] = "zero"
    together: bool = False

    def __post_init__(self) -> None:
        if self.start not in ("zero", "uniform"):
            raise InvalidInput(f"attention starts from 'zero' or 'uniform'; got {self.start!r}.")


@method("attention_norms")
@dataclass(frozen=True, kw_only=True)
class AttentionNorms(AttentionMethod):
    """How long the vector is that a query takes from a key: attention times what it weighs.

    what: "heads" ‖α f(x)‖, "layer" ‖Σ α f(x)‖ over heads, "residual" with the residual connection, "normalised" with
    the layer norm after it too (families that normalise after attention: BERT, not GPT-2).
    A token's score is what the last layer's readers took from it, summed over heads.
    Cost: three forward passes for each layer, no backward pass.
    Misleads: where long vectors do not matter to the target, which it does not know.
    Source: Kobayashi et al. 2020, eq. 6 (arXiv:2004.10102), and 2021, sec. 3 (arXiv:2109.07152).
    """

    operates_on: ClassVar[str] = "attended values"
    row_stochastic: ClassVar[bool] = True

    what: Literal["heads", "layer", "residual", "normalised"] = "layer"

    def __post_init__(self) -> None:
        if self.what not in ("heads", "layer", "residual", "normalised"):
            raise InvalidInput(f"what is 'heads', 'layer', 'residual' or 'normalised'; got {self.what!r}.")

    def scores(self, problem: Problem) -> Scores:
        value = problem.values(problem.x, problem.everyone)  # (B, T)
        layers = [problem.x[k : k + 4] for k in range(0, len(problem.x), 4)]
        T = value.shape[1]
        matrices = tuple(self._norms(*layer)[:, None].expand(-1, T, -1, -1, -1) for layer in layers)
        return Scores(matrices, value)

    def _norms(self, probabilities: Tensor, vectors: Tensor, enters: Tensor, scale: Tensor) -> Tensor:
        """(B, H, Q, K), or (B, 1, Q, K) where heads are added up."""
        if self.what == "heads":
            return probabilities * vectors.norm(dim=-1)[:, :, None]
        inner = torch.einsum("bhkd,bgkd->bkhg", vectors, vectors)
        squares = torch.einsum("bhqk,bgqk,bkhg->bqk", probabilities, probabilities, inner)
        norms = squares.clamp_min(0).sqrt()
        if self.what in ("residual", "normalised"):
            own = torch.einsum("bhqq,bhqd->bqd", probabilities, vectors) + enters
            norms = torch.where(
                torch.eye(norms.shape[-1], device=norms.device).bool(), own.norm(dim=-1)[:, :, None], norms
            )
        return (norms * scale[:, :, None])[:, None] if self.what == "normalised" else norms[:, None]
