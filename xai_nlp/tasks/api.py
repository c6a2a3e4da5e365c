"""The front door: `load` a model, `explain` an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.models.loading import EMBEDDED_MODELS, load_model
from xai_nlp.models.tokenization import Text
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.question_answering import QuestionAnsweringExplainer
from xai_nlp.tasks.text_classification import TextClassificationExplainer
from xai_nlp.tasks.text_generation import TextGenerationExplainer
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

#: task -> its explainer
TASKS: dict[str, type[Explainer]] = {
    kind.task: kind
    for kind in (
        TextClassificationExplainer,
        QuestionAnsweringExplainer,
        VisualQuestionAnsweringExplainer,
        TextGenerationExplainer,
    )
}
#: what is given -> (task, the order in which its explainer takes it, the embedded model)
INPUTS: dict[frozenset[str], tuple[str, tuple[str, ...], str]] = {
    frozenset({"text"}): ("text-classification", ("text",), "sentiment"),
    frozenset({"question", "context"}): ("question-answering", ("question", "context"), "qa"),
    frozenset({"question", "image"}): ("visual-question-answering", ("image", "question"), "vqa"),
    frozenset({"prompt"}): ("text-generation", ("prompt",), ""),
}
_kept: dict[str, Explainer] = {}


def load(source: Any = "sentiment", tokenizer: Any = None, *, task: str | None = None, **options: Any) -> Any:
    """An explainer for a model: an embedded one's name, a folder, a hub name, or a model with its tokenizer.

    task: a key of TASKS; None lets the model's config tell. For generated text: `load(…).explain(prompt)`.
    `options` are those of `models.load.load_model`: processor, dtype, device, trust_remote_code.

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
    image: Any = None,
    prompt: str | Sequence[str] | None = None,
    model: Any = None,
    **options: Any,
) -> Explanation | Explanations:
    """Why the model says what it says about a text, or answers a question as it does: one signed score a token.

    A question goes with its context, or with an image, whose regions have scores too; of a prompt it is explained what
    the model writes after it. A string, or a pair as a tuple, gives an Explanation; a list gives one for each.
    `options` are those of the task's explainer: `TextClassificationExplainer.explain`,
    `QuestionAnsweringExplainer.explain`, `VisualQuestionAnsweringExplainer.explain`, `TextGenerationExplainer.explain`.
    `model` is anything `load` takes, or what it gave; the embedded one for the task if not given.

    >>> why = explain("a gripping, beautifully acted film")
    >>> why.prediction, len(why.words().tokens)
    ('POSITIVE', 8)
    >>> why = explain(question="Who wrote Frankenstein?", context="Frankenstein was written by Mary Shelley in 1818.")
    >>> why.prediction
    'Mary Shelley'
    """
    given = {"text": text, "question": question, "context": context, "image": image, "prompt": prompt}
    present = frozenset(name for name, value in given.items() if value is not None)
    if present not in INPUTS:
        raise InvalidInput(
            "explain a text, a question with its context or its image, or a prompt: explain(text), "
            "explain(question=…, context=…), explain(question=…, image=…) or explain(prompt=…, model=…); "
            f"got {' and '.join(sorted(present)) or 'nothing'}."
        )
    task, order, embedded = INPUTS[present]
    if not (model or embedded):
        raise InvalidInput("no embedded model writes text; name one: explain(prompt=…, model=…).")
    explainer = model if isinstance(model, Explainer) else _loaded(model or embedded, task)
    if not isinstance(explainer, TASKS[task]):
        raise InvalidInput(f"{explainer!r} does not do {task.replace('-', ' ')}.")
    return explainer.explain(*(given[name] for name in order), **options)  # type: ignore[attr-defined]


def _loaded(model: Any, task: str) -> Explainer:
    """An embedded model is loaded once; anything else each time, since its folder may have changed."""
    if not (isinstance(model, str) and model in EMBEDDED_MODELS):
        return load(model, task=task)
    if model not in _kept:
        _kept[model] = load(model)
    return _kept[model]
