"""`diff`: two models on the same examples, explained at the same numbers and compared word by word."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from xai_nlp.core.batching import Progress
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.model_diff import DiffThresholds, Failure, ModelDiff
from xai_nlp.core.result import Explanation
from xai_nlp.data.table import read_table
from xai_nlp.errors import InvalidInput, XaiError
from xai_nlp.methods import METHODS
from xai_nlp.runs.example_diff import compare
from xai_nlp.runs.read import Run, is_run, read_run
from xai_nlp.runs.saved_diff import compare_saved
from xai_nlp.tasks import run
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.task import Task

SAVED = (".json", ".jsonl")  # how files of explanations end
#: Options that say which number is explained. Model B is asked for the numbers that model A was explained at.
TARGETS = ("target", "answer", "rather_than", "entity", "rank")


def diff(
    model_a: Any,
    model_b: Any,
    data: Any = None,
    *,
    task: str | None = None,
    method: str = "integrated_gradients",
    column: str | Mapping[str, str] | None = None,
    top: int = 5,
    most_moved: float | None = 0.1,
    least_correlation: float | None = None,
    most_sign_flips: float | None = None,
    least_overlap: float | None = None,
    most_label_flips: float = 0.0,
    most_changed: float = 0.0,
    progress: Progress | bool | None = True,
    **options: Any,
) -> ModelDiff:
    """Do two models decide for the same reasons?

    Both are explained at the same number of each example, what model A says, and compared over whole words.

    model_a, model_b: two models, checkpoints or dtypes: anything that `load` takes, or what it gave. Or explanations
        that were saved, by another version of a library for instance: a file, the folder of a run, or Explanations.
        With one model and one file, the model explains the texts of the file, by the method and at the targets of the
        file. Explanations of two runs stay in their files, and are read when they are used.
    data: the examples of two models: anything that `data.table.read_table` reads. Files of explanations hold theirs.
    task: of models that are named; a key of `tasks.table.TASKS`. None goes by the model's config.
    method, options: as in `explain`; column: as in `explain_table`.
    top: words in `ExampleDiff.top_overlap`.
    most_moved, least_correlation, most_sign_flips, least_overlap, most_label_flips, most_changed: from where on the
        models differ; see `core.model_diff.DiffThresholds`.

    An example that one model alone can explain is a difference; one that none can is in `ModelDiff.failures` only.
    Raises InvalidInput for models of different tasks or labels, for explanations by different methods, and where no
    example can be compared.

    >>> import xai_nlp
    >>> found = xai_nlp.diff("sentiment", "sentiment", ["a gripping film", "the plot is thin"])
    >>> found.same, found.label_flips, found.agreement["moved"].quartiles[-1]
    (True, [], 0.0)
    """
    thresholds = DiffThresholds(
        most_moved=most_moved,
        least_correlation=least_correlation,
        most_sign_flips=most_sign_flips,
        least_overlap=least_overlap,
        most_label_flips=most_label_flips,
        most_changed=most_changed,
    )
    if isinstance(top, bool) or not isinstance(top, int) or top < 1:
        raise InvalidInput(f"top is a number of words, at least 1; got {top!r}.")
    one, other = saved_or_model(model_a, task), saved_or_model(model_b, task)
    check_same_kind(one, other)
    two_models = isinstance(one, Explainer) and isinstance(other, Explainer)
    if not two_models and data is not None:
        raise InvalidInput("saved explanations hold their texts; leave out the data.")
    if two_models and data is None:
        raise InvalidInput("give the examples that the two models are compared on: data=…, --data FILE.")
    if not isinstance(method, str):
        raise InvalidInput(f"diff compares explanations by one method; got {method!r}.")
    options["progress"] = progress
    if isinstance(one, Explanations) and isinstance(other, Explanations):
        examples, failures = compare_saved(one, other, top)
    else:
        pairs, failures = _explained_pairs(one, other, data, column, method, options)
        examples = [compare(before, after, index=index, top=top) for index, before, after in pairs]
    if not examples:
        raise InvalidInput(f"no example can be compared: {failures[0].message if failures else 'there is none'}")
    return ModelDiff(
        models=_names((one, other), (examples[0].before, examples[0].after)),
        examples=tuple(examples),
        failures=tuple(failures),
        thresholds=thresholds,
        top=top,
    )


Pair = tuple[int, Explanation, Explanation]  # the number of an example, and its explanations by A and B


# What is compared -------------------------------------------------------------------------------------------------


def is_saved(source: Any) -> bool:
    """Is this the path of saved explanations: a file of them, or the folder of a run?"""
    return isinstance(source, (str, os.PathLike)) and (Path(source).suffix in SAVED or is_run(Path(source)))


def saved_or_model(source: Any, task: str | None = None) -> Explainer | Explanations:
    """Explanations, of a file, of a run or given, or else a model. Raises InvalidInput for no explanations."""
    if isinstance(source, Explainer):
        return source
    if is_saved(source):
        source = read_run(source) if is_run(Path(source)) else Explanations.load(source)
    if isinstance(source, Run) and len(source):
        return source  # it stays in its files
    if isinstance(source, Explanation):
        return Explanations([source])
    if isinstance(source, (list, Explanations)):
        if not source or not all(isinstance(one, Explanation) for one in source):
            raise InvalidInput("a list of explanations holds at least one, and nothing else.")
        return Explanations(source)
    return load(source, task=task)


@dataclass(frozen=True)
class _Kind:
    """What two sides of a comparison have in common.

    labels: of a classifier, those of a tagger as types; none where answers are free. ways: method and baseline.
    """

    tasks: set[str]
    labels: set[str]
    ways: set[tuple[str, str]]

    @classmethod
    def of(cls, source: Explainer | Explanations) -> _Kind:
        if isinstance(source, Explainer):
            types: Sequence[str] = getattr(source, "types", ())  # of a tagger
            return cls({source.task.name}, set(types or getattr(getattr(source, "labels", None), "names", ())), set())
        kind = cls(set(), set(), set())
        for item in source:  # once: those of a run are read from its files
            kind.tasks.add(item.task)
            kind.ways.add((item.method, item.baseline))
            if item.target.kind in ("label", "entity") and not _chosen_labels(item):
                kind.labels.update(item.outputs)
        return kind


def check_same_kind(one: Explainer | Explanations, other: Explainer | Explanations) -> None:
    """Raise InvalidInput, in one sentence, for different tasks, labels or, of files, methods."""
    first, second = _Kind.of(one), _Kind.of(other)
    if first.tasks != second.tasks or len(first.tasks) > 1:
        named = " and ".join(" and ".join(sorted(kind.tasks)) for kind in (first, second))
        raise InvalidInput(f"two models of one task are compared; these do {named}.")
    if first.labels and second.labels and first.labels != second.labels:
        only = [
            ", ".join(sorted(labels)[:6]) for labels in (first.labels - second.labels, second.labels - first.labels)
        ]
        raise InvalidInput(
            f"two models with the same labels are compared; only A has {only[0] or 'none'}, and only B "
            f"{only[1] or 'none'}. Give both the same names in id2label of their config."
        )
    if isinstance(one, Explanations) and isinstance(other, Explanations):
        ways = [first.ways, second.ways]
        if ways[0] != ways[1] or len(ways[0]) > 1:
            listed = " and ".join(sorted({f"{method} from {start}" for way in ways for method, start in way}))
            raise InvalidInput(f"explanations by one method, from one baseline, are compared; these are by {listed}.")


def _chosen_labels(item: Explanation) -> bool:
    """Do the labels belong to the example, not to the model?"""
    return item.task == "zero-shot-classification"


def _names(sources: Sequence[Explainer | Explanations], firsts: Sequence[Explanation]) -> tuple[str, str]:
    """The names of the models; equal ones with the dtype, or the versions, in which they differ."""
    one, other = (item.model or "?" for item in firsts)
    if one != other:
        return one, other
    models = [source.model for source in sources if isinstance(source, Explainer)]
    if len({model.dtype for model in models}) == 2:
        return tuple(f"{one} {str(model.dtype).removeprefix('torch.')}" for model in models)  # type: ignore[return-value]
    a, b = (dict(item.versions) for item in firsts)
    changed = [name for name in {**a, **b} if a.get(name) != b.get(name)]
    notes = [" ".join(f"{name} {versions.get(name, '?')}" for name in changed) for versions in (a, b)]
    return (f"{one} {notes[0]}".strip(), f"{one} {notes[1]}".strip())


def _explained_pairs(
    one: Explainer | Explanations,
    other: Explainer | Explanations,
    data: Any,
    column: Any,
    method: str,
    options: Mapping[str, Any],
) -> tuple[list[Pair], list[Failure]]:
    """Pairs of explanations where at least one side is a model."""
    if isinstance(one, Explainer) and isinstance(other, Explainer):
        return _explained_by_both(one, other, data, column, {"method": method, **options})
    if isinstance(other, Explainer):
        assert isinstance(one, Explanations)
        return _explained_again(other, one, options)
    assert isinstance(one, Explainer)
    turned, failures = _explained_again(one, other, options)
    pairs = [(index, after, before) for index, before, after in turned]
    return pairs, [replace(failure, missing="A") for failure in failures]


# Two models -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Examples:
    """Inputs of a task by name, one mapping an example, with right answers."""

    inputs: Sequence[Mapping[str, Any]]
    gold: Sequence[tuple[str, ...]] = ()

    def explained(
        self, explainer: Explainer, rows: Sequence[int], options: Mapping[str, Any]
    ) -> tuple[dict[int, Explanation], dict[int, str]]:
        """The explanations of these examples, and why others have none, by the example's number.

        Raises InvalidInput if the options ask for several explanations of an example.
        """
        names = [one.name for one in explainer.task.inputs]
        columns = {name: [self.inputs[row].get(name) for row in rows] for name in names}
        given = {name: values for name, values in columns.items() if any(value is not None for value in values)}
        request = explainer.request(given, {**options, "on_error": "record"})
        request = replace(request, single=False, gold=[self.gold[row] for row in rows] if self.gold else [])
        items = run.explain_and_record(explainer, request)
        left = [row for place, row in enumerate(rows) if place not in items.errors]
        if len(items) != len(left):
            raise InvalidInput("diff compares one explanation of each example; name one target.")
        return dict(zip(left, items, strict=True)), {rows[place]: why for place, why in items.errors.items()}


def _explained_by_both(
    one: Explainer, other: Explainer, data: Any, column: Any, options: Mapping[str, Any]
) -> tuple[list[Pair], list[Failure]]:
    """Model A explains the data, and model B each example at the number that A was explained at."""
    shared, plain = one.named_inputs((), options)
    first = one.task.inputs[0].name
    request = one.request({**shared, first: read_table(data)}, {**plain, "column": column})
    names = {field.name for field in one.task.inputs}
    inputs = [{name: value for name, value in row.items() if name in names} for row in request.examples]
    examples = _Examples(inputs, request.gold)
    every = range(len(inputs))
    before, errors = examples.explained(one, every, plain)
    after, others = _at_the_same_targets(other, examples, before, plain)
    alone, _ = examples.explained(other, sorted(errors), plain) if errors else ({}, {})
    failures = [Failure(row, "A" if row in alone else "both", errors[row]) for row in errors]
    failures += [Failure(row, "B", why) for row, why in others.items()]
    if "answer" in plain:
        before = _with_own_outputs(one, examples, before, plain)
    pairs = [(row, before[row], after[row]) for row in every if row in before and row in after]
    return pairs, sorted(failures, key=lambda failure: failure.index)


def _at_the_same_targets(
    explainer: Explainer, examples: _Examples, reference: Mapping[int, Explanation], options: Mapping[str, Any]
) -> tuple[dict[int, Explanation], dict[int, str]]:
    """The explanations of examples at the targets of others, by the example's number, and why some have none."""
    plain = {name: value for name, value in options.items() if name not in TARGETS}
    alike: dict[str, tuple[dict[str, Any], list[int]]] = {}  # one call for the examples of one target
    for row, why in reference.items():
        target = target_keywords(why, explainer)
        if "rather_than" in options:  # as the user spelt it: the white space of a written answer counts
            target["rather_than"] = options["rather_than"]
        alike.setdefault(repr(target), (target, []))[1].append(row)
    explained: dict[int, Explanation] = {}
    errors: dict[int, str] = {}
    for target, rows in alike.values():
        found, failed = examples.explained(explainer, rows, {**plain, **target})
        explained |= found
        errors |= failed
    return _with_own_outputs(explainer, examples, explained, plain), errors


