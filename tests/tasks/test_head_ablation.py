"""Heads taken away: against the weights that read them set to zero."""

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.core.result import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.tasks.head_ablation import ablated, head_ablation

TEXT = "A dull film is great"


def test_ablation_is_the_model_whose_projection_ignores_the_head():
    model, tokenizer = tiny("bert", fresh=True)
    explainer, before = xai_nlp.load(model, tokenizer), fingerprint(model)
    found = head_ablation(explainer, TEXT, target="POSITIVE")
    assert fingerprint(model) == before
    batch = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        plain = float(model(**batch).logits[0, 1])
        for layer, block in enumerate(model.bert.encoder.layer):
            weight = block.attention.output.dense.weight
            for head in range(4):
                own = weight[:, 8 * head : 8 * head + 8].clone()
                weight[:, 8 * head : 8 * head + 8] = 0
                assert found[layer, head] == pytest.approx(plain - float(model(**batch).logits[0, 1]), abs=1e-5)
                weight[:, 8 * head : 8 * head + 8] = own


def test_importance_tells_the_heads_that_matter():
    explainer = xai_nlp.load("sentiment")
    texts = ["a gripping film", "dull and far too long", "not a bad plot"]
    found = explainer.explain(texts, method="attention_x_gradient")
    importance = found.head_importance()
    each = [abs(why.attention["self"].heads()) for why in found]
    np.testing.assert_allclose(importance, np.mean(each, 0))
    with pytest.raises(InvalidInput, match="attention_x_gradient"):
        Explanations([explainer.explain("a film")]).head_importance()


def test_without_all_heads_of_a_layer_nothing_is_read_there():
    explainer = xai_nlp.load("qa")
    question, context = "Who wrote it?", "Ada Lovelace wrote it."
    plain = explainer.answers(question, context)[0]
    with ablated(explainer, [(layer, head) for layer in range(6) for head in range(12)]):
        blind = explainer.answers(question, context)[0]
    assert plain.text == "Ada Lovelace"
    assert blind.score < plain.score
    small = xai_nlp.load(*tiny("bert", task="question-answering"))
    assert head_ablation(small, question, context, target="start").shape == (2, 4)
    with pytest.raises(InvalidInput, match="one input"):
        head_ablation(small, question, context, target=("start", "end"))
