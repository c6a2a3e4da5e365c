"""Which method explains a model best: methods on the same examples, measured by removing what they rank first."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.coalitions import removable_features
from xai_nlp.core.method_comparison import RANDOM, Measurement, MethodComparison, MethodFailure
from xai_nlp.core.progress import progress_bar
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation
from xai_nlp.core.statistics import residual_share
from xai_nlp.core.subject import Subject
from xai_nlp.core.trust import LEVELS, Trust
from xai_nlp.data.table import DataTable, read_table
from xai_nlp.errors import InvalidInput, UnknownName, XaiError
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.pass_counts import forward_passes
from xai_nlp.methods import find_method
from xai_nlp.metrics import (
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    naopc,
    random_scores,
    sufficiency,
)
from xai_nlp.metrics.orders import LEAST_ORDERS
from xai_nlp.models.images import IMAGE_BASELINES
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.api import explainer_for_table
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.removals import REMOVALS, feature_scores, removal_subject
from xai_nlp.tasks.trust import IMAGE_REMOVALS, Examination

COMPARED = ("integrated_gradients", "deep_lift", "occlusion", "input_x_gradient", "saliency")
STEPS = 10  # of a curve: up to so many features go one by one, more of them in so many equal parts
ORDERS = 20  # random orders of each example
APART = 2**32  # between seeds of methods and of random orders: one seed would give related numbers


def compare_methods(
    data: Any,
    methods: str | Sequence[str] = COMPARED,
    *,
    model: Any = None,
    task: str | None = None,
    removal: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    orders: int = ORDERS,
    full: bool = False,
    progress: bool = True,
    on_row: Callable[[MethodComparison], None] | None = None,
    **options: Any,
) -> MethodComparison:
    """Explain the rows of a table by several methods, and measure which of them finds what the model goes by.

    Words are removed in the order of the scores (`xai_nlp.metrics.deletion_curve`) and put back (`insertion_curve`), in
    at most 10 steps; both are compared with random orders of the same words. Each explanation gets its trust verdict,
    as by `explain(…, trust=True)`. The method "random" is always among the methods.

    data: what `data.table.read_table` reads: a file, a pandas frame, a data set, a dict of columns, a list of texts.
    methods: names of `xai-nlp methods`. model, task: as `xai_nlp.explain` takes them.
    removal: how words are removed, a name of `tasks.removals.removal_subject`; of an image alone an image baseline.
        None is what explanations compare with.
    limit: so many rows, drawn at random; None is all. seed: of that draw; row i of the data takes seed + i for its
        random orders, and for methods that draw.
    orders: random orders of each example, two at least. full: also NAOPC, whose search takes most of the time.
    progress: show a bar. on_row: called after each row with the comparison of the rows so far.
    options: of the task and of every task, inputs that all rows share, and `column`, as `Explainer.explain_table`
        takes them.

    A row that cannot be measured is one of `failures`, and so is a method that cannot explain it.
    Raises UnknownName for a method or a removal that does not exist; InvalidInput if no row can be measured.
    Source: Samek et al. 2017 (arXiv:1509.06321), DeYoung et al. 2020 (arXiv:1911.03429), Edin et al. 2025
    (arXiv:2408.08137).

    >>> texts = ["a gripping, beautifully acted film", "far too long and rather dull", "a charming and moving story"]
    >>> comparison = compare_methods(texts, ["integrated_gradients"], orders=5, progress=False)
    >>> comparison.ranking
    ['integrated_gradients', 'random']
    """
    table = read_table(data)
    explainer = explainer_for_table(table, model=model, task=task)
    names = tuple(dict.fromkeys([*([methods] if isinstance(methods, str) else methods), RANDOM]))
    _check(explainer, names, removal, limit, orders)
    comparison = MethodComparison(
        task=explainer.task.name,
        model=explainer.name,
        data=table.name,
        rows=min(limit or len(table), len(table)),
        removal=removal or "",
        seed=seed,
        orders=orders,
        methods=names,
        versions={name: str(number) for name, number in run.VERSIONS.items()},
    )
    rows = sorted(random.Random(seed).sample(range(len(table)), comparison.rows)) if limit else range(len(table))
    with progress_bar("measuring", "example") if progress else nullcontext(lambda done, total: None) as show:
        for done, row in enumerate(rows, start=1):
            trial = _Trial(explainer, comparison, table.part(range(row, row + 1)), full, options)
            comparison = trial.added()
            if on_row:
                on_row(comparison)
            show(done, len(rows))
    if not comparison.measurements:
        first = comparison.failures[0]
        raise InvalidInput(f"no row could be measured; row {first.row}: {first.message}")
    return comparison


def _check(explainer: Explainer, methods: Sequence[str], removal: str | None, limit: int | None, orders: int) -> None:
    """Raise UnknownName or InvalidInput for what is not allowed, before anything is computed."""
    for name in methods:
        find_method(name)
    known = REMOVALS if explainer.task.reads_text else tuple(IMAGE_BASELINES)
    if removal is not None and removal not in known:
        raise UnknownName("removal", removal, known)
    if orders < LEAST_ORDERS:
        raise InvalidInput(f"orders must be at least {LEAST_ORDERS}, for an interval; got {orders}.")
    if limit is not None and limit < 1:
        raise InvalidInput(f"limit is a number of rows, at least 1; got {limit}.")


@dataclass(frozen=True, kw_only=True)
class _Explained:
    """The explanations of one row by one method, and what they cost."""

    method: Method
    items: Sequence[Explanation]
    passes: int
    milliseconds: float


@dataclass(frozen=True)
class _Trial:
    """One row of the data, on which methods are tried."""

    explainer: Explainer
    before: MethodComparison
    table: DataTable  # the row
    full: bool
    options: Mapping[str, Any]

    @property
    def seed(self) -> int:
        """Of this row."""
        return self.before.seed + self.table.first

    def added(self) -> MethodComparison:
        """The comparison with this row."""
        before, row = self.before, self.table.first
        measured: list[Measurement] = []
        failures: list[MethodFailure] = []
        about: dict[str, Any] = {}
        try:
            request = self._request()
            explained = list(self._explanations(request, failures))
            if explained:
                measured, about = self._measure(request, explained)
        except XaiError as error:
            failures.append(MethodFailure(row=row, message=str(error)))
        if not measured and len({one.message for one in failures}) == 1:  # the row fails, whatever the method
            failures = [replace(failures[0], method="")]
        return replace(
            before,
            measurements=(*before.measurements, *measured),
            failures=(*before.failures, *failures),
            **about,
        )

    def _request(self) -> Request:
        """The call that explains the row; methods that draw take this row's seed."""
        inputs, options = self.explainer.named_inputs((), self.options)
        inputs = {self.explainer.task.inputs[0].name: self.table, **inputs}
        request = self.explainer.request(inputs, {**options, "method": list(self.before.methods), "progress": False})
        return replace(request, methods=tuple(_seeded(method, self.seed) for method in request.methods))

    def _explanations(self, request: Request, failures: list[MethodFailure]) -> Iterator[_Explained]:
        """The explanations by each method; those that cannot explain the row are added to the failures."""
        for method in request.methods:
            try:
                yield self._explain(request, method)
            except XaiError as error:
                failures.append(MethodFailure(row=self.table.first, method=method.name, message=str(error)))

    def _explain(self, request: Request, method: Method) -> _Explained:
        with forward_passes(self.explainer.model) as count:
            began = time.perf_counter()
            items = list(run.explain(self.explainer, replace(request, methods=(method,))))
            milliseconds = 1000 * (time.perf_counter() - began)
        if not all(math.isfinite(score) for item in items for score in feature_scores(item)):
            raise InvalidInput(f"{method.name} gives scores that are NaN or infinite.")
        return _Explained(method=method, items=items, passes=count.rows, milliseconds=milliseconds)

    def _measure(self, request: Request, explained: Sequence[_Explained]) -> tuple[list[Measurement], dict[str, Any]]:
        """The measurements of each method, and what the comparison says about all rows."""
        explainer, row = self.explainer, self.table.first
        request = replace(request, methods=tuple(one.method for one in explained))
        removal = self.before.removal or _usual_removal(explainer, request)
        faithful: list[dict[str, Tensor]] = []  # of each target
        trusts: list[list[Trust]] = [[] for _ in explained]  # of each method
        with frozen_model(explainer.model, evaluate=True):
            windows = explainer.encode(request)
            start = 0
            for target in explainer.targets(
                request, windows, run.predict(explainer, windows, request.options.batching)
            ):
                places = slice(start, start := start + len(target.specs))
                items = [one.items[places] for one in explained]
                faithful.append(self._faithfulness(request, windows, target, items, removal))
                verdicts = iter(self._verdicts(request, windows, target, items))
                for own, of_method in zip(trusts, items, strict=True):
                    own += [next(verdicts) for _ in of_method]
        means = {name: torch.cat([each[name] for each in faithful], 1).nanmean(1) for name in faithful[0]}
        numbers: list[dict[str, Any]] = [
            {name: None if values[i].isnan() else float(values[i]) for name, values in means.items()}
            for i in range(len(explained))
        ]
        first = explained[0].items[0]
        measured = [
            Measurement(
                row=row,
                method=one.method.name,
                **numbers[i],
                residual=_residual(one.items),
                level=max((trust.level for trust in trusts[i]), key=LEVELS.index),
                flip=_flip(trusts[i]),
                passes=one.passes,
                milliseconds=one.milliseconds,
            )
            for i, one in enumerate(explained)
        ]
        return measured, {"removal": removal, "unit": first.target.unit, "part": "word" if first.tokens else "region"}

    def _faithfulness(
        self,
        request: Request,
        windows: Sequence[TokenWindow],
        target: ExampleTarget,
        items: Sequence[Sequence[Explanation]],
        removal: str,
    ) -> dict[str, Tensor]:
        """The measures of the explanations of one target, by each method."""
        scores = torch.tensor([[feature_scores(item) for item in of_method] for of_method in items])
        subject = remembering(removal_subject(self.explainer, request, windows, target, removal))
        return faithfulness(subject, scores, self.seed + APART, self.before.orders, full=self.full)

    def _verdicts(
        self,
        request: Request,
        windows: Sequence[TokenWindow],
        target: ExampleTarget,
        items: Sequence[Sequence[Explanation]],
    ) -> list[Trust]:
        """The trust verdicts of the explanations of one target, method by method."""
        return Examination(
            explainer=self.explainer,
            request=request,
            windows=windows,
            target=target,
            items=[item for of_method in items for item in of_method],
            extent="quick",
        ).verdicts()


