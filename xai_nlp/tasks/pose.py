"""Problems about a batch of texts: what moves from where to where, and which numbers of the outputs are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.batching import Batching
from xai_nlp.core.features import NO_FEATURE, FeatureMask
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.targets import Target
from xai_nlp.hooks.attention import AttentionSite, Below, attention_site, below
from xai_nlp.hooks.evaluate import evaluate_sites
from xai_nlp.hooks.offload import weight_of
from xai_nlp.hooks.replace import replaced, skipped
from xai_nlp.hooks.scope import HookPoint, ModulePoint
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.image_inputs import Seen

REFERENCE = "reference"  # the baseline that moves positions and types too


@dataclass(frozen=True)
class Batch:
    """Rows side by side, as the model takes them."""

    rows: list[TokenWindow]
    inputs: dict[str, Tensor]  # (B, L) each
    movable: Tensor  # (B, L) bool: the places of words; not special tokens, not padding
    seen: Seen | None = None  # the images that go with them

    @property
    def everyone(self) -> Tensor:
        return torch.arange(len(self.rows), device=self.movable.device)


@dataclass(frozen=True, eq=False, kw_only=True)
class Poser:
    """Poses problems about one batch and target.

    The token ids stay as they are, so positions, types and masks come out right; only what a place carries changes.
    """

    adapter: Adapter
    batch: Batch
    run: Callable[[Tensor], Tensor]  # rows that belong to `owner` (R,) -> outputs (R, *C), whatever hooks are on
    target: Target
    baseline: str
    words: Tensor  # the baseline's word vectors: (B, L, D), or broadcastable
    rows: Batching

    def plain(self) -> Tensor:
        """The model run on the batch as it is."""
        return self.run(self.batch.everyone)

    # The embeddings, or a layer -------------------------------------------------------------------------------------

    def embeddings(self, *, sites: Sequence[HookPoint] = (), also_inputs: bool = False, parts: bool = False) -> Problem:
        """The sum of embeddings moves, or each of them, and the image; scores are of `sites`, or of what moves."""
        words = list(self.parts.values()) if parts else [self.adapter.embeddings]
        moved: list[HookPoint] = [*words, *([self.batch.seen.gate] if self.batch.seen else [])]
        return replace(self._words_move(moved), sites=tuple(sites), also_inputs=also_inputs)

    def layer(self, k: int) -> Problem:
        """The output of a layer moves to what it is for the baseline."""
        return self._words_move([self.adapter.layer(k)])

    @cached_property
    def parts(self) -> dict[str, ModulePoint]:
        """The embeddings that are added up, by name."""
        named = {"word": self.adapter.word, "position": self.adapter.position, "type": self.adapter.types}
        return {name: site for name, site in named.items() if site is not None}

    def _words_move(self, moved: Sequence[HookPoint]) -> Problem:
        """What the places carry goes from the baseline's to the text's: (B, L, D) each; an image's last, (B, *S).

        A baseline is a change of words: their vectors are replaced where they leave the word embedding. The reference
        changes positions and types too, to those of the first token. An image goes from another image.
        """
        B, L = self.batch.movable.shape
        seen = self.batch.seen
        sources = list(self.parts.values()) if self.baseline == REFERENCE else [self.adapter.word]
        with torch.no_grad():
            own = [tensors[0].expand(B, L, -1) for tensors in evaluate_sites(sources, self.plain)]
            others = [torch.where(self.batch.movable[:, :, None], self.words, own[0])]
            others += [vectors[:, :1].expand(B, L, -1) for vectors in own[1:]]
            changed: list[tuple[HookPoint, list[Tensor]]] = [(s, [o]) for s, o in zip(sources, others, strict=True)]
            changed += [(seen.gate, [seen.start])] if seen else []
            found = evaluate_sites(moved, self.plain)
            started = evaluate_sites(moved, self.plain, changed)
        instead = {_what(source): tensors for source, tensors in changed}
        x = [tuple(t.expand(B, *t.shape[1:]) for t in tensors) for tensors in found]
        x0 = [
            tuple(instead.get(_what(place)) or (t.expand(B, *t.shape[1:]) for t in tensors))
            for place, tensors in zip(moved, started, strict=True)
        ]
        places = torch.arange(L, device=self.batch.movable.device)
        features = torch.where(self.batch.movable, places, NO_FEATURE)[:, :, None]  # each word is one
        problem = self._moving(moved, x, x0)
        image = [seen.features(L)] if seen and moved[-1] is seen.gate else []
        return replace(problem, features=FeatureMask.of([features] * (len(problem.x) - len(image)) + image))

    def _moving(self, places: Sequence[HookPoint], x: Sequence[Tensors], x0: Sequence[Tensors]) -> Problem:
        """Each place's tensors go from x0 to x."""

        def value(z: Tensors, owner: Tensor) -> Tensor:
            left = list(z)
            with replaced([(place, [left.pop(0) for _ in given]) for place, given in zip(places, x, strict=True)]):
                return self.target(self.run(owner), owner)

        flat = (tuple(t for tensors in group for t in tensors) for group in (x, x0))
        return Problem(value=value, x=next(flat), baseline=next(flat), rows=self.rows)

    @property
    def where_it_looks(self) -> tuple[ModulePoint, bool]:
        """A layer at which patches can be told apart, and whether words are in its sequence too.

        The last one of the side that looks at the image and that the target depends on; the middle one, where there is
        no such side.
        """
        tower = self.adapter.vision if self.batch.seen else ()
        if not tower:
            return self.adapter.layers[(len(self.adapter.layers) - 1) // 2], True
        problem = self.embeddings(sites=tower)
        slopes = problem.slope(problem.x, problem.everyone).gradients
        firsts = [slopes[k * len(slopes) // len(tower)] for k in range(len(tower))]
        return next(site for site, slope in reversed(list(zip(tower, firsts, strict=True))) if slope.any()), False

    # Attention ------------------------------------------------------------------------------------------------------

    @cached_property
    def attention(self) -> AttentionSite:
        """All attention matrices of a forward pass, as one place."""
        return attention_site(self._root, self.plain)

    @property
    def _root(self) -> nn.Module:
        """Where attention is looked at: where words and image are in one sequence, not where the image is alone."""
        seen = self.batch.seen
        return self.adapter.model if seen is None or seen.places is None else self.adapter.text_stack

    @property
    def read_attention(self) -> tuple[int, ...]:
        """The numbers of the matrices that the target depends on: an image's side may compute one that nobody reads."""
        if self.batch.seen is None or self.batch.seen.places is not None:
            return self.attention.numbers
        slopes = self.embeddings(sites=[self.attention]).slope_at_x().gradients
        return tuple(n for n, slope in zip(self.attention.numbers, slopes, strict=True) if slope.any())

    def matrices(self) -> dict[int, Tensor]:
        """The attention matrices of the texts as they are, by number: (B, H, Q, K) each."""
        with torch.no_grad():
            return dict(zip(self.attention.numbers, evaluate_sites([self.attention], self.plain)[0], strict=True))

    def moved_attention(self, start: str, groups: Sequence[Sequence[int]]) -> Iterator[Problem]:
        """Attention goes from zero or uniform to what it is: a problem for each group of matrices that move together.

        What lies below a matrix that moves alone is computed once; what lies above follows freely.
        """
        x = self.matrices()
        x0 = {n: torch.zeros_like(m) if start == "zero" else _uniform(m) for n, m in x.items()}
        prefix_of = below(self._root, self.plain)
        for group in groups:
            if len(group) == 1:
                yield self._above(prefix_of[group[0]], group[0], x[group[0]], x0[group[0]])
            else:
                place = replace(self.attention, numbers=tuple(group))
                yield self._moving([place], [tuple(x[n] for n in group)], [tuple(x0[n] for n in group)])

    def _above(self, prefix_of: Below, number: int, x: Tensor, x0: Tensor) -> Problem:
        place = replace(
            self.attention, numbers=(number - prefix_of.matrices,)
        )  # counted without those that are skipped
        problem = self._moving([place], [(x,)], [(x0,)])

        def value(z: Tensors, owner: Tensor) -> Tensor:
            with skipped(prefix_of.passed, owner, len(self.batch.rows)):
                return problem.value(z, owner)

        return replace(problem, value=value)

    @cached_property
    def own(self) -> tuple[int, ...]:
        """The numbers of the matrices in which each layer's text looks at itself."""
        matrices = self.attention.matrices
        return tuple(n for n in self.attention.numbers if matrices[n].stack in ("self", "encoder"))[
            : len(self.adapter.layers)
        ]

    def attended_values(self, *, normalised: bool) -> Problem:
        """What attention weighs: for each layer the four tensors that `attention_norms` reads. Nothing moves."""
        x = tuple(t for k in range(len(self.own)) for t in self._weighed(k, normalised))
        return Problem(value=lambda z, owner: self.target(self.run(owner), owner), x=x, baseline=x, rows=self.rows)

    def _weighed(self, k: int, normalised: bool) -> Tensors:
        """Probabilities (B, H, Q, K), each head's values as its layer gives them out (B, H, K, D), what else enters the
        sum (B, Q, D), and what the layer norm multiplies the sum by (B, Q)."""
        projection, block = self.adapter.submodule(k, "projection"), self.adapter.layer(k)
        entering, gathered = replace(block, side="input"), replace(projection, side="input")
        own = replace(self.attention, numbers=self.own[k : k + 1])
        with torch.no_grad():
            (probabilities,), residual = evaluate_sites([own, entering], self.plain)
            B, H, Q, K = probabilities.shape
            # Where each query attends to its own place alone, the heads gather the values themselves.
            alone = torch.eye(K).to(probabilities).expand(B, H, Q, K)
            ((values, *_),) = evaluate_sites([gathered], self.plain, [(own, [alone])])
            heads = _by_head(projection, weight_of(projection.module, self.plain), H)
            vectors = torch.einsum("bkhe,hed->bhkd", values.unflatten(-1, (H, -1)), heads)
            enters, scale = residual[0], probabilities.new_ones(B, Q)
            if normalised:
                norm = self.adapter.submodule(k, "norm")
                ((summed, *_),) = evaluate_sites([replace(norm, side="input")], self.plain)
                module: Any = norm.module
                epsilon = getattr(module, "variance_epsilon", None) or module.eps  # DeBERTa has a name of its own
                scale = (summed.var(-1, unbiased=False) + epsilon).rsqrt()
                gain = weight_of(module, self.plain)
                vectors, enters = ((t - t.mean(-1, keepdim=True)) * gain for t in (vectors, enters))
        return probabilities, vectors, enters, scale


def _what(place: HookPoint) -> object:
    """What two names of the same place have in common."""
    return place.module if isinstance(place, ModulePoint) else place


def _by_head(projection: ModulePoint, weight: Tensor, heads: int) -> Tensor:
    """The projection's weights, each head's part: (H, E, D)."""
    weight = weight.T if isinstance(projection.module, nn.Linear) else weight  # GPT-2 keeps its own transposed
    return weight.unflatten(0, (heads, -1))


def _uniform(probabilities: Tensor) -> Tensor:
    """The same share for every key that is not masked."""
    allowed = (probabilities > 0).to(probabilities)
    return allowed / allowed.sum(-1, keepdim=True).clamp_min(1)
