"""The attention implementation of a model that was intercepted: restored whatever happens, threads, nesting."""

import threading

import pytest
import torch
from torch import nn

from tests.models.tiny import tiny
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks import attention_interface, held
from xai_nlp.hooks.attention import intercept
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.models.attention_families import attention_reach

TEXTS = ["A gripping, beautifully acted film about two sisters.", "dull"]


def padded(name):
    model, tokenizer = tiny(name)
    return model, dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))


def explode(*_, **__):
    raise ZeroDivisionError


@pytest.mark.parametrize("name", ["bert", "albert", "deberta", "gpt2"])
@pytest.mark.parametrize("failure", ["visit", "model", "body"])
def test_nothing_is_left_behind_when_something_raises(name, failure):
    model, tokenizer = tiny(name, fresh=True)
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    if failure == "model":  # after its last layer
        model.get_submodule("classifier" if hasattr(model, "classifier") else "score").register_forward_hook(explode)
    before = fingerprint(model)

    def visit(layer, module, p):
        if failure == "visit" and layer == 1:
            raise ZeroDivisionError

    run = explode if failure == "body" else model
    with pytest.raises(ZeroDivisionError), intercept(attention_reach(model), visit):
        run(**batch)
    assert fingerprint(model) == before
    assert not attention_interface.visitors.open
    assert not held._holdings


@pytest.mark.parametrize("interface", ["AttentionInterface", "AttentionMaskInterface"])
def test_nothing_is_left_behind_when_registration_fails(monkeypatch, interface):
    model, _ = tiny("bert", fresh=True)
    before = fingerprint(model)
    monkeypatch.setattr(attention_interface, "_names", {})
    monkeypatch.setattr(f"transformers.{interface}.register", explode)
    with pytest.raises(ZeroDivisionError), intercept(attention_reach(model), lambda layer, module, p: None):
        pass
    assert fingerprint(model) == before
    monkeypatch.undo()
    with intercept(attention_reach(model), lambda layer, module, p: None):
        assert fingerprint(model) != before
    assert fingerprint(model) == before


@pytest.mark.parametrize("implementation", ["eager", "sdpa", None])
@torch.no_grad()
def test_the_implementation_comes_back_as_it_was(implementation):
    model, tokenizer = tiny("llama", fresh=True)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    plain = model(**batch).logits
    model.config._attn_implementation_internal = implementation
    with intercept(attention_reach(model), lambda layer, module, p: None):
        torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=1e-6)
        assert model.config._attn_implementation not in (implementation, "eager", "sdpa")
    assert model.config._attn_implementation == implementation


def test_a_replacement_of_another_shape_is_refused():
    model, batch = padded("bert")
    with (
        pytest.raises(InvalidInput, match="they must agree"),
        intercept(attention_reach(model), lambda layer, module, p: p[:1]),
    ):
        model(**batch)


# Threads and nesting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bert", "gpt2", "modernbert", "deberta"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@torch.no_grad()
def test_threads_do_not_see_each_other(name, implementation):
    model, tokenizer = tiny(name, fresh=True)
    if implementation != model.config._attn_implementation and name != "deberta":
        model.set_attn_implementation(implementation)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    plain, before, seen, found = model(**batch).logits, fingerprint(model), [], {}

    def other():
        with torch.no_grad():
            found["plain"] = model(**batch).logits
            with intercept(
                attention_reach(model), lambda layer, module, p: found.setdefault("layers", []).append(layer)
            ):
                found["own"] = model(**batch).logits

    with intercept(attention_reach(model), lambda layer, module, p: seen.append(layer) or torch.zeros_like(p)):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == []
        assert not torch.allclose(model(**batch).logits, plain, atol=1e-3)
    assert torch.equal(found["plain"], plain)  # not only close: the same function ran
    torch.testing.assert_close(found["own"], plain, atol=1e-6, rtol=1e-6)
    assert found["layers"] == [*range(model.config.num_hidden_layers)]
    assert fingerprint(model) == before


