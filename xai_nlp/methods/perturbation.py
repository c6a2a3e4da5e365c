"""Methods that remove parts of the input and compare the values of the target."""

from dataclasses import dataclass
from typing import ClassVar

from xai_nlp.core.coalitions import features_of, leave_one_out
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method, Scores, method


@method("occlusion")
@dataclass(frozen=True, kw_only=True)
class OcclusionMethod(Method):
    """The loss of the target when one feature is replaced by the baseline: f(x) − f(x without it).

    For a text, a feature is a token: leave-one-out. Scores do not add up to f(x) − f(x₀): two words that can stand
    in for each other both score near zero.
    Cost: one forward pass for each feature.
    Misleads: where features can stand in for each other: each scores near zero; and where nothing is like the input
    without one.
    Source: Zeiler & Fergus 2014, sec. 4.2 (arXiv:1311.2901); for text, Li, Monroe & Jurafsky 2016 (arXiv:1612.08220).
    """

    supports_layers: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = False

    def scores(self, problem: Problem) -> Scores:
        value, without = leave_one_out(problem)
        return Scores(features_of(problem).to_entries(value[:, :, None] - without), value)
