"""Maps of where a layer saw what it saw: its channels are the second dimension of a convolution's, the last of a
transformer's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.core.subject import Subject
from xai_nlp.hooks.scope import HookPoint


@dataclass(frozen=True, kw_only=True)
class GradCam(Method):
    """Each channel's gradient, averaged over places, times what the channel gives out there.

    Asked of a layer that has channels and then places; for layers of a transformer, `SequenceGradCam`.
    Source: Selvaraju et al. 2016, eq. 1 and 2 (arXiv:1610.02391); eq. 2's ReLU is `positive`.
    positive: scores below zero become zero.
    summed: over channels, (B, T, 1, *places); else (B, T, C, *places).
    """

    needs_baseline: ClassVar[bool] = False

    positive: bool = False
    summed: bool = True

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        pairs = zip(slope.sites, slope.gradients, strict=True)
        return Scores(tuple(self._map(*pair, problem.examples) for pair in pairs), slope.values)

    def _map(self, site: Tensor, gradient: Tensor, examples: int) -> Tensor:
        """The map of B examples, from a site (B, C, *places) and its gradient (B, T, C, *places)."""
        places = tuple(range(3, gradient.ndim))
        weights = gradient.mean(places, keepdim=True) if places else gradient
        cam = weights * site[:, None]
        cam = cam.sum(2, keepdim=True) if self.summed else cam
        return cam.clamp(min=0) if self.positive else cam


@method("grad_cam")
@dataclass(frozen=True, kw_only=True)
class SequenceGradCam(GradCam):
    """Grad-CAM at a layer of a transformer: each channel's mean gradient over positions, times what it holds there.

    Scores are what a layer holds at a position, wherever it came from: patches have mixed by then. Asked of the last
    layer of a model's side that looks at the image, of the middle one where words and image share theirs, or of
    `layer`. Not negative unless `positive=False`; they do not add up to anything.
    Cost: one forward and one backward pass.
    Misleads: in late layers, where positions have mixed: a score says where something was held, not where it came
    from; what speaks against the target is not shown.
    Source: Selvaraju et al. 2016, eq. 1 and 2 (arXiv:1610.02391), over tokens instead of places.
    """

    operates_on: ClassVar[str] = "layer"

    positive: bool = True

    def attribute(self, subject: Subject) -> Scores:
        if subject.layer is not None:
            return super().attribute(subject)
        tower = self._last_read(subject)
        assert subject.points is not None
        layers = subject.points.layers
        scores = super().attribute(replace(subject, layer=tower or layers[(len(layers) - 1) // 2]))
        return replace(scores, sequences={"image": scores.sequences["joint"]}) if tower else scores

    @staticmethod
    def _last_read(subject: Subject) -> HookPoint | None:
        """The last layer of the image's own side that the target depends on; None where there is no such side."""
        tower = subject.points.vision if subject.points and "image" in subject.inputs else ()
        if not tower:
            return None
        problem = subject.problem(observe=tower)
        gradients = problem.slope_at_x().gradients
        firsts = [gradients[k * len(gradients) // len(tower)] for k in range(len(tower))]
        return next(layer for layer, slope in reversed(list(zip(tower, firsts, strict=True))) if slope.any())

    def _map(self, site: Tensor, gradient: Tensor, examples: int) -> Tensor:
        """(B, S, D) and (B, T, S, D) -> (B, T, S, 1). Tiles and packed patches of one example are one sequence."""
        if len(site) != examples or site.ndim < 3:
            site, gradient = site.flatten(0, -2)[None], gradient.transpose(0, 1).flatten(1, -2)[None]
        site, gradient = site.flatten(1, -2), gradient.flatten(2, -2)
        return super()._map(site.transpose(1, 2), gradient.transpose(2, 3), examples).transpose(2, 3)