def remembering(subject: Subject) -> Subject:
    """The subject of `removal_subject`, which evaluates each set of features once."""
    known: dict[bytes, Any] = {}

    def forward(arguments: Mapping[str, Tensor], owner: Tensor) -> Any:
        if "present" not in arguments:
            return subject.forward(arguments, owner)
        present = arguments["present"]
        keys = [row.tobytes() for row in present.bool().cpu().numpy()]
        new = {key: r for r, key in enumerate(keys) if key not in known}
        if new:
            rows = torch.tensor(list(new.values()), device=present.device)
            known.update(zip(new, subject.forward({"present": present[rows]}, owner[rows]), strict=True))
        return torch.stack([known[key] for key in keys])

    return replace(subject, forward=forward)


def faithfulness(
    subject: Subject, scores: Tensor, seed: int = 0, orders: int = ORDERS, *, full: bool = False
) -> dict[str, Tensor]:
    """The measures of `core.method_comparison.Measurement` that remove features, for one example: (N, T) each.

    scores: (N, T, M) of N methods, each for every one of the T numbers.
    Raises InvalidInput if nothing can be removed.
    """
    methods, targets, features = scores.shape
    removable = int(removable_features(subject.problem()).sum())
    if not removable:
        raise InvalidInput("nothing of this input can be removed.")
    sizes = None if removable <= STEPS else [step / STEPS for step in range(1, STEPS + 1)]
    draws = random_scores(subject, orders=orders, seed=seed)
    own = scores.to(draws).view(1, methods * targets, features)
    drops = deletion_curve(subject, torch.cat([own, draws], 1), sizes=sizes).mean_drop
    heights = insertion_curve(subject, torch.cat([own, -draws], 1), sizes=sizes).mean  # −draws need no other sets

    def of_own(values: Tensor) -> Tensor:
        """Values (1, O, T) of orders: those of each number at the scores for it, (N, T)."""
        return values[0, : methods * targets].view(methods, targets, targets).diagonal(dim1=1, dim2=2).double().cpu()

    def of_random(values: Tensor) -> Tensor:
        return values[0, methods * targets :].double().cpu()  # (orders, T)

    measures = {
        "deletion": of_own(drops) - of_random(drops).mean(0),
        "insertion": of_own(heights) - of_random(heights).mean(0),
        "beaten": (of_random(drops) < of_own(drops)[:, None]).double().mean(1),
        "comprehensiveness": of_own(comprehensiveness(subject, own)),
        "sufficiency": of_own(sufficiency(subject, own)),
    }
    if full:
        measures["naopc"] = of_own(naopc(subject, own, sizes=sizes, orders=orders, seed=seed).value)
    return measures


def _seeded(method: Method, seed: int) -> Method:
    """The method with this seed, if it draws."""
    draws = any(one.name == "seed" for one in fields(method))  # type: ignore[arg-type]
    return replace(method, seed=seed) if draws else method  # type: ignore[type-var]


def _usual_removal(explainer: Explainer, request: Request) -> str:
    """What explanations compare with: the baseline of words, or of an image alone."""
    if explainer.task.reads_text:
        name = explainer.baseline_name(request)
        return name if name in REMOVALS else "zero"
    return str(request.own.get("image_baseline", IMAGE_REMOVALS[0]))


def _residual(items: Sequence[Explanation]) -> float | None:
    shares = [residual_share(item)[0] for item in items if item.complete]
    return sum(shares) / len(shares) if shares else None


def _flip(trusts: Sequence[Trust]) -> int | None:
    """How many words the first of these flips takes, 0 where there is none; None where no flip was tried."""
    checks = [check for trust in trusts for check in trust.checks if check.name == "flip"]
    return int(checks[0].numbers.get("words", 0)) if checks else None
