"""Text classification, and the front door: `load` a model, `explain` a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.models.encode import Text
from xai_nlp.models.load import ZOO, load_model
from xai_nlp.tasks.explainer import Explainer


class TextClassificationExplainer(Explainer):
    """Explains any `AutoModelForSequenceClassification`: sentiment, topics, pairs (NLI), many labels, regression."""


_kept: dict[str, TextClassificationExplainer] = {}


def load(source: Any = "sentiment", tokenizer: Any = None, **options: Any) -> TextClassificationExplainer:
    """An explainer for a model: an embedded one's name, a folder, a hub name, or a model with its tokenizer.

    `options` are those of `models.load.load_model`: dtype, device, trust_remote_code.

    >>> load("sentiment")
    <TextClassificationExplainer zoo/sentiment (bert): NEGATIVE, POSITIVE>
    """
    return TextClassificationExplainer(load_model(source, tokenizer, **options))


def explain(text: Text | Sequence[Text], *, model: Any = "sentiment", **options: Any) -> Explanation | Explanations:
    """Why the model says what it says about a text: one signed score a token.

    A string, or a pair as a tuple, gives an Explanation; a list gives one for each. `options` are those of
    `Explainer.explain`; `model` is anything `load` takes, or what it gave.

    >>> why = explain("a gripping, beautifully acted film")
    >>> why.prediction, len(why.words().tokens)
    ('POSITIVE', 8)
    """
    explainer = model if isinstance(model, Explainer) else _loaded(model)
    return explainer.explain(text, **options)


def _loaded(model: Any) -> TextClassificationExplainer:
    """An embedded model is loaded once; anything else each time, since its folder may have changed."""
    if not (isinstance(model, str) and model in ZOO):
        return load(model)
    if model not in _kept:
        _kept[model] = load(model)
    return _kept[model]
