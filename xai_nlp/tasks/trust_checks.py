"""The checks of a trust verdict: numbers in, a level and a sentence out. The model was asked before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch

from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import residual_share
from xai_nlp.core.trust import TrustCheck, TrustLevel
from xai_nlp.metrics.removal_drops import RemovalDrops
from xai_nlp.tasks.flips import LARGEST, Flip

LEAST_FEATURES = 4  # with fewer, random orders are often right
#: Correlation of predicted drops and distance from random orders, in their standard deviations. Calibrated on 200
#: sentences of SST-2: `tutorials/trust.md`.
CERTAIN = 0.9  # such a correlation is enough
SURE, LIKELY = (0.66, 1.9), (0.3, 1.0)
WELL, PARTLY = 0.05, 0.2  # shares that scores may leave unexplained
ALIKE = 0.5  # rank correlation of explanations that agree
SMALL_EFFECT = {"logit": 0.1, "log-probability": 0.1, "probability": 0.02}  # below, the model hardly decides
ROUNDING = 1e-6  # of |f(x)|: a smaller change may be rounding


def residual_check(item: Explanation) -> TrustCheck | None:
    """Do the scores add up? None for a method that does not promise it."""
    if not item.complete:
        return None
    share, _ = residual_share(item)
    level: TrustLevel = "holds" if share <= WELL else "holds in part" if share <= PARTLY else "do not rely on it"
    sentence = f"The scores leave {100 * share:.{0 if share > 0.01 else 2}f} % of the change unexplained."
    return TrustCheck(name="residual", level=level, sentence=sentence, numbers={"share": share})


def effect_check(item: Explanation, drops: Sequence[RemovalDrops], part: str) -> TrustCheck:
    """Is there anything to explain: does the output depend on the words?"""
    largest = max(one.largest for one in drops)
    size = max(abs(item.value), abs(item.baseline_value))
    least = SMALL_EFFECT.get(item.target.unit, 0.02 * size)
    numbers = {"largest change": largest}
    if largest <= ROUNDING * max(1.0, size):
        sentence = f"The output does not depend on the {part}s: there is nothing to explain."
        return TrustCheck(name="effect", level="do not rely on it", sentence=sentence, numbers=numbers)
    unit = f" {item.target.unit}" if item.target.unit != "output" else ""
    sentence = f"Removing {part}s changes the output by up to {largest:.2g}{unit}"
    if largest < least:
        sentence = f"{sentence}: the model hardly decides by them."
        return TrustCheck(name="effect", level="holds in part", sentence=sentence, numbers=numbers)
    return TrustCheck(name="effect", level="holds", sentence=f"{sentence}.", numbers=numbers)


def removal_check(drops: Mapping[str, RemovalDrops], order: int, features: int, part: str) -> TrustCheck:
    """Do scores predict what removing does, and does the output fall faster in their order than in random orders?

    All ways to remove are averaged. A random order and its reverse stand for two.
    """
    ways = list(drops.values())
    gap = sum(one.gap(order) for one in ways) / len(ways)
    random = torch.stack([one.random_gaps for one in ways]).mean(0)
    spread = float(random.square().mean().sqrt())
    distance = gap / spread if spread > 0 else 0.0
    beaten = int((random.abs() < abs(gap)).sum()) + len(random) if gap > 0 else int((-random.abs() < gap).sum())
    correlation = sum(float(one.correlation[order]) for one in ways) / len(ways)
    numbers: dict[str, float] = {"correlation": correlation, "distance": distance}
    numbers |= {"random orders": 2 * len(random), "of them worse": beaten}
    for name, one in drops.items():
        numbers |= {f"{name}: {key}": value for key, value in one.numbers(order).items()}
    if features < LEAST_FEATURES:
        sentence = f"It has {features} {part}{'s' * (features != 1)}, too few to tell its scores from random ones."
        return TrustCheck(name="removal", level="holds in part", sentence=sentence, numbers=numbers)
    level: TrustLevel = "do not rely on it"
    if correlation >= CERTAIN or (correlation >= SURE[0] and distance >= SURE[1]):
        level = "holds"
    elif correlation >= LIKELY[0] and distance >= LIKELY[1]:
        level = "holds in part"
    predict = ("do not predict", "predict roughly", "predict")[(correlation >= LIKELY[0]) + (correlation >= SURE[0])]
    share = f"all {beaten}" if beaten == 2 * len(random) else f"{beaten} of {2 * len(random)}"
    near = ", but not by much" if beaten == 2 * len(random) and level != "holds" and distance < SURE[1] else ""
    sentence = (
        f"Its scores {predict} how the output changes when {part}s are removed (correlation {correlation:.2f}). "
        f"Removing its top {part}s first lowers the output faster than {share} random orders{near}."
    )
    return TrustCheck(name="removal", level=level, sentence=sentence, numbers=numbers)


def flip_check(words: Explanation, flip: Flip | None, *, searched: bool) -> TrustCheck:
    """The words without which the model says something else, and how many of them the explanation ranks on top."""
    if flip is None:
        how = f"No set of up to {LARGEST} words was found" if searched else "Its top words are not enough"
        sentence = f"{how}: the prediction stays {words.prediction or 'no answer'} without them."
        return TrustCheck(name="flip", level="holds", sentence=sentence)
    names = [f"“{words.tokens[i]}”" for i in sorted(flip.words)]
    said = flip.prediction if words.target.kind == "label" else f"“{flip.prediction}”" if flip.prediction else "nothing"
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    top = sorted(range(len(words.tokens)), key=lambda i: -words.scores[i])[: len(names)]
    ranked = len(set(top) & set(flip.words))
    sentence = f"Without {listed} the model says {said}."
    if searched:
        sentence += f" The explanation ranks {ranked} of {len(names)} on top."
    numbers = {"words": len(names), "of them on top": ranked}
    return TrustCheck(name="flip", level="holds", sentence=sentence, numbers=numbers)


def weights_check(correlation: float) -> TrustCheck:
    """Do the scores change when the model's weights are random?"""
    alike = correlation >= ALIKE
    return TrustCheck(
        name="weights",
        level="holds in part" if alike else "holds",
        sentence=f"With random weights in the model, the scores have {_order(alike)} ({_rank(correlation)}).",
        numbers={"rank correlation": correlation},
    )


def inputs_check(shares: Mapping[str, float]) -> TrustCheck:
    """How often does a removal leave an input that is unlike the other examples? It warns, and lowers no level.

    shares: of the removals, by the way to remove.
    """
    most = max(shares.values(), default=0.0)
    sentence = f"Up to {100 * most:.0f} % of the removals leave an input unlike the other examples"
    sentence += ", so that the removal check says less." if most > 0.5 else "."
    return TrustCheck(name="inputs", level="holds", sentence=sentence, numbers=shares)


def agreement_check(
    name: str, correlation: float, sentence: str, worst: TrustLevel = "holds in part"
) -> Iterator[TrustCheck]:
    """Does another explanation of the same number put the features into the same order? Nothing where there is none."""
    if math.isnan(correlation):
        return
    alike = correlation >= ALIKE
    yield TrustCheck(
        name=name,
        level="holds" if alike else worst,
        sentence=f"{sentence} {_order(alike)} ({_rank(correlation)}).",
        numbers={"rank correlation": correlation},
    )


def _order(alike: bool) -> str:
    return "much the same order" if alike else "another order"


def _rank(correlation: float) -> str:
    return f"rank correlation {correlation:.2f}"
