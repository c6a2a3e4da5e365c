"""Explainers of any registered task and their data, as a source for Insights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xai_nlp.core.registry import METHODS, method_options
from xai_nlp.core.result import Explanation
from xai_nlp.data.table import Record, read_table
from xai_nlp.errors import InvalidInput
from xai_nlp.insights.features import listed
from xai_nlp.insights.source import PREDICTED, Explained, Settings, Source
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.options import ExplainOptions
from xai_nlp.web.forms import form_fields, labels_of, parse_options, task_options


class ExplainerSource(Source[Record]):
    """Explainers of one task with examples.

    models: explainers, or anything that `load` takes; one or a list. data: anything that `read_table` takes.
    """

    def __init__(self, models: Any, data: Any, examples: int = 4) -> None:
        self.explainers = [one if isinstance(one, Explainer) else load(one) for one in listed(models)]
        if not self.explainers:
            raise InvalidInput("Insights needs a model.")
        self.task = self.explainers[0].task
        self.labels = list(dict.fromkeys(label for one in self.explainers for label in labels_of(one)))
        table = read_table(data)
        records = list(table.records(self.task.inputs, self.task.gold, labels=labels_of(self.explainers[0])))
        self.judged = any(record.gold for record in records)
        settings = Settings(
            method=str(ExplainOptions.method), examples=min(examples, len(records)), target=self._targets()[0]
        )
        super().__init__(settings, iter(records))

    def choices(self) -> dict[str, Any]:
        scored = ("inputs",) if self.task.reads_text else ("inputs", "layer")
        methods = sorted(name for name, cls in METHODS.items() if cls.operates_on in scored)
        return {
            "methods": {name: form_fields(method_options(name)) for name in methods},
            "options": form_fields(one for one in task_options(self.task) if one.name != "target"),
            "targets": self._targets(),
            "contrasts": self.labels if PREDICTED in self._targets() and len(self.labels) > 1 else [],
            "several": True,
            "inputs": form_fields(one for one in self.task.inputs if one.kind != "image"),
            "classes": self.labels,
            "judged": self.judged,
        }

    def own_example(self, inputs: Mapping[str, Any]) -> Record:
        """The example of a form; its image is that of the first example shown, for a task that looks at one."""
        shown = self._shown[0].inputs if self._shown else {}
        images = {one.name: shown[one.name] for one in self.task.inputs if one.kind == "image" and one.name in shown}
        values = {name: text for name, text in inputs.items() if text}
        if missing := [name for name in self.task.required if name not in values | images]:
            raise InvalidInput(f"{' and '.join(missing)} is empty: {self.task.title.lower()} needs it.")
        return Record(-1, images | values)

    def explain_example(self, example: Record, *, filtered: bool) -> list[Explained]:
        settings, results = self.settings, []
        fields = {one.name: one for one in self.task.every_option}
        own = {name: value for name, value in settings.arguments.items() if name in fields}
        of_method = {name: value for name, value in settings.arguments.items() if name not in fields}
        of_task = parse_options("option", fields.values(), own)
        for explainer in self.explainers:
            target = self._target(explainer, example)
            for method in dict.fromkeys((settings.method, *settings.beside)):
                options = dict(of_task)
                if method == settings.method:
                    options |= parse_options("option", (*method_options(method), *fields.values()), of_method)
                why = explainer.explain(**example.inputs, method=method, progress=False, **target, **options)
                assert isinstance(why, Explanation)
                why = replace(why, gold=example.gold)
                if not filtered or settings.accept(why.prediction, why.correct):
                    results.append(Explained(why))
        return results

    def _target(self, explainer: Explainer, example: Record) -> dict[str, Any]:
        """The target as a keyword. A class that is to be compared with itself is explained alone."""
        target, other = self.settings.target, self.settings.rather_than
        if not other:
            return {} if target == PREDICTED else {"target": target}
        if target == PREDICTED:
            outputs = explainer.predict(**example.inputs)
            target = max(outputs, key=outputs.__getitem__)
        return {"target": target if target == other else f"{target}-{other}"}

    def _targets(self) -> list[str]:
        """The targets that can be chosen, the default first."""
        target = next((one for one in self.task.options if one.name == "target"), None)
        if target is None or not target.choices:
            return [PREDICTED, *(self.labels if target else ())]
        return sorted(target.choices, key=lambda choice: choice != target.default)
