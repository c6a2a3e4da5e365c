"""Scores of a batch as scores of tokens, layers and attention matrices."""

import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_question_answering import CONTEXT, QUESTION
from xai_nlp.errors import InvalidInput


def test_a_model_that_gives_nan_is_told():
    model, tokenizer = tiny("bert", fresh=True)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        xai_nlp.load(model, tokenizer).explain("a film")


def test_parts_layers_and_attention_in_one_sweep(qa):
    why = qa.explain(QUESTION, CONTEXT, target="start", parts=True, layers=True, attention=True, baseline="reference")
    assert set(why.parts) == {"word", "position", "type"}
    for score, *parts in zip(why.scores, *why.parts.values(), strict=True):
        assert score == pytest.approx(sum(parts), abs=1e-5)
    assert why.layers.shape == (6, len(why.tokens))
    for flow in why.layers.numpy().sum(1):
        assert float(flow) == pytest.approx(why.explained, rel=0.03)
    stack = why.attention["self"]
    assert stack.scores.shape == (6, 12, len(why.tokens), len(why.tokens))
    assert xai_nlp.Explanation.from_json(why.to_json()) == why
    words = why.words()
    assert words.attention["self"].scores.shape[2:] == (len(words.tokens),) * 2
    assert sum(words.scores) == pytest.approx(sum(why.scores))
