"""Maps of where a layer saw what it saw: its channels are the second dimension of a convolution's, the last of a
transformer's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method
from xai_nlp.core.subject import Subject
from xai_nlp.errors import Unsupported
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
    `layer`. A model that reads an image alone is asked at the last layer whose places the target depends on: the last
    stage of a convolutional one, the last block but one where only a class token is read (ViT). Its map is
    interpolated, and a region has the mean of its pixels. Not negative unless `positive=False`; they do not add up to
    anything.
    Cost: one forward and one backward pass.
    Misleads: in late layers, where positions have mixed: a score says where something was held, not where it came
    from; what speaks against the target is not shown.
    Source: Selvaraju et al. 2016, eq. 1 and 2 (arXiv:1610.02391), over tokens instead of places.
    """

    operates_on: ClassVar[str] = "layer"
    looks_at_x_first = True

    positive: bool = True

    def attribute(self, subject: Subject) -> Scores:
        if set(subject.inputs) == {"image"}:
            return self._of_image(subject, subject.inputs["image"].positions)
        if subject.layer is not None:
            return super().attribute(subject)
        tower = self._last_read(subject)
        assert subject.points is not None
        layers = subject.points.layers
        scores = super().attribute(replace(subject, layer=tower or layers[(len(layers) - 1) // 2]))
        return replace(scores, sequences={"image": scores.sequences["joint"]}) if tower else scores

    def _of_image(self, subject: Subject, patches: int | None) -> Scores:
        """The map of an image alone. patches: positions of a layer's sequence that are patches; None for all."""
        assert subject.points is not None
        layers = subject.points.layers if subject.layer is None else (subject.layer,)
        if not layers:
            raise Unsupported("Grad-CAM needs a layer, and the layers of this model were not found.")
        slope = subject.problem(observe=layers).slope_at_x()
        each = len(slope.sites) // len(layers)  # a layer may give several tensors; its hidden states come first
        pairs = zip(slope.sites[::each], slope.gradients[::each], strict=True)
        places = [_channels_first(site, gradient, patches) for site, gradient in pairs]
        read = next((pair for pair in reversed(places) if pair[1].any()), places[-1])
        cam = super()._map(*read, len(slope.values))
        return Scores((), slope.values, sequences={"map": cam.sum(2).flatten(2)})

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


def _channels_first(site: Tensor, gradient: Tensor, patches: int | None) -> tuple[Tensor, Tensor]:
    """A layer's tensor (B, C, *places) and its gradient (B, T, C, *places), from those of a sequence (B, S, C)."""
    if site.ndim != 3:
        return site, gradient
    first = site.shape[1] - (site.shape[1] if patches is None else patches)
    return site[:, first:].transpose(1, 2), gradient[:, :, first:].transpose(2, 3)