def test_the_last_of_several_threads_restores():
    model, _ = tiny("bert", fresh=True)
    before, inside, leave = fingerprint(model), threading.Event(), threading.Event()

    def hold():
        with intercept(attention_reach(model), lambda layer, module, p: None):
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=hold)
    with intercept(attention_reach(model), lambda layer, module, p: None):
        thread.start()
        assert inside.wait(5)
    lent = model.config._attn_implementation
    leave.set()
    thread.join()
    assert lent != "sdpa"
    assert fingerprint(model) == before


@torch.no_grad()
def test_many_threads_at_once():
    model, tokenizer = tiny("bert", fresh=True)
    batch = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    plain, before, wrong = model(**batch).logits, fingerprint(model), []

    def work(k):
        with torch.no_grad():
            for _ in range(5):
                if k % 2:
                    wrong.append(not torch.equal(model(**batch).logits, plain))
                else:
                    with intercept(attention_reach(model), lambda layer, module, p: p * k if layer == 0 else None):
                        same = torch.allclose(model(**batch).logits, plain, atol=1e-5)
                        wrong.append(same)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert wrong == [False] * 20
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", ["bert", "deberta"])
@torch.no_grad()
def test_nested_visits_compose_outer_first(name):
    model, batch = padded(name)
    seen = {}
    with intercept(attention_reach(model), lambda layer, module, p: torch.full_like(p, 2.0)):
        with intercept(attention_reach(model), lambda layer, module, p: seen.update({layer: p.clone()}) or p * 3):
            got = model(**batch).logits
        with intercept(attention_reach(model), lambda layer, module, p: None):
            two = model(**batch).logits
    with intercept(attention_reach(model), lambda layer, module, p: torch.full_like(p, 6.0)):
        torch.testing.assert_close(got, model(**batch).logits, atol=1e-6, rtol=0)
    with intercept(attention_reach(model), lambda layer, module, p: torch.full_like(p, 2.0)):
        torch.testing.assert_close(two, model(**batch).logits, atol=1e-6, rtol=0)
    assert all((p == 2).all() for p in seen.values())


@torch.no_grad()
def test_a_model_inside_another_module_and_its_headless_part():
    model, batch = padded("bert")
    layers = []
    with intercept(attention_reach(nn.ModuleDict({"inner": model})), lambda layer, module, p: layers.append(layer)):
        model(**batch)
    with intercept(attention_reach(model), lambda layer, module, p: layers.append(layer)):
        for _ in range(2):
            model.base_model(**batch)
    assert layers == [0, 1] * 3


@torch.no_grad()
def test_two_models_in_one_thread_are_told_apart():
    (first, batch), (second, _) = padded("bert"), tiny("bert", fresh=True)
    seen = []
    with (
        intercept(attention_reach(first), lambda layer, module, p: seen.append("first")),
        intercept(attention_reach(second), lambda layer, module, p: seen.append(2)),
    ):
        first(**batch)
    assert seen == ["first"] * 2


@torch.no_grad()
def test_each_thread_gets_the_masks_of_its_own_attention():
    """sdpa leaves causality to its kernel, and the mask out, when nothing is padded; probabilities need it written."""
    model, tokenizer = tiny("gpt2", fresh=True)
    batch = dict(tokenizer(TEXTS[:1], return_tensors="pt"))
    masks = []

    def note(module, args, kwargs):
        masks.append(kwargs["attention_mask"])

    model.transformer.h[0].attn.register_forward_pre_hook(note, with_kwargs=True)
    with intercept(attention_reach(model), lambda layer, module, p: None):
        model(**batch)
        thread = threading.Thread(target=torch.no_grad()(lambda: model(**batch)))
        thread.start()
        thread.join()
    model(**batch)
    assert masks[0].is_floating_point()
    assert masks[1:] == [None, None]
