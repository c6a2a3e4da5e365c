"""Maps of where a convolutional layer saw what it saw. For images: a layer's channels are its second dimension."""

from dataclasses import dataclass

from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores


@dataclass(frozen=True, kw_only=True)
class GradCam(Method):
    """Each channel's gradient, averaged over places, times what the channel gives out there.

    Not in the table of methods: it is asked of a layer that has channels and places, which no text layer has.
    Source: Selvaraju et al. 2016, eq. 1 and 2 (arXiv:1610.02391); eq. 2's ReLU is `positive`.
    """

    compares = False

    positive: bool = False
    summed: bool = True  # over channels: (B, T, 1, *places); else (B, T, C, *places)

    def scores(self, problem: Problem) -> Scores:
        slope = problem.slope_at_x()
        return Scores(tuple(map(self._map, slope.sites, slope.gradients)), slope.values)

    def _map(self, site: Tensor, gradient: Tensor) -> Tensor:
        places = tuple(range(3, gradient.ndim))
        weights = gradient.mean(places, keepdim=True) if places else gradient
        cam = weights * site[:, None]
        cam = cam.sum(2, keepdim=True) if self.summed else cam
        return cam.clamp(min=0) if self.positive else cam
