"""The front door: `load` a model, `explain` an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.models.encode import Text
from xai_nlp.models.load import ZOO, load_model
from xai_nlp.tasks.answer import QuestionAnsweringExplainer
from xai_nlp.tasks.classify import TextClassificationExplainer
from xai_nlp.tasks.explainer import Explainer

#: task -> its explainer
TASKS: dict[str, type[Explainer]] = {
    kind.task: kind for kind in (TextClassificationExplainer, QuestionAnsweringExplainer)
}
_kept: dict[str, Explainer] = {}


def load(source: Any = "sentiment", tokenizer: Any = None, *, task: str | None = None, **options: Any) -> Any:
    """An explainer for a model: an embedded one's name, a folder, a hub name, or a model with its tokenizer.

    task: "text-classification" or "question-answering"; None lets the model's config tell.
    `options` are those of `models.load.load_model`: dtype, device, trust_remote_code.

    >>> load("sentiment")
    <TextClassificationExplainer zoo/sentiment (bert): NEGATIVE, POSITIVE>
    >>> load("qa")
    <QuestionAnsweringExplainer zoo/qa (bert)>
    """
    loaded = load_model(source, tokenizer, task=task, **options)
    return TASKS[loaded.task](loaded)


def explain(
    text: Text | Sequence[Text] | None = None,
    *,
    question: str | Sequence[str] | None = None,
    context: str | Sequence[str] | None = None,
    model: Any = None,
    **options: Any,
) -> Explanation | Explanations:
    """Why the model says what it says about a text, or answers a question as it does: one signed score a token.

    A string, or a pair as a tuple, gives an Explanation; a list gives one for each. `options` are those of
    `TextClassificationExplainer.explain` or `QuestionAnsweringExplainer.explain`; `model` is anything `load` takes, or
    what it gave; the embedded one for the task if not given.

    >>> why = explain("a gripping, beautifully acted film")
    >>> why.prediction, len(why.words().tokens)
    ('POSITIVE', 8)
    >>> why = explain(question="Who wrote Frankenstein?", context="Frankenstein was written by Mary Shelley in 1818.")
    >>> why.prediction
    'Mary Shelley'
    """
    asks = question is not None or context is not None
    if asks == (text is not None):
        raise InvalidInput(
            "explain a text, or a question with its context: explain(text) or explain(question=…, context=…)."
        )
    if asks and (question is None or context is None):
        missing = "context" if context is None else "question"
        raise InvalidInput(f"a question needs its context, and a context a question; the {missing} is missing.")
    task = "question-answering" if asks else "text-classification"
    explainer = (
        model
        if isinstance(model, Explainer)
        else _loaded(model or {"question-answering": "qa"}.get(task, "sentiment"), task)
    )
    if not isinstance(explainer, TASKS[task]):
        raise InvalidInput(f"{explainer!r} does not do {task.replace('-', ' ')}.")
    return explainer.explain(question, context, **options) if asks else explainer.explain(text, **options)  # type: ignore[attr-defined]


def _loaded(model: Any, task: str) -> Explainer:
    """An embedded model is loaded once; anything else each time, since its folder may have changed."""
    if not (isinstance(model, str) and model in ZOO):
        return load(model, task=task)
    if model not in _kept:
        _kept[model] = load(model)
    return _kept[model]