def target_keywords(why: Explanation, explainer: Explainer) -> dict[str, Any]:
    """The options that ask a model for the number that an explanation is about; none for its only number.

    Raises InvalidInput for one token of a written answer: another tokenizer has other tokens.
    """
    target = why.target
    rather = {} if target.contrast is None else {"rather_than": target.contrast}
    if target.kind == "token":
        raise InvalidInput("diff compares a written answer as a whole; leave out target='words'.")
    if target.kind in ("label", "output"):
        takes_one = any(option.name == "target" for option in explainer.task.options)
        return {"target": str(target)} if takes_one else {}
    if target.kind == "word":
        return {"target": target.label, **rather}
    if target.kind == "entity":
        return {"entity": why.answer[1] if why.answer else target.answer, "target": target.label, **rather}
    place = {} if target.kind == "answer" else {"target": target.kind}
    if not target.label:  # “no answer” cannot be named; a model that gives it is explained at it
        return place
    return {**place, "answer": why.answer[1] if why.answer else _written_answer(why, explainer), **rather}


def _written_answer(why: Explanation, explainer: Explainer) -> str | list[int]:
    """The answer's token ids, if they mean the same to the model's tokenizer; else its text."""
    ids: list[int] = list(why.params.get("answer_ids", ()))
    generator = getattr(getattr(explainer, "generated", None), "generator", None)
    same = generator and ids and max(ids) < len(generator.tokenizer) and generator.text(ids) == why.target.label
    return ids if same else why.params.get("answer_text", why.target.label)


