"""From a request to Explanations: encode, predict, fix the targets, attribute batch by batch, describe.

This is the story of every `explain` call. A task (`tasks/explainer.py` and one file each) says how its inputs are
encoded, how outputs are read, and which numbers of them are explained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor

from xai_nlp._version import __version__
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.batching import Batching
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.registry import Method
from xai_nlp.core.result import Explanation
from xai_nlp.core.subject import Subject
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput, NotEnoughMemory
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.batch import TargetOfRows, TextSubject, WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget, padded_weights
from xai_nlp.tasks.merge_windows import merge_windows
from xai_nlp.tasks.one_pass import TargetOfOutputs, check_outputs, takes_one_pass
from xai_nlp.tasks.options import ExplainOptions, Request
from xai_nlp.tasks.precision import is_within, precisions, quick
from xai_nlp.tasks.progress import PassCounter, pass_counter
from xai_nlp.tasks.token_scores import BatchAttribution, WindowAttribution, attribute_batch

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

MATRICES = 2**30  # bytes of attention matrices of a call that stay on an accelerator until they are read


def explain(explainer: Explainer, request: Request) -> Explanations:
    """The explanations of a request: example by example, method by method, target by target."""
    with frozen_model(explainer.model, evaluate=True):
        windows = explainer.encode(request)
        if explainer.mean_of_windows:
            _check_windows(request, Counter(window.example for window in windows).values())
        if takes_one_pass(explainer, request, windows):
            with pass_counter(request.options.progress, len(windows)) as passes:
                targets, *by_method = predict_and_attribute(explainer, request, windows, passes)
        else:
            outputs = predict(explainer, windows, request.options.batching)
            targets = explainer.targets(request, windows, outputs)
            _check_windows(request, [len(target.windows) for target in targets])
            count = sum(len(target.windows) for target in targets) * len(request.methods)
            with pass_counter(request.options.progress, count) as passes:
                by_method = [attribute(explainer, one, request, windows, targets, passes) for one in request.methods]
        matrices = explainer.matrices(request, windows, targets)
    order = [
        (method, target, t, attributions, matrices[e])
        for e, target in enumerate(targets)
        for method, of_examples in zip(request.methods, by_method, strict=True)
        for attributions in [of_examples[e]]
        for t in range(len(target.specs))
    ]
    describe_one = partial(describe, explainer, request, [_parameters(method) for method in request.methods])
    inputs = [
        attributions[0].window.example if target.example is None else target.example
        for _, target, _, attributions, _ in order
    ]
    explanations = Explanations.lazy(len(order), lambda i: describe_one(*order[i]), inputs)
    return with_trust(explainer, request, windows, targets, explanations) if request.options.trust else explanations


def with_trust(
    explainer: Explainer,
    request: Request,
    windows: Sequence[TokenWindow],
    targets: Sequence[ExampleTarget],
    explanations: Explanations,
) -> Explanations:
    """The explanations of a request with their trust verdicts. Progress, if it is shown, begins with the cost."""
    from xai_nlp.tasks.trust import Examination, verdicts

    examinations, start = [], 0
    for target in targets:
        end = start + len(request.methods) * len(target.specs)
        examinations.append(Examination(
            explainer=explainer, request=request, windows=windows, target=target, items=explanations[start:end],
            extent=request.options.trust,
        ))  # fmt: skip
        start = end
    found = verdicts(examinations, progress=request.options.progress is True)
    verified = (replace(item, trust=trust) for item, trust in zip(explanations, found, strict=True))
    return Explanations(verified, inputs=explanations.inputs)


def explain_and_record(explainer: Explainer, request: Request) -> Explanations:
    """The same where some examples cannot be explained: the others are, and `errors` has a message for each index.

    A list that fails is divided in halves, so that few failures cost few passes.
    """
    explained: list[Explanations] = []
    inputs: list[int] = []
    errors: dict[int, str] = {}

    def part(indices: Sequence[int]) -> None:
        try:
            of_part = explain(explainer, request.part(indices))
            explained.append(of_part)
            inputs.extend(indices[i] for i in of_part.inputs)
        except (InvalidInput, NotEnoughMemory) as error:
            if len(indices) == 1:
                errors[indices[0]] = str(error)
                return
            middle = len(indices) // 2
            part(indices[:middle])
            part(indices[middle:])

    part(range(len(request.examples)))
    return Explanations((one for of_part in explained for one in of_part), errors, inputs)


@torch.no_grad()
def predict(explainer: Explainer, windows: Sequence[TokenWindow], batching: Batching) -> list[Tensor]:
    """The model's outputs (*C) for each window, in float32 or wider.

    Raises InvalidInput, which names the example, for NaN and +∞. A label may be impossible: −∞.
    """
    results: dict[int, Tensor] = {}
    for group in explainer.groups(windows):
        batch = explainer.batch([windows[i] for i in group])

        def work(part: slice, batch: Any = batch) -> Tensor:
            outputs = explainer.run(batch, {}, batch.everyone[part])
            return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

        entries = explainer.row_entries(batch)
        for part, outputs in batching.chunks(len(group), entries, device_of(explainer.model), work):
            check_outputs(outputs, windows, group[part])
            results.update(zip(group[part], outputs, strict=True))
    return [results[i] for i in range(len(windows))]


def attribute(
    explainer: Explainer,
    method: Method,
    request: Request,
    windows: Sequence[TokenWindow],
    targets: Sequence[ExampleTarget],
    passes: PassCounter,
) -> list[list[WindowAttribution]]:
    """For each target, the scores of its windows by one method."""
    options = request.options
    items = [(target, w, k) for target in targets for k, w in enumerate(target.windows)]
    results: dict[int, WindowAttribution] = {}  # by the item's number
    matrices, left = _Matrices(method, options), list(range(len(items)))
    tried = precisions(options.precision, method, explainer.model)
    for precision in tried:
        is_last, again = precision == tried[-1], list[int]()
        for group in explainer.groups([windows[items[i][1]] for i in left], matrices=matrices.are_kept):
            numbers = [left[i] for i in group]
            passes.begin(len(numbers) if precision == tried[0] else 0)
            members = [items[i] for i in numbers]
            weights = padded_weights([one.weights[k] for one, _, k in members])
            target = Target(weights=weights, unit=members[0][0].link)
            batch, subject = _posed(explainer, method, request, [windows[w] for _, w, _ in members], target, passes)
            scores = attribute_batch(method if is_last else quick(method), subject, batch, options, precision)
            scores = matrices.bounded(scores)
            results.update({i: scores.of_window(b) for b, i in enumerate(numbers)})
            if not is_last:
                enough = is_within(method, scores.residual, scores.value - scores.baseline_value)
                again += [i for i, within in zip(numbers, enough, strict=True) if not within]
            passes.end()
        left = again
    in_order = iter([results[i] for i in range(len(items))])
    return [[next(in_order) for _ in target.windows] for target in targets]


def predict_and_attribute(
    explainer: Explainer, request: Request, windows: Sequence[TokenWindow], passes: PassCounter
) -> tuple[list[ExampleTarget], list[list[WindowAttribution]]]:
    """The targets of examples of one window each, and the scores of their windows, from the same passes."""
    (method,) = request.methods
    matrices, found, results = _Matrices(method, request.options), dict[int, ExampleTarget](), {}
    for group in explainer.groups(windows, matrices=matrices.are_kept):
        passes.begin(len(group))
        target = TargetOfOutputs(explainer, request, windows, group, found)
        batch, subject = _posed(explainer, method, request, [windows[i] for i in group], target, passes)
        scores = matrices.bounded(attribute_batch(method, subject, batch, request.options))
        results.update({i: [scores.of_window(b)] for b, i in enumerate(group)})
        passes.end()
    everyone = range(len(windows))
    return [found[i] for i in everyone], [results[i] for i in everyone]


class _Matrices:
    """Attention matrices of a call: those of its first batches, up to MATRICES, stay on the accelerator."""

    def __init__(self, method: Method, options: ExplainOptions) -> None:
        self.are_kept = options.attention or method.operates_on == "attention"
        self.on_accelerator = 0  # bytes

    def bounded(self, scores: BatchAttribution) -> BatchAttribution:
        self.on_accelerator += scores.on_accelerator
        return scores.on_host() if self.on_accelerator > MATRICES else scores


def _posed(
    explainer: Explainer,
    method: Method,
    request: Request,
    windows: Sequence[TokenWindow],
    target: TargetOfRows,
    passes: PassCounter,
) -> tuple[WindowBatch, Subject]:
    """Windows as a batch, and the subject that a method scores."""
    options = request.options
    batch = explainer.batch(windows)
    posed = TextSubject(
        explainer=explainer,
        batch=batch,
        target=target,
        baseline=explainer.baseline_name(request),
        batching=replace(options.batching, progress=passes.on_rows),
        parts=options.parts,
        layer=options.layer,
        needs_baseline=method.needs_baseline,
    )
    return batch, posed.subject()


def describe(
    explainer: Explainer,
    request: Request,
    parameters: Sequence[Mapping[str, Any]],
    method: Method,
    target: ExampleTarget,
    t: int,
    attributions: Sequence[WindowAttribution],
    matrices: Mapping[str, AttentionAttribution],
) -> Explanation:
    """One explanation from the scores of its windows, and further matrices."""
    merged = merge_windows(target.segments, [one.scores(t) for one in attributions])
    first = attributions[0]
    spec = target.specs[t]
    unit = spec.unit if method.unit == "f" else ""
    scores = merged.scores.tolist()
    parts = first.of_batch.parts
    layers = merged.scores[1 + len(parts) :]
    notes = {
        "steps_used": merged.steps,
        "windows": len(attributions) if len(attributions) > 1 else None,
        "layer": request.options.layer,
        "precision": first.of_batch.precision,
        **target.notes,
    }
    baseline = first.of_batch.baseline or (explainer.baseline_name(request) if method.needs_baseline else "none")
    return Explanation(
        segments=target.segments,
        tokens=merged.tokens,
        offsets=merged.offsets,
        segment=merged.segment,
        scores=tuple(scores[0]),
        unit=unit,
        target=spec,
        value=merged.value,
        baseline_value=merged.baseline_value,
        outputs=target.outputs,
        method=method.name,
        baseline=baseline,
        complete=method.complete and (method.operates_on == "inputs" or first.window.visible_positions is None),
        task=explainer.task.name,
        model=explainer.name,
        seed=getattr(method, "seed", 0),
        params={
            **parameters[request.methods.index(method)],
            **{name: note for name, note in notes.items() if note is not None},
        },
        versions=VERSIONS,
        answer=target.answer,
        gold=tuple(request.gold[first.window.example if target.example is None else target.example])
        if request.gold
        else (),
        parts={name: tuple(part) for name, part in zip(parts, scores[1:], strict=False)},
        layers=Array(layers) if len(layers) else None,
        attention={**({} if merged.starts is None else first.attention(method, unit, t, merged.starts)), **matrices},
        image=first.image(t),
    )


VERSIONS = {"xai_nlp": __version__, "torch": torch.__version__, "transformers": transformers.__version__}


def _parameters(method: Method) -> Mapping[str, Any]:
    return asdict(method)  # type: ignore[call-overload]


def _check_windows(request: Request, counts: Iterable[int]) -> None:
    """Refuse attention matrices of texts that are explained in several windows, given how many of them."""
    matrices = request.options.attention or any(method.operates_on == "attention" for method in request.methods)
    if matrices and max(counts, default=0) > 1:
        raise InvalidInput(
            "a long text is read in several windows, and each has attention matrices of its own. "
            "Shorten the text, or explain one window of it."
        )
