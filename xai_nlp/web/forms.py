"""Tasks and methods described for a form, as JSON can hold them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.core.registry import method_options
from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import Task
from xai_nlp.web.explain_request import OMITTED


def form_fields(fields: Iterable[InputField | OptionField]) -> list[dict[str, Any]]:
    """Inputs or options; the type of an option by its name."""
    return [asdict(one) | ({"type": one.type.__name__} if isinstance(one, OptionField) else {}) for one in fields]


def task_form(task: Task) -> dict[str, Any]:
    """A task: its inputs, and the options of an explanation beside those of the method."""
    options = [one for one in task.every_option if one.name not in (*OMITTED, "method")]
    return {
        "name": task.name,
        "title": task.title,
        "help": task.help,
        "inputs": form_fields(task.inputs),
        "options": form_fields(options),
    }


def method_form(name: str) -> dict[str, Any]:
    """A method: what it is, and its options."""
    cls = METHODS[name]
    return {
        "name": name,
        "help": " ".join((cls.__doc__ or "").split("\n\n")[0].split()),
        "complete": cls.complete,
        "needs_baseline": cls.needs_baseline,
        "operates_on": cls.operates_on,
        "options": form_fields(method_options(name)),
    }
