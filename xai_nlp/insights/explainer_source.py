"""Our own explainers and their data as a source for Insights: sentiment, questions and contexts, images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.data.table import Record, read_table
from xai_nlp.errors import InvalidInput
from xai_nlp.insights.config import NumberConfig, StrEnumConfig
from xai_nlp.insights.settings import AS_PREDICTED, Settings, form_of
from xai_nlp.methods import METHODS
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer

FIRST = "integrated_gradients"
LOOKED = 1_000


class ExplainerSource:
    """Explainers of one task with examples: whatever `read_table` reads."""

    def __init__(self, models: Any, data: Any, examples: int = 4) -> None:
        several = models if isinstance(models, (list, tuple)) else [models]
        self.explainers = [one if isinstance(one, Explainer) else load(one) for one in several]
        if not self.explainers:
            raise InvalidInput("Insights needs a model.")
        task, labels = self.explainers[0].task, _labels(self.explainers[0])
        self.data = list(read_table(data).records(task.inputs, task.gold, labels=labels))
        self.settings = Settings(method=FIRST, examples=min(examples, len(self.data)))
        self._place = 0
        self._shown: list[Record] = []

    def choices(self) -> dict[str, Any]:
        """What can be chosen."""
        labels = list(dict.fromkeys(label for one in self.explainers for label in _labels(one)))
        methods = [name for name, cls in METHODS.items() if cls.operates_on == "inputs"]
        return {
            "methods": {name: form_of(_arguments(name)) for name in sorted(methods)},
            "targets": [AS_PREDICTED, *labels],
            "classes": labels,
            "judged": any(record.gold for record in self.data),
        }

    def fetch(self) -> Explanations:
        """The next examples that the settings keep, explained."""
        results: list[Explanation] = []
        self._shown = []
        for _ in range(min(LOOKED, len(self.data))):
            example = self.data[self._place % len(self.data)]
            self._place += 1
            if explained := self._explained(example, self.settings.keeps):
                results += explained
                self._shown.append(example)
            if len(self._shown) == self.settings.examples:
                break
        return Explanations(results)

    def again(self) -> Explanations:
        """The examples shown last, explained as the settings say now; the next ones where none were."""
        if not self._shown:
            return self.fetch()
        return Explanations(one for example in self._shown for one in self._explained(example, lambda *_: True))

    def _explained(self, example: Record, keeps: Callable[[str, bool | None], bool]) -> list[Explanation]:
        settings, results, gold = self.settings, [], example.gold
        options = dict(settings.arguments)
        if settings.target != AS_PREDICTED:
            options["target" if "text" in example.inputs else "answer"] = settings.target
        for explainer in self.explainers:
            why = explainer.explain(**example.inputs, method=settings.method, **options)
            assert isinstance(why, Explanation)
            why = replace(why, gold=gold)
            if keeps(why.prediction, why.correct):
                results.append(why)
        return results


def _labels(explainer: Any) -> Sequence[str]:
    labels = getattr(explainer, "labels", None)
    return tuple(labels.names) if labels is not None else ()


def _arguments(name: str) -> dict[str, Any]:
    """A method's numbers and the baseline, as a form sets them."""
    arguments: dict[str, Any] = {}
    if METHODS[name].needs_baseline:
        arguments["baseline"] = StrEnumConfig(value=next(iter(BASELINES)), limit=tuple(BASELINES))
    for one in fields(METHODS[name]):  # type: ignore[arg-type]
        if isinstance(one.default, int) and not isinstance(one.default, bool):
            arguments[one.name] = NumberConfig(value=one.default, limit=(1, None))
    return arguments
