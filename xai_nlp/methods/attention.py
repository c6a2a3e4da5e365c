"""Methods that read attention matrices: which token each token attended to, layer by layer and head by head.

A problem's sites are the matrices, (B, H, Q, K) each, the first layer first. In an encoder–decoder, and where an image
has a side of its own, the streams of a matrix name the sequence that looks and the sequence that is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem, Slope, Tensors
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.errors import InvalidInput, Unsupported

Stream: TypeAlias = str
Pair: TypeAlias = tuple[Stream, Stream]  # the sequence that looks, the sequence looked at
SequenceScores: TypeAlias = dict[Stream, Tensor]  # (B, T, L) for each sequence
Reading: TypeAlias = tuple[Tensors, SequenceScores]  # scores of the matrices and of the sequences

#: stack of a matrix -> its sequences
STREAMS: dict[str, Pair] = {
    "self": ("text", "text"),
    "encoder": ("text", "text"),
    "decoder": ("out", "out"),
    "cross": ("out", "text"),
    "vision": ("image", "image"),
    "image": ("text", "image"),
    "words": ("image", "text"),
}
FLOW_UNIT = 2**24  # capacities of a flow are whole numbers: so many stand for 1


def streams_of(problem: Problem) -> list[Pair]:
    """The sequences of each matrix of a problem, whose inputs are the matrices if it has no sites."""
    return [STREAMS[getattr(matrix, "stack", "self")] for matrix in problem.sites or problem.x]


def steps(streams: Sequence[Pair]) -> list[list[int]]:
    """Matrices by number, in the order of the layers; two sequences that look at each other do so at the same time.

    >>> steps([("text", "text"), ("text", "image"), ("image", "text"), ("text", "text")])
    [[0], [1, 2], [3]]
    """
    groups: list[list[int]] = []
    for n, (query, key) in enumerate(streams):
        if n and query != key and streams[n - 1] == (key, query) and len(groups[-1]) == 1:
            groups[-1].append(n)
        else:
            groups.append([n])
    return groups


def last_matrix_read(slope: Slope) -> int:
    """The last matrix that the target depends on: nothing may read what one side of a model computes at its end."""
    read = (n for n in reversed(range(len(slope.gradients))) if slope.gradients[n].any())
    return next(read, len(slope.gradients) - 1)


def target_query_weights(slope: Slope) -> Tensor:
    """How much the target reads each query of the last layer, as shares that add up to 1: (B, T, Q).

    A position that the head of the model does not look at has a gradient of zero in its row. Masked keys do not count:
    the gradient of an attention to padding, or to words to come, is no part of the target.
    """
    last = last_matrix_read(slope)
    size = (slope.gradients[last] * (slope.sites[last] > 0)[:, None]).pow(2).sum((2, 4)).sqrt()
    total = size.sum(-1, keepdim=True)
    return torch.where(total > 0, size / total, 1 / size.shape[-1])


class _Streams:
    """How much each position of one sequence holds of each position of another, as layers are passed: (B, T, Q, K)."""

    def __init__(self, matrices: Sequence[Tensor], streams: Sequence[Pair], targets: int) -> None:
        self.of: dict[Pair, Tensor] = {}
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

    def read(self, stream: Stream, read: Tensor) -> SequenceScores:
        """What the positions of one sequence that are read (B, T, Q) hold of text and image."""
        there = (other for other in ("text", "image") if (stream, other) in self.of)
        return {other: torch.einsum("btq,btqk->btk", read, self.of[stream, other]) for other in there}


@dataclass(frozen=True, kw_only=True)
class AttentionMethod(Method):
    """What the methods of this family share: they read the matrices of all layers, at the input itself."""

    needs_baseline: ClassVar[bool] = False
    looks_at_x_first = True
    unit: ClassVar[str] = ""
    operates_on: ClassVar[str] = "attention"

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        if any(matrix.ndim != 4 for matrix in slope.sites):
            raise InvalidInput("attention methods score matrices (B, H, Q, K); pose the problem at the attention.")
        matrices, sequences = self.read(slope, streams_of(problem), target_query_weights(slope))
        return Scores(matrices, slope.values, sequences=sequences, points=problem.sites)

    def read(self, slope: Slope, streams: Sequence[Pair], read: Tensor) -> Reading:
        """A score for each entry of each matrix (B, T, H or 1, Q, K), and for each position of a sequence.

        read: how much the target reads each query of the last layer (B, T, Q).
        """
        raise NotImplementedError


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

    def read(self, slope: Slope, streams: Sequence[Pair], read: Tensor) -> Reading:
        last = last_matrix_read(slope)
        matrices = tuple(matrix[:, None].expand(-1, read.shape[1], -1, -1, -1) for matrix in slope.sites)
        return matrices, {streams[last][1]: torch.einsum("btq,bqk->btk", read, slope.sites[last].mean(1))}


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

    def read(self, slope: Slope, streams: Sequence[Pair], read: Tensor) -> Reading:
        held = _Streams(slope.sites, streams, read.shape[1])
        after = []
        for step in steps(streams):
            rows: dict[Pair, Tensor] = {}
            for n in step:
                query, key = streams[n]
                mean = slope.sites[n].mean(1)[:, None]  # (B, 1, Q, K)
                mixture = {other: held.of[query, other] + mean @ held.of[key, other] for other in held.sources(query)}
                rows |= {(query, other): row / 2 for other, row in mixture.items()}
            held.of.update(rows)
            after += [held.of[streams[n]][:, :, None] for n in step]
        return tuple(after), held.read(streams[last_matrix_read(slope)][0], read)


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

    def read(self, slope: Slope, streams: Sequence[Pair], read: Tensor) -> Reading:
        if set(streams) != {("text", "text")}:
            raise Unsupported(
                "attention flow is defined for one sequence; use attention_relevance on an encoder–decoder."
            )
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
    integers = (capacities * FLOW_UNIT).round().to(torch.int32).numpy()
    layer, query, key = integers.nonzero()
    edges = ((layer + 1) * L + query, layer * L + key)
    size = (layers + 1) * L
    graph = csr_array(coo_array((integers[layer, query, key], edges), shape=(size, size)))
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

    def read(self, slope: Slope, streams: Sequence[Pair], read: Tensor) -> Reading:
        positive = tuple((m[:, None] * g).clamp_min(0) for m, g in zip(slope.sites, slope.gradients, strict=True))
        held = _Streams(slope.sites, streams, read.shape[1])
        for step in steps(streams):
            added = {
                pair: more for n in step for pair, more in _carried(held, positive[n].mean(2), *streams[n]).items()
            }
            held.of.update({pair: held.of[pair] + more for pair, more in added.items()})
        last = streams[last_matrix_read(slope)][0]
        held.of[last, last] = held.of[last, last] - torch.eye(held.of[last, last].shape[-1]).to(read)
        return positive, held.read(last, read)


def _carried(held: _Streams, mean: Tensor, query: Stream, key: Stream) -> dict[Pair, Tensor]:
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


def by_key(matrices: Sequence[Tensor], streams: Sequence[Pair]) -> SequenceScores:
    """The scores of each position of text and image, summed over all matrices that look at it: (B, T, K) each."""
    by_stream: dict[Stream, list[Tensor]] = {}
    for matrix, (_, key) in zip(matrices, streams, strict=True):
        by_stream.setdefault(key, []).append(matrix.sum((2, 3)))
    return {key: torch.stack(sums).sum(0) for key, sums in by_stream.items() if key in ("text", "image")}
