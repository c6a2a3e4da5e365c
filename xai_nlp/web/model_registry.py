"""The models that the server offers, by name: loaded once, and nothing else is ever loaded for a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import UnknownName
from xai_nlp.hooks.scope import attached
from xai_nlp.models.loading import EMBEDDED_MODELS
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.web.explain_request import ExplainRequest

LABELS = 200  # labels of a model that are listed
WITH_LABELS = ("text-classification", "visual-question-answering")


@dataclass(frozen=True)
class ModelRegistry:
    """Explainers by the names under which they are offered."""

    explainers: dict[str, Any]

    @classmethod
    def of(cls, names: Sequence[str] = ()) -> ModelRegistry:
        """The models named, then the embedded ones. Raises UnknownName for one that is not found."""
        return cls({name: load(name) for name in dict.fromkeys([*names, *EMBEDDED_MODELS])})

    def explainer(self, name: str) -> Any:
        """The explainer of that name. Raises UnknownName: a request cannot have another model loaded."""
        if name not in self.explainers:
            raise UnknownName("model", name, self.explainers, "Offer it with `xai-nlp serve --model …`.")
        return self.explainers[name]

    def checked(self, ask: ExplainRequest) -> ExplainRequest:
        """The ask, if its model can be asked that."""
        return ask.checked(self.explainer(ask.model).task)

    def first(self, task: str) -> str | None:
        """The first model for a task."""
        return next((name for name, explainer in self.explainers.items() if explainer.task.name == task), None)

    def listed(self) -> list[dict[str, Any]]:
        """Each model: its name, task and labels."""
        return [
            {
                "name": name,
                "task": explainer.task.name,
                "about": EMBEDDED_MODELS.get(name, repr(explainer)),
                "labels": labels(explainer),
            }
            for name, explainer in self.explainers.items()
        ]

    def explain(
        self, ask: ExplainRequest, *, passed: Callable[[], None], progress: Callable[[int, int], None]
    ) -> Explanations:
        """The explanations asked for.

        passed: called before each pass through the model; what it raises ends the work, and the model is handed back.
        """
        explainer = self.explainer(ask.model)
        with watched(explainer, passed):
            found = explainer.explain(
                *ask.inputs(explainer.task.name), progress=progress, **ask.options(explainer.task.name)
            )
        return Explanations([found]) if isinstance(found, Explanation) else Explanations(found)


def labels(explainer: Explainer) -> list[str]:
    """The labels or answers that a classifier chooses from; none of a model that writes or points."""
    config = explainer.model.config
    known = getattr(config, "id2label", None) or {}
    listed = explainer.task.name in WITH_LABELS and not hasattr(config, "vision_config")
    return [str(name) for name in known.values()][:LABELS] if listed else []


@contextmanager
def watched(explainer: Explainer, passed: Callable[[], None]) -> Iterator[None]:
    """While open, `passed` is called before each pass through the model, where its words are looked up."""
    words: nn.Module = explainer.model.get_input_embeddings()

    def before(module: nn.Module, args: Any) -> None:
        passed()

    with attached([partial(words.register_forward_pre_hook, before)]):
        yield
