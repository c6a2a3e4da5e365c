"""Where architectures keep things: every site re-entered with what it carried gives the same logits."""

import pytest
import torch

from tests.models.tiny import ARCHITECTURES, MAX_POSITIONS, tiny
from xai_nlp.errors import UnknownName, Unsupported
from xai_nlp.hooks.scope import ModulePoint, attached, replaced, tensors_at
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.layout import LAYOUTS, Layout

NAMED = (
    "bert distilbert roberta xlm-roberta albert electra deberta deberta-v2 mpnet camembert modernbert gpt2 llama qwen2 "
    "bart t5"
)

# As the families' papers and configs say; the tiny DeBERTa-v2 has relative positions only, as published.
WITH_TYPES = ["bert", "roberta", "xlm-roberta", "albert", "electra", "deberta", "camembert"]
WITH_POSITIONS = [*WITH_TYPES, "distilbert", "mpnet", "gpt2"]
WITHOUT_END = ["deberta-v2", "modernbert", "llama", "qwen2", "t5"]


def test_every_named_architecture_has_a_row_and_a_tiny_model():
    assert set(LAYOUTS) == set(NAMED.split())
    assert set(LAYOUTS) < set(ARCHITECTURES)  # and one that has none: the generic row


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_sites_re_entered_with_their_own_output(name):
    model, tokenizer = tiny(name)
    batch = dict(tokenizer(["A dull film.", "great"], padding=True, return_tensors="pt"))
    adapter, plain = Adapter.of(model), model(**batch).logits
    sites = [adapter.embeddings, adapter.word, *adapter.layers]
    assert len(adapter.layers) == model.config.num_hidden_layers
    for site in sites:
        (own,) = tensors_at([site], lambda: model(**batch))
        assert len(own) == 1 or model.config.model_type == "t5"  # whose blocks hand their position bias on
        with replaced([(site, own)]):
            torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=0)
        with replaced([(site, [own[0] + torch.randn_like(own[0]), *own[1:]])]):
            assert (model(**batch).logits - plain).abs().max() > 1e-4  # and it matters


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_nothing_before_the_embeddings_site_matters_after_it(name):
    """Once the sum is replaced, no other embedding has a way to the logits (but for relative positions)."""
    model, tokenizer = tiny(name)
    batch = dict(tokenizer(["A dull film."], return_tensors="pt"))
    adapter = Adapter.of(model)
    (own,) = tensors_at([adapter.embeddings], lambda: model(**batch))
    (words,) = tensors_at([adapter.word], lambda: model(**batch))
    plain = model(**batch).logits
    with replaced([(adapter.word, [words[0] * 3]), (adapter.embeddings, own)]):
        torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_word_position_and_type_embeddings(name):
    model, tokenizer = tiny(name)
    batch = dict(tokenizer(["A dull film."], return_tensors="pt"))
    adapter = Adapter.of(model)
    ((words,),) = tensors_at([adapter.word], lambda: model(**batch))
    table = model.get_input_embeddings().weight
    torch.testing.assert_close(words, table[batch["input_ids"]], atol=1e-6, rtol=0)
    for site, having in ((adapter.position, WITH_POSITIONS), (adapter.types, WITH_TYPES)):
        assert (site is not None) == (name in having)
        if site is not None:
            ((found,),) = tensors_at([site], lambda s=site: model(**batch))
            assert found.shape[-2:] == words.shape[-2:]


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_the_longest_text_a_model_takes(name):
    model, tokenizer = tiny(name)
    ids = torch.full((1, 3 * MAX_POSITIONS), tokenizer.vocab_size - 1)
    longest = Adapter.of(model).max_length
    if model.config.is_encoder_decoder:
        ids[:, (longest or 0) - 1] = ids[:, longest or 0] = (
            model.config.eos_token_id
        )  # their heads read where a text ends
    assert longest == (None if name in WITHOUT_END else MAX_POSITIONS)
    assert torch.isfinite(model(input_ids=ids[:, :longest]).logits).all()
    if longest is not None:
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=ids[:, : longest + 1])


@torch.no_grad()
def test_albert_layers_share_a_module_and_differ_by_call():
    model, tokenizer = tiny("albert")
    layers = Adapter.of(model).layers
    assert [site.call for site in layers] == [0, 1, 2]
    batch = dict(tokenizer(["A dull film."], return_tensors="pt"))
    found = tensors_at(layers, lambda: model(**batch))
    assert not torch.allclose(found[0][0], found[1][0])
    calls = []
    with attached([lambda: layers[0].module.register_forward_hook(lambda *_: calls.append(1))]):
        model(**batch)
    assert len(calls) == 3


def test_wrong_layers_and_layouts_are_named():
    adapter = Adapter.of(tiny("bert")[0])
    for k in (-1, 2):
        with pytest.raises(UnknownName, match="counted from 0"):
            adapter.layer(k)
    wrong = Adapter.of(adapter.model, Layout(embeddings="embedings", word="embeddings.word_embeddings", blocks=None))
    with pytest.raises(UnknownName, match="Did you mean 'embeddings'"):
        _ = wrong.embeddings
    with pytest.raises(Unsupported, match="layers of bert were not found"):
        _ = wrong.layers
    assert isinstance(adapter.word, ModulePoint)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_attention_of_each_layer(name):
    model, _ = tiny(name)
    adapter = Adapter.of(model)
    found = [adapter.attention(k) for k in range(len(adapter.layers))]
    assert len(set(found)) == (1 if name == "albert" else len(found))
    for site, module in zip(adapter.layers, found, strict=True):
        assert module in set(site.module.modules())
        assert "Attention" in type(module).__name__
    with pytest.raises(UnknownName, match="unknown layer 9"):
        adapter.attention(9)


def test_the_attention_of_a_model_whose_layout_does_not_tell():
    model, _ = tiny("bert")
    layout = Layout(embeddings="embeddings", word="embeddings.word_embeddings", blocks="encoder.layer")
    with pytest.raises(Unsupported, match=r"attention of bert was not found in encoder\.layer\.1"):
        Adapter.of(model, layout).attention(1)
