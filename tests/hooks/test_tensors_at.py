"""Word, position and type embeddings and their sum, each in one pass that goes no further than it must."""

import threading
from functools import partial

import pytest
import torch
from torch import nn

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import ModulePoint, attached, replaced, tensors_at

TEXTS = [("who wrote it?", "Mary, in a book"), ("dull", "film")]


def batch_of(name):
    model, tokenizer = tiny(name)
    return model, dict(tokenizer([a for a, _ in TEXTS], [b for _, b in TEXTS], padding=True, return_tensors="pt"))


def explode(*_):
    raise ZeroDivisionError


def counted(padding, ids):
    """RoBERTa's positions (its paper's code, fairseq): tokens from the row after padding's, padding at its own."""
    real = ids != padding
    return torch.where(real, real.cumsum(1) + padding, padding)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "mpnet", "gpt2"])
@torch.no_grad()
def test_the_sum_by_hand(name):
    model, batch = batch_of(name)
    points, ids = xai_nlp.points(model), batch["input_ids"]
    sites = [site for site in (points.word, points.position, points.types, points.embeddings) if site]
    before = fingerprint(model)
    found = [tensors for (tensors,) in tensors_at(sites, lambda: model(**batch))]
    words = points.word.module.weight[ids]
    places = torch.arange(ids.shape[1])[None]
    if name in ("roberta", "mpnet"):
        places = counted(model.config.pad_token_id, ids)
    parts = [words, points.position.module.weight[places]]
    if points.types:
        kinds = batch.get("token_type_ids", torch.zeros_like(ids))
        assert (kinds.max() == 1) == (name == "bert")
        parts.append(points.types.module.weight[kinds])
    total = sum(parts)
    if name != "gpt2":
        total = points.embeddings.module.LayerNorm(total)
    for got, expected in zip(found, [*parts, total], strict=True):
        torch.testing.assert_close(got, expected, atol=1e-6, rtol=0)
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_the_sum_for_other_words_keeps_positions_types_and_masks(name):
    """Replacing each vector is the same as changing the table's rows, while the ids, which place them, stay."""
    model, batch = batch_of(name)
    points, ids = xai_nlp.points(model), batch["input_ids"]
    other = torch.randn(*ids.shape, points.word.module.weight.shape[1], generator=torch.manual_seed(0))
    before = fingerprint(model)
    (got,) = tensors_at([points.embeddings], lambda: model(**batch), [(points.word, [other])])
    plain = tensors_at([points.embeddings], lambda: model(**batch))[0]
    assert fingerprint(model) == before
    with attached([lambda: points.word.module.register_forward_hook(lambda *_: other)]):
        (expected,) = tensors_at([points.embeddings], lambda: model(**batch))
    assert torch.equal(got[0], expected[0])
    assert not torch.allclose(got[0], plain[0])
    with replaced([(points.embeddings, got)]):
        logits = model(**batch).logits
    with replaced([(points.word, [other])]):
        torch.testing.assert_close(logits, model(**batch).logits, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_network_does_not_run(name):
    model, batch = batch_of(name)
    points, ran = xai_nlp.points(model), []
    sites = [site for site in (points.word, points.position, points.types, points.embeddings) if site]
    with attached([lambda: points.layers[0].module.register_forward_pre_hook(lambda *_: ran.append(1))]):
        tensors_at(sites, lambda: model(**batch))
        assert ran == []
        tensors_at([points.layers[0]], lambda: model(**batch))
        assert ran == [1]


def test_gradients_flow_from_the_sum_to_what_replaces_the_words():
    model, batch = batch_of("distilbert")
    model = tiny("distilbert", fresh=True)[0].double()
    points = xai_nlp.points(model)
    ((words,),) = tensors_at([points.word], lambda: model(**batch))
    words = words.detach().requires_grad_()

    def total(vectors):
        ((found,),) = tensors_at([points.embeddings], lambda: model(**batch), [(points.word, [vectors])])
        return found

    assert torch.autograd.gradcheck(lambda v: total(v)[0, :2].pow(2), (words,))
    with torch.no_grad():
        assert not total(words.detach()).requires_grad


class Chain(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Identity(), nn.ReLU(inplace=True), nn.Identity()

    def forward(self, x):
        try:
            x = self.a(x + 0)
        except Exception:
            x = x * 0
        return self.c(self.b(x * 1) + 1)


@pytest.mark.parametrize("grad", [True, False])
def test_replacements_and_captures_of_one_pass_compose(grad):
    net, x = Chain(), torch.tensor([[-1.0, 2.0]])
    a, b, c = ModulePoint(net.a), ModulePoint(net.b), ModulePoint(net.c)
    with torch.set_grad_enabled(grad):
        found = tensors_at([a, ModulePoint(net.a, "input"), b, c], lambda: net(x), [(a, [x * 3]), (b, [x * 5])])
    for (got,), expected in zip(found, [x * 3, x, x * 5, x * 5 + 1], strict=True):
        assert torch.equal(got, expected)  # same module, upstream and downstream; in place after the site as well
        assert got.requires_grad == grad
    found = tensors_at([a, b], lambda: net(x), [(ModulePoint(net.a, "input"), [x * 7])])
    assert torch.equal(found[0][0], x * 7)
    assert torch.equal(found[1][0], (x * 7).clamp_min(0))


def test_a_model_that_swallows_exceptions_is_stopped_all_the_same():
    net, ran = Chain(), []
    with attached([lambda: net.b.register_forward_hook(lambda *_: ran.append(1))]):
        tensors_at([ModulePoint(net.a)], lambda: net(torch.ones(1, 1)))
    assert ran == []


def test_a_site_that_is_not_reached_is_named_after_the_whole_pass():
    net, done = Chain(), []
    with pytest.raises(InvalidInput, match="output of elsewhere was not reached"):
        tensors_at(
            [ModulePoint(net.a), ModulePoint(nn.ReLU(), name="elsewhere")], lambda: done.append(net(torch.ones(1, 1)))
        )
    assert len(done) == 1


@pytest.mark.parametrize("where", ["model", "run", "replacement"])
def test_the_model_comes_back_when_something_raises(where):
    model, batch = batch_of("bert")
    points, before = xai_nlp.points(model), fingerprint(model)
    run = explode if where == "run" else lambda: model(**batch)
    hooks = [partial(points.types.module.register_forward_hook, explode)] if where == "model" else []
    replacements = [(points.word, [])] if where == "replacement" else []
    expected = InvalidInput if where == "replacement" else ZeroDivisionError
    with attached(hooks), pytest.raises(expected):
        tensors_at([points.embeddings], run, replacements)
    assert fingerprint(model) == before


@torch.no_grad()
def test_another_threads_pass_is_neither_seen_nor_stopped():
    model, batch = batch_of("bert")
    points, plain, found = xai_nlp.points(model), model(**batch).logits, {}
    small = {key: value[:1, :3] for key, value in batch.items()}

    def other():
        with torch.no_grad():
            found["logits"] = model(**batch).logits

    def run():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        model(**small)

    ((total,),) = tensors_at([points.embeddings], run)
    assert torch.equal(found["logits"], plain)
    assert total.shape[:2] == (1, 3)
