"""Attention norms: the length of the vector that each query takes from each key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem, Tensors, cat_each
from xai_nlp.core.registry import Scores, method
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention import AttentionPoint
from xai_nlp.hooks.offload import weight_of
from xai_nlp.hooks.scope import ModulePoint, tensors_at
from xai_nlp.methods.attention import AttentionMethod, target_query_weights


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

    row_stochastic: ClassVar[bool] = True

    what: Literal["heads", "layer", "residual", "normalised"] = "layer"

    def __post_init__(self) -> None:
        if self.what not in ("heads", "layer", "residual", "normalised"):
            raise InvalidInput(f"what is 'heads', 'layer', 'residual' or 'normalised'; got {self.what!r}.")

    def attribute(self, subject: Subject) -> Scores:
        scores = super().attribute(subject)
        points = self._self_attention(subject)
        last = subject.problem(observe=points[-1:]).slope_at_x()
        tokens = torch.einsum("btq,btqk->btk", target_query_weights(last), scores.tensors[-1].sum(2))
        return replace(scores, sequences={"text": tokens}, points=tuple(points))

    def problem(self, subject: Subject) -> Problem:
        """What attention weighs: for each layer four tensors that `scores` reads. Nothing moves."""
        points = self._self_attention(subject)

        def work(part: slice) -> Tensors:
            owner = subject.everyone[part]
            return tuple(t for k, point in enumerate(points) for t in self._weighed(subject, k, point, owner))

        x = cat_each(tensors for _, tensors in subject.chunks(work))
        return Problem(
            value=lambda z, owner: subject.read(lambda: subject.run(owner), owner),
            x=x,
            baseline=x,
            rows=subject.batching,
        )

    @staticmethod
    def _self_attention(subject: Subject) -> list[AttentionPoint]:
        """The matrices in which each layer's text looks at itself."""
        assert subject.points is not None
        points = [point for point in subject.attention if point.stack in ("self", "encoder")]
        return points[: len(subject.points.layers)]

    def _weighed(self, subject: Subject, k: int, point: AttentionPoint, owner: Tensor) -> Tensors:
        """Probabilities (B, H, Q, K), each head's values as its layer gives them out (B, H, K, D), the layer's input
        that enters the sum (B, Q, D), and the factor that the layer norm multiplies the sum by (B, Q)."""
        projection = _inside(subject, k, "projection")
        assert subject.points is not None
        entering, gathered = replace(subject.points.layers[k], side="input"), replace(projection, side="input")

        def run() -> Any:
            return subject.run(owner)

        with torch.no_grad():
            (probabilities,), residual = tensors_at([point, entering], run)
            B, H, Q, K = probabilities.shape
            # Where each query attends to its own place alone, the heads gather the values themselves.
            alone = torch.eye(K).to(probabilities).expand(B, H, Q, K)
            ((values, *_),) = tensors_at([gathered], run, [(point, [alone])])
            weight = weight_of(projection.module, run)
            weight = weight.T if isinstance(projection.module, nn.Linear) else weight  # GPT-2 keeps its own transposed
            heads = weight.unflatten(0, (H, -1))  # (H, E, D)
            vectors = torch.einsum("bkhe,hed->bhkd", values.unflatten(-1, (H, -1)), heads)
            enters, scale = residual[0], probabilities.new_ones(B, Q)
            if self.what == "normalised":
                norm = _inside(subject, k, "norm")
                ((summed, *_),) = tensors_at([replace(norm, side="input")], run)
                module: Any = norm.module
                epsilon = getattr(module, "variance_epsilon", None) or module.eps  # DeBERTa has a name of its own
                scale = (summed.var(-1, unbiased=False) + epsilon).rsqrt()
                gain = weight_of(module, run)
                vectors, enters = ((t - t.mean(-1, keepdim=True)) * gain for t in (vectors, enters))
        return probabilities, vectors, enters, scale

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


def _inside(subject: Subject, k: int, name: str) -> ModulePoint:
    """A module of layer k: its "projection" or "norm" after attention. Raises Unsupported where it is not known."""
    assert subject.points is not None
    inside = subject.points.inside[k]
    if name not in inside:
        raise Unsupported(
            f"the {name} after attention of {type(subject.points.model).__name__} is not known, or comes elsewhere in "
            "its layers. Pass a Layout that names it: Adapter.of(model, Layout(…))."
        )
    return inside[name]
