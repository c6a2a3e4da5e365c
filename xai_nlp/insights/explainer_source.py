"""Our own explainers and their data as a source for Insights: sentiment, questions and contexts, images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.insights.config import NumberConfig, StrEnumConfig
from xai_nlp.insights.settings import AS_PREDICTED, Settings, form_of
from xai_nlp.methods import METHODS
from xai_nlp.tasks.api import explain, load
from xai_nlp.tasks.explainer import Explainer

#: What an example is made of, and what may say what is right.
INPUTS = ("text", "question", "context", "image", "prompt")
GOLD = ("label", "answer")
FIRST = "integrated_gradients"
LOOKED = 1_000


class ExplainerSource:
    """Explainers with examples: strings, pairs, or mappings such as {"question": …, "context": …, "answer": …}."""

    def __init__(self, models: Any, data: Sequence[Any], examples: int = 4) -> None:
        given = models if isinstance(models, (list, tuple)) else [models]
        self.explainers = [one if isinstance(one, Explainer) else load(one) for one in given]
        self.data = [_example(one) for one in data]
        if not self.explainers or not self.data:
            raise InvalidInput("Insights needs a model and at least one example.")
        self.settings = Settings(method=FIRST, examples=min(examples, len(self.data)))
        self._place = 0
        self._shown: list[Mapping[str, Any]] = []

    def choices(self) -> dict[str, Any]:
        """What can be chosen."""
        labels = list(dict.fromkeys(label for one in self.explainers for label in _labels(one)))
        methods = [name for name, cls in METHODS.items() if cls.operates_on == "inputs"]
        return {
            "methods": {name: form_of(_arguments(name)) for name in sorted(methods)},
            "targets": [AS_PREDICTED, *labels],
            "classes": labels,
            "judged": any(_gold(one) for one in self.data),
        }

    def fetch(self) -> Explanations:
        """The next examples that the settings keep, explained."""
        found: list[Explanation] = []
        self._shown = []
        for _ in range(min(LOOKED, len(self.data))):
            example = self.data[self._place % len(self.data)]
            self._place += 1
            if explained := self._explained(example, self.settings.keeps):
                found += explained
                self._shown.append(example)
            if len(self._shown) == self.settings.examples:
                break
        return Explanations(found)

    def again(self) -> Explanations:
        """The examples shown last, explained as the settings say now; the next ones where none were."""
        if not self._shown:
            return self.fetch()
        return Explanations(one for example in self._shown for one in self._explained(example, lambda *_: True))

    def _explained(self, example: Mapping[str, Any], keeps: Callable[[str, bool | None], bool]) -> list[Explanation]:
        settings, found = self.settings, []
        given = {name: example[name] for name in INPUTS if name in example}
        options = dict(settings.arguments)
        if settings.target != AS_PREDICTED:
            options["target" if "text" in given else "answer"] = settings.target
        gold = _gold(example)
        for explainer in self.explainers:
            why = explain(**given, model=explainer, method=settings.method, **options)
            assert isinstance(why, Explanation)
            why = replace(why, gold=gold)
            if keeps(why.prediction, why.correct):
                found.append(why)
        return found


def _example(one: Any) -> Mapping[str, Any]:
    """An example by what it is made of. Raises InvalidInput."""
    if isinstance(one, (str, tuple)):
        return {"text": one}
    if isinstance(one, Mapping) and any(name in one for name in INPUTS):
        return one
    raise InvalidInput(
        f"an example is a text, a pair, or a mapping with {', '.join(INPUTS)} and perhaps {' or '.join(GOLD)}; "
        f"got {type(one).__name__}."
    )


def _gold(example: Mapping[str, Any]) -> tuple[str, ...]:
    given = next((example[name] for name in GOLD if example.get(name) is not None), ())
    return (given,) if isinstance(given, str) else tuple(map(str, given))


def _labels(explainer: Any) -> Sequence[str]:
    labels = getattr(explainer, "labels", None)
    return tuple(labels.names) if labels is not None else ()


def _arguments(name: str) -> dict[str, Any]:
    """A method's numbers and the baseline, as a form sets them."""
    found: dict[str, Any] = {}
    if METHODS[name].needs_baseline:
        found["baseline"] = StrEnumConfig(value=next(iter(BASELINES)), limit=tuple(BASELINES))
    for one in fields(METHODS[name]):  # type: ignore[arg-type]
        if isinstance(one.default, int) and not isinstance(one.default, bool):
            found[one.name] = NumberConfig(value=one.default, limit=(1, None))
    return found
