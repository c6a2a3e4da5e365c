"""Tasks and methods described for a form, as JSON can hold them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.core.registry import method_options
from xai_nlp.methods import METHODS
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.table import Task

MAX_LABELS = 200  # labels of a model that are listed
OMITTED = ("rows",)  # options that a form or a request does not set


def form_fields(fields: Iterable[InputField | OptionField]) -> list[dict[str, Any]]:
    """Inputs or options; the type of an option by its name."""
    return [asdict(one) | ({"type": one.type.__name__} if isinstance(one, OptionField) else {}) for one in fields]


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
