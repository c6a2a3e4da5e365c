"""The trust verdict: what a careful reader would check before believing an explanation.

The first check removes words, those with the highest scores first, and then those with the lowest first. If the scores
are right, the two drops of the output differ more than those of random orders. Other checks ask whether the scores add
up and whether there is anything to explain. A full verdict also asks whether another baseline, another method and
another seed lead to the same scores.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.progress import Bar
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import mean_of, residual_share
from xai_nlp.core.subject import Subject
from xai_nlp.core.trust import Extent, Trust, TrustCheck, TrustLevel
from xai_nlp.errors import InvalidInput, Unsupported, XaiError
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.pass_counts import forward_passes
from xai_nlp.methods import METHODS, find_method
from xai_nlp.metrics import (
    RemovalCurve,
    best_and_worst_order,
    deletion_curve,
    random_orders,
    random_scores,
    rank_correlation,
)
from xai_nlp.metrics.orders import EXACT
from xai_nlp.metrics.out_of_distribution import LEAST_NATURAL, out_of_distribution
from xai_nlp.metrics.randomization import remembered
from xai_nlp.models.images import IMAGE_BASELINES
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.flips import BEAM, CANDIDATES, FLIPPING, LARGEST, Deletions, Flip, first_flip, smallest_flip
from xai_nlp.tasks.input_embeddings import embedding_subject, input_embeddings
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.removals import feature_scores, removal_subject
from xai_nlp.tasks.run import ExampleTarget
from xai_nlp.tasks.weight_randomization import scores_of_targets, weight_randomization

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

ORDERS: Mapping[Extent, int] = {"quick": 8, "full": 30}  # random orders, each with its reverse
QUICK_SIZES = (0.35, 0.65)  # shares of the words that are removed
LONG = 40  # words from which a full verdict takes 20 sizes, and searches no best order: that costs words² passes
WORD_REMOVALS = ("pad", "mask", "delete", "zero")  # the first two that the model can do
IMAGE_REMOVALS = ("grey", "blur")
LEAST_FEATURES = 4  # with fewer, random orders are often right
#: Correlation of predicted drops and distance from random orders, in their standard deviations. Calibrated on 200
#: sentences of SST-2: `tutorials/trust.md`.
CERTAIN = 0.9  # such a correlation is enough
SURE, LIKELY = (0.66, 1.9), (0.3, 1.0)
WELL, PARTLY = 0.05, 0.2  # shares that scores may leave unexplained
ALIKE = 0.5  # rank correlation of explanations that agree
SMALL_EFFECT = {"logit": 0.1, "log-probability": 0.1, "probability": 0.02}  # below, the model hardly decides
NOISY = 3  # noisy copies of the input that scores under random weights are averaged over
RANDOM_MODELS = 3
TEXT_KINDS = ("text", "long text")  # kinds of input
ROUNDING = 1e-6  # of |f(x)|: a smaller change may be rounding


@dataclass(frozen=True, kw_only=True)
class RemovalDrops:
    """How much one number f drops on average as features are removed in several orders.

    own: (O, 2) of the explanations' orders: the highest scores first, the lowest first. random: (P, 2) the same of
    random orders. correlation: (O,) of sums of removed scores with the drops in random orders, among removals of one
    size. best, worst: the highest and the lowest drop of any order that was found. largest: the largest
    change of f at any size.
    """

    own: Tensor
    random: Tensor
    correlation: Tensor
    best: float
    worst: float
    largest: float

    def gap(self, order: int) -> float:
        """How much more f drops when the highest scores go first than when the lowest do."""
        return float(self.own[order, 0] - self.own[order, 1])

    @property
    def random_gaps(self) -> Tensor:
        """(P,) of random orders; those of their reverses are the negatives."""
        return self.random[:, 0] - self.random[:, 1]

    def numbers(self, order: int) -> dict[str, float]:
        """The drops by name, and where they stand from 0, the mean of random orders, to 1, the best order found.

        Intervals of positions are those of the random mean (95 %, Student's, of the means of an order and its reverse).
        """
        deletion, insertion = self.own[order].tolist()
        random = mean_of(self.random.mean(1).tolist())
        low, high = random.interval or (random.mean, random.mean)
        numbers = {
            "correlation": float(self.correlation[order]),
            "deletion": deletion,
            "insertion": insertion,
            "random": random.mean,
            "random standard deviation": float(self.random.std()),
            "best found": self.best,
            "worst found": self.worst,
        }
        ends = {"": random.mean, ", low": high, ", high": low}
        numbers |= {f"position of deletion{end}": _share(deletion - at, self.best - at) for end, at in ends.items()}
        ends = {"": random.mean, ", low": low, ", high": high}
        return numbers | {
            f"position of insertion{end}": _share(at - insertion, at - self.worst) for end, at in ends.items()
        }


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0


def removal_drops(subject: Subject, scores: Tensor, extent: Extent, seed: int = 0) -> list[RemovalDrops]:
    """The drops of each of the T numbers of one example. scores: (O, M) of several explanations."""
    draws = random_scores(subject, orders=ORDERS[extent], seed=seed)[0]  # (P, M)
    sizes, long = sizes_of(extent, scores.shape[1]), scores.shape[1] > LONG
    orders = torch.cat([scores.to(draws), draws])
    both = torch.stack([orders, -orders], 1).flatten(0, 1)[None]
    curve = deletion_curve(subject, both, sizes=sizes)
    drops = curve.mean_drop[0].T.unflatten(1, (-1, 2)).double().cpu()  # (T, O + P, 2)
    changes = (curve.values[0] - curve.value[0, :, None]).abs().amax((0, 2)).tolist()
    bounds = best_and_worst_order(subject, sizes=sizes) if extent == "full" and not long else None
    correlations = _correlations(scores, both[0, 2 * len(scores) :], curve)  # (O, T)
    return [
        RemovalDrops(
            own=of_target[: len(scores)],
            random=of_target[len(scores) :],
            correlation=correlations[:, t],
            best=max(float(of_target.max()), -torch.inf if bounds is None else float(bounds.best[0, t])),
            worst=min(float(of_target.min()), torch.inf if bounds is None else float(bounds.worst[0, t])),
            largest=changes[t],
        )
        for t, of_target in enumerate(drops)
    ]


def sizes_of(extent: Extent, features: int) -> tuple[float, ...] | None:
    """The shares of so many features that are removed; None is every number of them."""
    if extent == "quick":
        return QUICK_SIZES
    return None if features <= LONG else tuple(k / 20 for k in range(1, 21))


def _correlations(scores: Tensor, orders: Tensor, curve: RemovalCurve) -> Tensor:
    """Pearson's r of sums of removed scores and drops of f, among removals of one size: (O, T); 0 without a spread.

    scores: (O, M). orders: (N, M), scores that made the last N orders of the curve.
    """
    counts, removable = curve.counts[0].cpu(), int(curve.counts.max())
    order = orders.cpu().argsort(dim=-1, descending=True, stable=True)[:, :removable]
    sums = scores.cpu()[:, order].cumsum(-1)  # (O, N, m)
    sizes = (counts > 0) & (counts < removable)
    if not sizes.any():
        return scores.new_zeros(len(scores), curve.value.shape[1]).cpu()
    predicted = sums[:, :, counts[sizes] - 1]  # (O, N, K)
    drops = (curve.value[0, :, None] - curve.values[0, -len(orders) :]).double().cpu()[:, :, sizes]  # (N, T, K)
    a = (predicted - predicted.mean(1, keepdim=True)).flatten(1)  # (O, N · K)
    b = (drops - drops.mean(0)).transpose(0, 1).flatten(1)  # (T, N · K)
    norms = a.norm(dim=1)[:, None] * b.norm(dim=1)
    return torch.where(norms > 0, a @ b.T / norms.clamp_min(1e-300), 0.0)


# The checks ----------------------------------------------------------------------------------------------------------


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
        how = "No set of up to 6 words was found" if searched else "Its top words are not enough"
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


def agreement_check(name: str, correlation: float, sentence: str, worst: TrustLevel = "holds in part") -> TrustCheck:
    """Does another explanation of the same number put the features into the same order?"""
    alike = correlation >= ALIKE
    word = "much the same order" if alike else "another order"
    return TrustCheck(
        name=name,
        level="holds" if alike else worst,
        sentence=f"{sentence} {word} (rank correlation {correlation:.2f}).",
        numbers={"rank correlation": correlation},
    )


# The verdict ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Examination:
    """The checks of the explanations of one example: of each method, the same T targets in their order."""

    explainer: Explainer
    request: Request
    windows: Sequence[TokenWindow]
    target: ExampleTarget
    items: Sequence[Explanation]
    extent: Extent
    natural: Tensor | None = None  # (N, D + 1) of `tasks.input_embeddings`, where there are enough other inputs

    @property
    def predicted_rows(self) -> int:
        """About how many rows the checks will take, for the cost that is shown before they start."""
        features, methods = len(feature_scores(self.items[0])), len(self.request.methods)
        orders = 2 * (len(self.items) + ORDERS[self.extent])
        if self.extent == "quick":
            return 2 * orders * len(QUICK_SIZES) + LARGEST * len(self.items)
        search = 3 * features**2 * len(self.target.specs) if EXACT < features <= LONG else 0
        subsets = orders * len(sizes_of("full", features) or range(features)) + search
        steps = max(int(item.params.get("steps_used", 1)) for item in self.items)
        explanations = steps * (2 + 2 * NOISY * RANDOM_MODELS) + 25 * features
        flips = features + BEAM * CANDIDATES * (LARGEST - 1) // 2
        return 2 * min(subsets, 2**features) + methods * explanations + flips * len(self.items)

    def seconds_per_row(self, rows: int = 16) -> float:
        """How long a row takes, measured on a few."""
        removal, image_baseline = next(self._removals())
        subject = self._removal_subject(removal, image_baseline)
        start = time.perf_counter()
        random_orders(subject, orders=rows, sizes=[0.5])
        return (time.perf_counter() - start) / rows

    def verdicts(self, on_rows: Callable[[int], None] | None = None) -> list[Trust]:
        """A verdict for each explanation. on_rows: called with the rows of each pass."""
        with forward_passes(self.explainer.model, on_rows) as count:
            drops = self._drops()
            checks = [list(self._checks(i, drops)) for i in range(len(self.items))]
        passes = round(count.rows / len(self.items))
        return [Trust(checks=tuple(of_item), extent=self.extent, passes=passes) for of_item in checks]

    @property
    def example(self) -> int:
        """The number of the example among those of the request."""
        return self.windows[self.target.windows[0]].example if self.target.example is None else self.target.example

    @property
    def part(self) -> str:
        return "word" if self.items[0].tokens else "region"

    def _drops(self) -> dict[str, list[RemovalDrops]]:
        """Under each of two ways to remove, the drops of each target. Raises the refusal if there is no way."""
        scores = torch.tensor([feature_scores(item) for item in self.items], dtype=torch.float64)
        drops: dict[str, list[RemovalDrops]] = {}
        refusal: XaiError | None = None
        for removal, image_baseline in self._removals():
            if len(drops) == 2:
                break
            try:
                subject = self._removal_subject(removal, image_baseline)
                drops[removal] = removal_drops(subject, scores, self.extent)
            except (InvalidInput, Unsupported) as error:
                refusal = error
        if refusal is not None and not drops:
            raise refusal
        return drops

    def _removal_subject(self, removal: str, image_baseline: str | None) -> Subject:
        return removal_subject(
            self.explainer, self.request, self.windows, self.target, removal, image_baseline=image_baseline
        )

    def _removals(self) -> Iterator[tuple[str, str | None]]:
        """Ways to remove, for the words and for the image beside them."""
        own = self.request.own.get("image_baseline", IMAGE_REMOVALS[0])
        images = dict.fromkeys([str(own), *IMAGE_REMOVALS])
        if not self.explainer.task.reads_text:
            yield from ((name, None) for name in images)
            return
        has_image = self.items[0].image is not None
        of_image = iter([None, next(name for name in images if name != own)] if has_image else [])
        for removal in WORD_REMOVALS:
            if removal == "pad" and self.explainer.pad is None:
                continue
            if removal == "mask" and self.explainer.token_id("mask_token_id") is None:
                continue
            yield removal, next(of_image, None)

    def _checks(self, index: int, drops: Mapping[str, list[RemovalDrops]]) -> Iterator[TrustCheck]:
        item = self.items[index]
        own = {removal: of_targets[index % len(self.target.specs)] for removal, of_targets in drops.items()}
        effect = effect_check(item, list(own.values()), self.part)
        if effect.level == "do not rely on it":
            yield effect
            return
        yield removal_check(own, index, len(feature_scores(item)), self.part)
        yield effect
        if residual := residual_check(item):
            yield residual
        if self.extent == "full":
            yield from self._agreements(index)
        if flip := self._flip(item):
            yield flip

    def _flip(self, item: Explanation) -> TrustCheck | None:
        """None where the target is not the prediction, or where nothing is chosen."""
        words, kind = item.words(), item.target.kind
        predicted = kind in ("start", "end", "span") or item.target.label == item.prediction
        if kind not in FLIPPING or not predicted or not words.tokens or len(item.outputs) < 2:
            return None
        inputs = {name: value for name, value in self.request.examples[self.example].items() if name != "target"}
        kept = ("template", "multi_label", "unanswerable", "regions", "image_baseline", "longest")
        options = {name: value for name, value in self.request.own.items() if name in kept}
        deletions = Deletions(self.explainer, inputs, options, words)
        search = smallest_flip if self.extent == "full" else first_flip
        return flip_check(words, search(deletions), searched=self.extent == "full")

    # Other explanations of the same number ---------------------------------------------------------------------------

    def _agreements(self, index: int) -> Iterator[TrustCheck]:
        method = self.request.methods[index // len(self.target.specs)]
        yield from self._other_baseline(index, method)
        yield from self._other_method(index, method)
        yield from self._other_seed(index, method)
        yield from self._other_weights(method)
        if self.natural is not None:
            yield self._unusual_inputs(index, self.natural)

    def _unusual_inputs(self, index: int, natural: Tensor) -> TrustCheck:
        """How often a removal leaves an input that is unlike the other examples: a flag, which lowers no level."""
        scores = torch.tensor([feature_scores(self.items[index])], dtype=torch.float64)
        shares: dict[str, float] = {}
        for removal, image_baseline in self._removals():
            if len(shares) < 2:
                with suppress(InvalidInput, Unsupported):
                    subject = embedding_subject(
                        self.explainer, self.request, self.windows, self.target, removal, image_baseline=image_baseline
                    )
                    unusual = out_of_distribution(subject, scores, natural, sizes=QUICK_SIZES).unusual
                    shares[removal] = float(unusual[0])
        most = max(shares.values(), default=0.0)
        sentence = f"Up to {100 * most:.0f} % of the removals leave an input unlike the other examples"
        sentence += ", so that the removal check says less." if most > 0.5 else "."
        return TrustCheck(name="inputs", level="holds", sentence=sentence, numbers=shares)

    def _other_baseline(self, index: int, method: Method) -> Iterator[TrustCheck]:
        own = self.items[index].baseline
        other = next((name for name, _ in self._removals() if name not in (own, "delete")), None)
        if method.needs_baseline and other and self.explainer.task.reads_text:
            correlation = self._correlation(index, method, baseline=other)
            yield agreement_check("baseline", correlation, f"Compared with {other} instead of {own}, the scores have")

    def _other_method(self, index: int, method: Method) -> Iterator[TrustCheck]:
        other = "shapley" if method.needs_gradients else "integrated_gradients"
        correlation = self._correlation(index, find_method(other))
        name = other.replace("_", " ")
        yield agreement_check("method", correlation, f"By a method of another family, {name}, the scores have")

    def _other_seed(self, index: int, method: Method) -> Iterator[TrustCheck]:
        if "seed" in {one.name for one in fields(method)}:  # type: ignore[arg-type]
            other = replace(method, seed=method.seed + 1)  # type: ignore[type-var,attr-defined]
            correlation = self._correlation(index, other)
            yield agreement_check("seed", correlation, "With another seed, the scores have", worst="do not rely on it")

    def _other_weights(self, method: Method) -> Iterator[TrustCheck]:
        """The same of a copy whose weights are random; measured once for a model and a method."""

        def measure() -> float:
            tests = (
                weight_randomization(
                    self.explainer, self._plain, self.windows, [self.target], method,
                    samples=NOISY, order="one_shot", seed=seed,
                )
                for seed in range(RANDOM_MODELS)
            )  # fmt: skip
            return float(np.nanmean([test.last for test in tests]))

        try:
            correlation = remembered(self.explainer.model, ("trust", self.explainer.task.name, repr(method)), measure)
        except InvalidInput:  # a quantised model
            return
        alike = correlation >= ALIKE
        word = "much the same order" if alike else "another order"
        yield TrustCheck(
            name="weights",
            level="holds in part" if alike else "holds",
            sentence=f"With random weights in the model, the scores have {word} (rank correlation {correlation:.2f}).",
            numbers={"rank correlation": correlation},
        )

    @property
    def _plain(self) -> Request:
        """The request for scores of the inputs alone."""
        return replace(self.request, options=replace(self.request.options, trust=None, parts=False))

    def _correlation(self, index: int, method: Method, baseline: str | None = None) -> float:
        """The rank correlation with scores of the same number by another method, or from another baseline."""
        options = replace(self._plain.options, baseline=baseline or self._plain.options.baseline)
        request = replace(self._plain, options=options)
        others = scores_of_targets(self.explainer, request, method, self.windows, [self.target])
        correlation = rank_correlation(feature_scores(self.items[index]), others[index % len(self.target.specs)])
        return 0.0 if math.isnan(correlation) else correlation


def verdicts(examinations: Sequence[Examination], *, progress: bool) -> list[Trust]:
    """The verdicts of several examinations. progress: print what full ones will cost, and show a bar."""
    if examinations and examinations[0].extent == "full":
        first = examinations[0]
        if len(first.windows) >= LEAST_NATURAL and first.explainer.task.reads_text:
            natural = input_embeddings(first.explainer, first.request, first.windows, first.target.link)
            examinations = [replace(one, natural=natural) for one in examinations]
    rows = sum(one.predicted_rows for one in examinations)
    if progress and examinations and examinations[0].extent == "full":
        seconds = rows * examinations[0].seconds_per_row()
        print(f"trust: about {rows:,} rows go through the model, {seconds:,.0f} s.", file=sys.stderr)
    with closing(Bar("checking", "row")) as bar:
        bar.total = rows
        on_rows = bar.update if progress else None
        return [trust for one in examinations for trust in one.verdicts(on_rows)]


# An explanation that was made before ---------------------------------------------------------------------------------


def trust(explainer: Explainer, explanation: Explanation, extent: Extent, call: Mapping[str, Any]) -> Trust:
    """The verdict on an explanation that was made before: the call that made it is put together from it.

    call: inputs and options of that call which the explanation does not hold, such as the image.
    Raises InvalidInput if the call cannot be put together, or if the model gives other outputs now.
    """
    named = {**_inputs_of(explainer, explanation), **_options_of(explanation), **call, "trust": extent}
    request = explainer.request(*explainer.named_inputs((), named))
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        targets = explainer.targets(request, windows, run.predict(explainer, windows, request.options.batching))
        target = _same_target(explainer, targets, explanation)
        examination = Examination(
            explainer=explainer, request=request, windows=windows, target=target, items=[explanation], extent=extent
        )
        (verdict,) = examination.verdicts()
    return verdict


def _inputs_of(explainer: Explainer, explanation: Explanation) -> dict[str, Any]:
    """The texts, and the labels, by the names of the task's inputs."""
    inputs = explainer.task.inputs
    texts = dict(zip((one.name for one in inputs if one.kind in TEXT_KINDS), explanation.segments, strict=False))
    return texts | {one.name: list(explanation.outputs) for one in inputs if one.kind == "list"}


def _options_of(explanation: Explanation) -> dict[str, Any]:
    """The options that lead to the same target, by the same method."""
    target, params = explanation.target, explanation.params
    method = METHODS.get(explanation.method)
    if method is None:
        raise InvalidInput(f"no method is named {explanation.method!r}; choose one of {', '.join(sorted(METHODS))}.")
    own = {one.name: params[one.name] for one in fields(method) if one.name in params}  # type: ignore[arg-type]
    label = target.label if target.contrast is None else f"{target.label}-{target.contrast}"
    span = explanation.answer[1] if explanation.answer else None
    of_kind: dict[str, dict[str, Any]] = {
        "label": {"target": label},
        "answer": {"answer": target.label, "rather_than": target.contrast},
        "token": {"target": "words", "answer": target.answer},
        "word": {"target": target.label, "rather_than": target.contrast},
        "entity": {"entity": span, "target": target.label, "rather_than": target.contrast},
    }
    of_text = {"target": target.kind, "answer": span or target.label, "rather_than": target.contrast}
    options = of_kind.get(target.kind, {} if target.kind == "output" else of_text)
    unit = None if target.unit == "output" else target.unit
    baseline = None if explanation.baseline in ("none", *IMAGE_BASELINES) else explanation.baseline
    return {**own, **options, "method": explanation.method, "unit": unit, "baseline": baseline}


def _same_target(explainer: Explainer, targets: Sequence[ExampleTarget], explanation: Explanation) -> ExampleTarget:
    """The explanation's own target alone. Raises InvalidInput if it is not there, or if outputs are others."""
    for target in targets:
        for t, spec in enumerate(target.specs):
            if spec == explanation.target and _alike(target.outputs, explanation.outputs):
                return replace(target, specs=(spec,), weights=tuple(one[t : t + 1] for one in target.weights))
    raise InvalidInput(
        f"{explainer.name} does not give the outputs of this explanation of {explanation.target}: it was made by "
        "another model, from another input, or with options that it does not hold. Give them by name, or call "
        "explain(…, trust=True)."
    )


def _alike(outputs: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return outputs.keys() == others.keys() and all(
        math.isclose(outputs[name], others[name], rel_tol=1e-2, abs_tol=1e-3) for name in outputs
    )
