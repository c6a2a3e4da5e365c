"""Attention read and replaced, over every architecture: same logits, true probabilities, nothing left behind."""

import threading

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import Unsupported
from xai_nlp.hooks.attention import intercepted
from xai_nlp.hooks.state import fingerprint

TEXTS = ["A gripping, beautifully acted film about two sisters.", "dull"]

FLOAT32_INSIDE = {"deberta", "modernbert", "llama", "qwen2"}  # norms or rotations that round, whatever the dtype


def padded(name):
    model, tokenizer = tiny(name)
    tokenizer.padding_side = "right"
    return model, dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))


def opened(model, visit):
    return intercepted(model, visit)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_probabilities_replaced_by_themselves_change_nothing(name):
    model, batch = padded(name)
    plain, before, layers = model(**batch).logits, fingerprint(model), []

    def visit(layer, probabilities):
        layers.append(layer)
        assert probabilities.shape[:2] == (2, 4)
        mask = batch["attention_mask"][:, None, None, :].bool()
        real = batch["attention_mask"][:, None, :, None].bool()  # rows of padding are nobody's business
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(probabilities.shape[:3]), atol=1e-5, rtol=0)
        assert (probabilities * ~mask * real).max() < 1e-6
        return probabilities.clone()

    with opened(model, visit):
        for _ in range(2):  # layers are counted anew in each pass
            torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=1e-6)
    assert layers == [*range(model.config.num_hidden_layers)] * 2
    assert fingerprint(model) == before
    assert torch.equal(model(**batch).logits, plain)


@pytest.mark.parametrize("name", [a for a in ARCHITECTURES if a not in ("deberta", "deberta-v2", "mpnet")])
@torch.no_grad()
def test_probabilities_are_those_of_the_models_own_eager_attention(name):
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    seen = {}
    with opened(model, lambda layer, p: seen.update({layer: p})):
        model(**batch)
    model.set_attn_implementation("eager")
    own = model(**batch, output_attentions=True).attentions
    real = batch["attention_mask"].bool()
    for layer, expected in enumerate(own):
        for b in range(2):
            torch.testing.assert_close(seen[layer][b][:, real[b]], expected[b][:, real[b]], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradient_of_the_probabilities_is_the_finite_difference(name):
    model, tokenizer = tiny(name, fresh=True)
    model = model.double()
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    first = {}

    def leaf(layer, p):
        first.setdefault(layer, p.detach().requires_grad_())
        return first[0] if layer == 0 else None

    with opened(model, leaf):
        (gradient,) = torch.autograd.grad(model(**batch).logits[0, 1], first[0])

    @torch.no_grad()
    def moved(step):
        with opened(model, lambda layer, p: first[0] * (1 + step) if layer == 0 else None):
            return float(model(**batch).logits[0, 1])

    step, tolerance = (1e-3, 2e-3) if name in FLOAT32_INSIDE else (1e-6, 1e-6)
    numeric = (moved(step) - moved(-step)) / (2 * step)
    assert abs(float((gradient * first[0].detach()).sum()) - numeric) < tolerance * max(1, abs(numeric))
    assert gradient.abs().max() > 1e-4


@torch.no_grad()
def test_uniform_attention_by_hand():
    torch.manual_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = BertForSequenceClassification(config).eval()
    ids = torch.tensor([[3, 4, 5]])
    with opened(model, lambda layer, p: torch.full_like(p, 1 / 3)):
        got = model(ids).logits
    bert, block = model.bert, model.bert.encoder.layer[0]
    x = bert.embeddings(ids)
    mean = block.attention.self.value(x).mean(1, keepdim=True).expand_as(x)  # every token attends to all alike
    hidden = block.output(block.intermediate(block.attention.output(mean, x)), block.attention.output(mean, x))
    torch.testing.assert_close(got, model.classifier(bert.pooler(hidden)), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["bert", "albert", "deberta", "gpt2"])
@pytest.mark.parametrize("failure", ["visit", "model"])
def test_nothing_is_left_behind_when_something_raises(name, failure):
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    before = fingerprint(model)

    def visit(layer, p):
        if failure == "visit" and layer == 1:
            raise ZeroDivisionError
        return torch.zeros(1) if failure == "model" else None  # a shape that cannot be multiplied

    with pytest.raises((ZeroDivisionError, RuntimeError)), opened(model, visit):
        model(**batch)
    assert fingerprint(model) == before
    with pytest.raises(KeyError), opened(model, visit):
        raise KeyError
    assert fingerprint(model) == before


def test_nothing_is_left_behind_when_the_exchange_fails(monkeypatch):
    model, _ = tiny("bert", fresh=True)
    before = fingerprint(model)

    def half(name):
        model.config._attn_implementation_internal = name
        raise RuntimeError("half-way")

    monkeypatch.setattr(model, "set_attn_implementation", half, raising=True)
    with pytest.raises(RuntimeError, match="half-way"), opened(model, lambda layer, p: None):
        pass
    monkeypatch.undo()
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", ["bert", "deberta"])
@torch.no_grad()
def test_threads_do_not_see_each_other(name):
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    plain, before, seen, found = model(**batch).logits, fingerprint(model), [], {}
    with opened(model, lambda layer, p: seen.append(layer) or torch.zeros_like(p)):

        def other():
            with torch.no_grad():
                found["plain"] = model(**batch).logits
                with opened(model, lambda layer, p: None):
                    found["own"] = model(**batch).logits

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == []
        assert not torch.allclose(model(**batch).logits, plain, atol=1e-3)
    torch.testing.assert_close(found["plain"], plain, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found["own"], plain, atol=1e-6, rtol=1e-6)
    assert fingerprint(model) == before


@torch.no_grad()
def test_nested_visits_compose():
    model, batch = padded("bert")
    with opened(model, lambda layer, p: p * 0.5), opened(model, lambda layer, p: p * 2):
        got = model(**batch).logits
    torch.testing.assert_close(got, model(**batch).logits, atol=1e-6, rtol=0)


def test_what_cannot_be_intercepted_says_why():
    model, _ = tiny("mpnet")
    with pytest.raises(Unsupported, match="can be neither exchanged"), intercepted(model, lambda layer, p: None):
        pass
    assert isinstance(model, nn.Module)