def _with_own_outputs(
    explainer: Explainer, examples: _Examples, explained: Mapping[int, Explanation], options: Mapping[str, Any]
) -> dict[int, Explanation]:
    """The explanations with what the model says itself: one that writes lists the answer alone that it was given."""
    if getattr(explainer, "generated", None) is None:
        return dict(explained)
    plain = {name: value for name, value in options.items() if name not in (*TARGETS, "progress")}
    own: dict[int, Explanation] = {}
    for row, why in explained.items():
        try:
            outputs = explainer.predict(**examples.inputs[row], **plain)
        except XaiError:  # it writes nothing
            outputs = {}
        own[row] = replace(why, outputs=outputs)
    return own


# Saved explanations -----------------------------------------------------------------------------------------------


def _explained_again(
    explainer: Explainer, saved: Explanations, options: Mapping[str, Any]
) -> tuple[list[Pair], list[Failure]]:
    """The saved explanations, each with the model's own of the same text, by the same method and at the same target."""
    if any(why.image for why in saved):
        raise InvalidInput("a saved explanation holds a small copy of its image; give two models, and the data.")
    ways = {(why.method, why.baseline, why.target.unit) for why in saved}
    if len(ways) > 1:
        raise InvalidInput("explanations by one method, from one baseline and in one unit, are explained again.")
    first = saved[0]
    known = {one.name for one in fields(METHODS[first.method])}  # type: ignore[arg-type]
    same = {name: value for name, value in first.params.items() if name in known and value is not None}
    same |= {} if first.baseline == "none" else {"baseline": first.baseline}
    unit = {} if first.target.kind == "output" else {"unit": first.target.unit}
    keywords = {"method": first.method, **unit, **same, **options}
    examples = _Examples([_inputs_of(why, explainer.task) for why in saved], [why.gold for why in saved])
    before = dict(enumerate(saved))
    after, errors = _at_the_same_targets(explainer, examples, before, keywords)
    for row, why in after.items():
        if before[row].params.get("answer_given"):  # what its model would have said is not known
            after[row] = replace(why, outputs=before[row].outputs)
    return (
        [(row, before[row], after[row]) for row in before if row in after],
        [Failure(row, "B", why) for row, why in sorted(errors.items())],
    )


def _inputs_of(why: Explanation, task: Task) -> dict[str, Any]:
    """The inputs that an explanation was made of, by name: its texts in their order, and labels to choose from."""
    texts = iter(why.segments)
    values = {one.name: list(why.outputs) if one.kind == "list" else next(texts, None) for one in task.inputs}
    return {name: value for name, value in values.items() if value is not None}
