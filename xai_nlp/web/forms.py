"""Tasks and methods described for a form, as JSON can hold them, and the values of a form read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.core.registry import method_options
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.methods import METHODS
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.task import Task

MAX_LABELS = 200  # labels of a model that are listed
OMITTED = ("batch_size", "on_error")  # options that a form or a request does not set


def form_fields(fields: Iterable[InputField | OptionField]) -> list[dict[str, Any]]:
    """Inputs or options; the type of an option by its name."""
    return [asdict(one) | ({"type": one.type.__name__} if isinstance(one, OptionField) else {}) for one in fields]


def parse_options(
    kind: str, fields: Iterable[OptionField], values: Mapping[str, Any], remedy: str = ""
) -> dict[str, Any]:
    """Values by the names of options, as the types of the options; a repeatable option takes a list of them.

    kind: what an option is called in an error. remedy: what to do about a name that does not exist.
    Raises UnknownName for an option or a choice that does not exist, InvalidInput for a value of another type.

    >>> parse_options("option", method_options("shapley"), {"samples": "8"})
    {'samples': 8}
    """
    known, parsed = {one.name: one for one in fields}, {}
    for name, value in values.items():
        if name not in known:
            raise UnknownName(kind, name, known, remedy)
        if isinstance(value, list) and not known[name].repeatable:
            raise InvalidInput(f"{name} takes one value here; got {len(value)}.")
        parse = known[name].parse
        parsed[name] = [parse(item) for item in value] if isinstance(value, list) else parse(value)
    return parsed


def columns_of(records: Sequence[Record]) -> dict[str, list[Any]]:
    """The inputs of records by name, as `explain` and `predict` take those of several examples.

    >>> columns_of([Record(0, {"text": "a film"}), Record(1, {"text": "a book", "pair": "a tale"})])
    {'text': ['a film', 'a book'], 'pair': [None, 'a tale']}
    """
    names = dict.fromkeys(name for one in records for name, value in one.inputs.items() if value is not None)
    return {name: [one.inputs.get(name) for one in records] for name in names}


def task_options(task: Task) -> list[OptionField]:
    """The options of an explanation, without the method."""
    return [one for one in task.every_option if one.name not in (*OMITTED, "method")]


def task_form(task: Task) -> dict[str, Any]:
    """A task: its inputs and options."""
    fields = {"inputs": form_fields(task.inputs), "options": form_fields(task_options(task))}
    return {"name": task.name, "title": task.title, "help": task.help, **fields}


def method_form(name: str) -> dict[str, Any]:
    """A method: its description, whether its scores add up, and its options."""
    cls = METHODS[name]
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return {"name": name, "help": text, "complete": cls.complete, "options": form_fields(method_options(name))}


def labels_of(explainer: Explainer) -> list[str]:
    """The labels or answers that a classifier chooses from; none of a model that writes or points."""
    labels = getattr(explainer, "labels", None)
    return list(labels.names)[:MAX_LABELS] if labels is not None else []
