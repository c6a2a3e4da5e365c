"""The models that the server offers, by name: each is loaded once, and a request never loads another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any

from xai_nlp.core.explanations import Explanations
from xai_nlp.data.table import Record
from xai_nlp.errors import UnknownName, XaiError
from xai_nlp.hooks.scope import attached
from xai_nlp.methods import METHODS
from xai_nlp.models.loading import EMBEDDED_MODELS
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.table import TASKS
from xai_nlp.web.explain_request import ExplainRequest
from xai_nlp.web.forms import columns_of, labels_of


def offered(name: str, explainer: Explainer) -> Iterator[tuple[str, Explainer]]:
    """An explainer under its name, and one for each other task that its model does: "nli", "nli (zero-shot)"."""
    yield name, explainer
    for task in TASKS.values():
        if task.auto_class == explainer.task.auto_class and task is not explainer.task:
            with suppress(XaiError):  # the model does not do it
                yield f"{name} ({task.command})", task.explainer_class()(explainer.loaded, task)


@dataclass(eq=False)
class ModelRegistry:
    """Explainers by the names under which they are offered. The worker adds to them while other threads read."""

    explainers: dict[str, Explainer]
    copies: dict[str, Explainer] = field(default_factory=dict)  # for quick questions beside slow ones
    copying: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, names: Sequence[str] = ()) -> ModelRegistry:
        """These models, then the embedded model of each task. Raises UnknownName for a model that does not exist."""
        explainers = dict(chain.from_iterable(map(offered, names, map(load, names))))
        for task in TASKS.values():
            taken = explainers.get(task.embedded)
            if task.embedded and (taken is None or taken.task.name != task.name):
                explainers[task.name if taken else task.embedded] = load(task.embedded, task=task.name)
        return cls(explainers)

    def explainer(self, name: str) -> Explainer:
        """The explainer of that name. Raises UnknownName: a request cannot have another model loaded."""
        if name not in self.explainers:
            raise UnknownName("model", name, self.explainers, "Offer it with `xai-nlp serve --model …`.")
        return self.explainers[name]

    def add(self, name: str, explainer: Explainer) -> None:
        """Offer a model before the others."""
        new = dict(offered(name, explainer))
        others = {key: value for key, value in self.explainers.items() if key not in new}
        self.copies = {key: value for key, value in self.copies.items() if key not in new}
        self.explainers = {**new, **others}  # in one step: other threads may read the table

    def prepare(self, name: str, most: int) -> bool:
        """Copy a model of at most so many bytes on the CPU, once, before anything is done with it. Is there a copy?

        A model that is in use cannot be copied: hooks and gradient rules are on it.
        """
        with self.copying:
            explainer = self.explainer(name)
            weights = [*explainer.model.parameters(), *explainer.model.buffers()]
            size = sum(one.numel() * one.element_size() for one in weights)
            if name not in self.copies and size <= most and all(one.device.type == "cpu" for one in weights):
                alike = {key: one for key, one in self.explainers.items() if one.model is explainer.model}
                self.copies |= deepcopy(alike)
            return name in self.copies

    @property
    def second(self) -> ModelRegistry:
        """The copies, with which a second thread explains."""
        return replace(self, explainers=self.copies, copies={})

    def first(self, task: str) -> str | None:
        """The first model for a task."""
        return next((name for name, explainer in self.explainers.items() if explainer.task.name == task), None)

    def to_list(self) -> list[dict[str, Any]]:
        """Each model: its name, task, labels and methods, as JSON can hold them."""
        return [
            {
                "name": name,
                "task": explainer.task.name,
                "about": EMBEDDED_MODELS.get(name, repr(explainer)),
                "labels": labels_of(explainer),
                "methods": [method for method, cls in METHODS.items() if explainer.takes(cls)],
            }
            for name, explainer in self.explainers.items()
        ]

    def explain(
        self, request: ExplainRequest, *, on_pass: Callable[[], None], progress: Any, rows: Sequence[Record] = ()
    ) -> Explanations:
        """The explanations of a request.

        on_pass: called before each pass through the model; an error that it raises ends the work, and the model is
            handed back.
        progress: a bar, as `tasks.progress.pass_counter` takes it.
        rows: explain these instead of the request's own inputs. One that fails does not spoil the others.
        """
        explainer = self.explainer(request.model)
        keywords = request.keywords(explainer.task, of_rows=bool(rows))
        if rows:
            keywords |= {**columns_of(rows), "on_error": "record"}
        words = explainer.task.reads_text  # every pass looks its words up, or begins at the model where there are none
        entered = explainer.model.get_input_embeddings() if words else explainer.model
        with attached([partial(entered.register_forward_pre_hook, lambda *arguments: on_pass())]):
            why = explainer.explain(progress=progress, **keywords)
        assert isinstance(why, Explanations)  # since the methods are a list
        return why
