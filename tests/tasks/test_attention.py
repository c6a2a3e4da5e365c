"""Attention of every architecture: complete, untouched by padding and skipping, and handed back."""

import numpy as np
import pytest
import torch
from transformers import FNetConfig, FNetForSequenceClassification

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from tests.tasks.test_explainer import FLOAT32_INSIDE
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention import attention_points
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.prefix_cache import cached_prefixes, use_cached
from xai_nlp.hooks.scope import replaced, tensors_at
from xai_nlp.methods import METHODS
from xai_nlp.models.attention_families import attention_reach

TEXT = "A dull film."
TEXTS = [TEXT, "great", "The plot is thin and the ending is a mess, so"]
OVER_ATTENTION = sorted(name for name, cls in METHODS.items() if cls.operates_on == "attention")
MOVED = "attention_integrated_gradients"
KINKED = {"opt", "distilbert"}  # ReLU


@pytest.mark.parametrize("start", ["zero", "uniform"])
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_layers_scores_share_out_what_its_attention_brought(name, start):
    explainer = xai_nlp.load(*tiny(name))
    why = explainer.explain(TEXT, method=MOVED, start=start)
    for stack in why.attention.values():
        assert len(stack.residuals) == len(stack.layers)
        totals = stack.scores.numpy().sum((1, 2, 3), dtype=float)
        for total, residual in zip(totals, stack.residuals, strict=True):
            assert abs(residual) <= 0.0101 * max(abs(total + residual), 0.05)


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("name", [a for a in ARCHITECTURES if a not in KINKED])
def test_completeness_in_float64(name, together):
    model, tokenizer = tiny(name, fresh=True)
    before, explainer = fingerprint(model.double()), xai_nlp.load(model, tokenizer)
    close = 2e-4 if name in FLOAT32_INSIDE else 1e-6
    why = explainer.explain(
        TEXT, method=MOVED, together=together, tolerance=4e-7, max_steps=65 if close > 1e-6 and name != "t5" else 4000
    )
    assert abs(why.residual) < close
    assert abs(why.explained) > 1e-4
    assert all(abs(r) < close for stack in why.attention.values() for r in stack.residuals)
    assert fingerprint(model) == before


@pytest.mark.parametrize("method", OVER_ATTENTION)
@pytest.mark.parametrize("name", ["bert", "albert", "gpt2", "qwen2", "deberta"])
def test_padding_changes_nothing(name, method):
    explainer = xai_nlp.load(*tiny(name))
    options = {"steps": 9} if "steps" in METHODS[method].__dataclass_fields__ else {}
    together = explainer.explain(TEXTS, method=method, **options)
    for text, why in zip(TEXTS, together, strict=True):
        alone = explainer.explain(text, method=method, **options)
        assert why.scores == pytest.approx(alone.scores, abs=2e-5)
        for kind, stack in why.attention.items():
            np.testing.assert_allclose(stack.scores.numpy(), alone.attention[kind].scores.numpy(), atol=2e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_probabilities_replaced_by_themselves_change_no_logit(name):
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    plain, before = model(**batch).logits, fingerprint(model)
    points = attention_points(attention_reach(model), lambda: model(**batch))
    matrices = tensors_at(points, lambda: model(**batch))
    with replaced(list(zip(points, matrices, strict=True))):
        close = 5e-6 if name == "t5" else 1e-6  # whose scores are not scaled: sdpa itself is that far from eager
        torch.testing.assert_close(model(**batch).logits, plain, atol=close, rtol=close)
    with pytest.raises(InvalidInput, match="were given"), replaced([(points[0], [])]):
        model(**batch)
    assert fingerprint(model) == before
    assert torch.equal(model(**batch).logits, plain)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_layers_below_a_matrix_are_computed_once(name):
    """The logits are the same with the layers below left out, also for rows that repeat examples."""
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS[:1] + TEXTS[2:], padding=True, return_tensors="pt"))
    owner, before = torch.tensor([1, 0, 1]), fingerprint(model)
    rows = {key: t[owner] for key, t in batch.items()}
    plain = model(**rows).logits
    points = attention_points(attention_reach(model), lambda: model(**batch))
    prefixes = cached_prefixes(
        points, lambda owner: model(**{key: t[owner] for key, t in batch.items()}).logits, torch.arange(2)
    )
    for prefix in prefixes:
        with use_cached(prefix, owner, 2):
            torch.testing.assert_close(model(**rows).logits, plain, atol=1e-5, rtol=1e-5)
    assert len(prefixes) == len(points)
    assert prefixes[-1].outputs
    assert fingerprint(model) == before


def test_scores_do_not_depend_on_what_is_cached(monkeypatch):
    explainer = xai_nlp.load(*tiny("bart"))
    expected = explainer.explain(TEXT, method=MOVED, steps=9)
    monkeypatch.setattr("xai_nlp.hooks.prefix_cache._same_output", lambda *args: False)
    why = explainer.explain(TEXT, method=MOVED, steps=9)
    assert why.scores == pytest.approx(expected.scores, abs=1e-6)


@pytest.mark.parametrize("name", ["bert", "albert", "llama", "deberta", "t5"])
def test_layers_and_attention_beside_the_scores(name):
    explainer = xai_nlp.load(*tiny(name))
    plain = explainer.explain(TEXT, tolerance=1e-4, max_steps=600)
    why = explainer.explain(TEXT, layers=True, attention=True, tolerance=1e-4, max_steps=600)
    assert why.scores == pytest.approx(plain.scores, abs=2e-3)
    assert why.layers.shape == (len(explainer.adapter.layers), len(why.tokens))
    if name != "t5":  # there the decoder reads the text past the encoder's first layers too
        for flow in why.layers.numpy().sum(1):
            assert float(flow) == pytest.approx(why.explained, abs=5e-3)
    alone = explainer.explain(TEXT, method="attention_conductance", tolerance=1e-4, max_steps=600)
    for kind, stack in why.attention.items():
        assert stack.method == "attention_conductance"
        np.testing.assert_allclose(stack.scores.numpy(), alone.attention[kind].scores.numpy(), atol=2e-3)


def test_questions_too():
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    for method in OVER_ATTENTION:
        start, end = explainer.explain("who wrote it", "Mary wrote it in 1818", target=("start", "end"), method=method)
        assert start.attention["self"].scores.shape == (
            2,
            start.attention["self"].scores.shape[1],
            *[len(start.tokens)] * 2,
        )
        assert np.isfinite(end.scores).all()


def test_an_architecture_without_reachable_attention_says_why():
    config = FNetConfig(vocab_size=200, hidden_size=16, num_hidden_layers=1, intermediate_size=16)
    explainer = xai_nlp.load(FNetForSequenceClassification(config).eval(), tiny("bert")[1])
    with pytest.raises(Unsupported, match="cannot be reached"):
        explainer.explain(TEXT, method="attention_rollout")


def test_a_long_text_has_no_one_matrix(sentiment):
    with pytest.raises(InvalidInput, match="several windows"):
        sentiment.explain("good film " * 300, method="attention_rollout")
