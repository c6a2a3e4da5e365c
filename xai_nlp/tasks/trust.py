"""The trust verdict: what a careful reader would check before believing an explanation.

The first check removes words in random orders. If the scores are right, the sum of the scores of the removed words
predicts how the output changes, and the output falls faster when words go from the top than in random orders. Other
checks ask whether the scores add up and whether there is anything to explain. A full verdict also asks whether another
baseline, another method and another seed lead to the same scores, and random weights to others.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_nlp.core.progress import Bar
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation
from xai_nlp.core.subject import Subject
from xai_nlp.core.trust import Extent, Trust, TrustCheck
from xai_nlp.errors import InvalidInput, Unsupported, XaiError
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.pass_counts import forward_passes
from xai_nlp.methods import find_method
from xai_nlp.metrics import random_orders, rank_correlation
from xai_nlp.metrics.orders import EXACT
from xai_nlp.metrics.out_of_distribution import LEAST_NATURAL, out_of_distribution
from xai_nlp.metrics.randomization import remembered
from xai_nlp.metrics.removal_drops import RemovalDrops, removal_drops
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explanation_request import explanation_request, same_target
from xai_nlp.tasks.flips import BEAM, CANDIDATES, FLIPPING, LARGEST, Deletions, first_flip, smallest_flip
from xai_nlp.tasks.input_embeddings import embedding_subject, input_embeddings
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.removals import feature_scores, removal_subject
from xai_nlp.tasks.trust_checks import (
    LEAST_FEATURES,
    agreement_check,
    effect_check,
    flip_check,
    inputs_check,
    removal_check,
    residual_check,
    weights_check,
)
from xai_nlp.tasks.weight_randomization import scores_of_targets, weight_randomization

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

ORDERS: Mapping[Extent, int] = {"quick": 8, "full": 30}  # random orders, each with its reverse
QUICK_SIZES = (0.35, 0.65)  # shares of the words that are removed
LONG = 40  # words from which a full verdict takes 20 sizes, and searches no best order: that costs words² passes
WORD_REMOVALS = ("pad", "mask", "delete", "zero")  # the first two that the model can do
IMAGE_REMOVALS = ("grey", "blur")
NOISY = 3  # noisy copies of the input that scores under random weights are averaged over
RANDOM_MODELS = 3


def sizes_of(extent: Extent, features: int) -> tuple[float, ...] | None:
    """The shares of so many features that are removed; None is every number of them."""
    if extent == "quick":
        return QUICK_SIZES
    return None if features <= LONG else tuple(k / 20 for k in range(1, 21))


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
                drops[removal] = self._removal_drops(subject, scores)
            except (InvalidInput, Unsupported) as error:
                refusal = error
        if refusal is not None and not drops:
            raise refusal
        return drops

    def _removal_drops(self, subject: Subject, scores: Tensor) -> list[RemovalDrops]:
        features = scores.shape[1]
        search = self.extent == "full" and features <= LONG
        sizes = sizes_of(self.extent, features)
        return removal_drops(subject, scores, orders=ORDERS[self.extent], sizes=sizes, search=search)

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
        if self.extent == "full" and len(feature_scores(item)) >= LEAST_FEATURES:
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
        """Checks that compare orders; of few features, orders agree or differ by chance."""
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
        return inputs_check(shares)

    def _other_baseline(self, index: int, method: Method) -> Iterator[TrustCheck]:
        own = self.items[index].baseline
        other = next((name for name, _ in self._removals() if name not in (own, "delete")), None)
        if method.needs_baseline and other and self.explainer.task.reads_text:
            correlation = self._correlation(index, method, baseline=other)
            yield from agreement_check(
                "baseline", correlation, f"Compared with {other} instead of {own}, the scores have"
            )

    def _other_method(self, index: int, method: Method) -> Iterator[TrustCheck]:
        other = "shapley" if method.needs_gradients else "integrated_gradients"
        correlation = self._correlation(index, find_method(other))
        name = other.replace("_", " ")
        yield from agreement_check("method", correlation, f"By a method of another family, {name}, the scores have")

    def _other_seed(self, index: int, method: Method) -> Iterator[TrustCheck]:
        if "seed" in {one.name for one in fields(method)}:  # type: ignore[arg-type]
            other = replace(method, seed=method.seed + 1)  # type: ignore[type-var,attr-defined]
            correlation = self._correlation(index, other)
            yield from agreement_check(
                "seed", correlation, "With another seed, the scores have", worst="do not rely on it"
            )

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
            correlations = [float(test.last[0]) for test in tests]
            return sum(0.0 if math.isnan(one) else one for one in correlations) / len(correlations)

        key = ("trust", self.explainer.task.name, repr(method), self.request.options.baseline)
        with suppress(InvalidInput):  # quantised weights cannot be drawn
            yield weights_check(remembered(self.explainer.model, key, measure))

    @property
    def _plain(self) -> Request:
        """The request for scores of the inputs alone."""
        return replace(self.request, options=replace(self.request.options, trust=None, parts=False))

    def _correlation(self, index: int, method: Method, baseline: str | None = None) -> float:
        """The rank correlation with scores of the same number by another method, or from another baseline.

        NaN where all scores of one side are equal.
        """
        options = replace(self._plain.options, baseline=baseline or self._plain.options.baseline)
        request = replace(self._plain, options=options)
        others = scores_of_targets(self.explainer, request, method, self.windows, [self.target])
        return rank_correlation(feature_scores(self.items[index]), others[index % len(self.target.specs)])


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


def trust(explainer: Explainer, explanation: Explanation, extent: Extent, call: Mapping[str, Any]) -> Trust:
    """The verdict on an explanation that was made before.

    call: inputs and options of the call that made it, where the explanation does not hold them, such as the image.
    Raises InvalidInput if the request cannot be put together, or if the model gives other outputs now.
    """
    request = explanation_request(explainer, explanation, {**call, "trust": extent})
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        targets = explainer.targets(request, windows, run.predict(explainer, windows, request.options.batching))
        target = same_target(explainer, targets, explanation)
        examination = Examination(
            explainer=explainer, request=request, windows=windows, target=target, items=[explanation], extent=extent
        )
        (verdict,) = verdicts([examination], progress=request.options.progress is True)
    return verdict
