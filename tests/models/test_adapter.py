"""The modules of each architecture by role: every hook point re-entered with its own output gives the same logits."""

import pytest
import torch
from transformers import MBartConfig, MBartModel

import xai_nlp
from tests.models.tiny import ARCHITECTURES, MAX_POSITIONS, tiny
from tests.models.tiny_vision_language import FAMILIES, loaded
from xai_nlp.errors import UnknownName, Unsupported
from xai_nlp.hooks.scope import ModulePoint, attached, replaced, tensors_at
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.layout import LAYOUTS, Layout, base_of

NAMED = (
    "bert distilbert roberta xlm-roberta albert electra deberta deberta-v2 mpnet camembert modernbert gpt2 llama qwen2 "
    "bart t5"
)

# As the families' papers and configs say; the tiny DeBERTa-v2 has relative positions only, as published.
WITH_TYPES = ["bert", "roberta", "xlm-roberta", "albert", "electra", "deberta", "camembert"]
WITH_POSITIONS = [*WITH_TYPES, "distilbert", "mpnet", "gpt2", "bart"]
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
    sites = [adapter.points.embeddings, adapter.points.word, *adapter.layers]
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
    (own,) = tensors_at([adapter.points.embeddings], lambda: model(**batch))
    (words,) = tensors_at([adapter.points.word], lambda: model(**batch))
    plain = model(**batch).logits
    with replaced([(adapter.points.word, [words[0] * 3]), (adapter.points.embeddings, own)]):
        torch.testing.assert_close(model(**batch).logits, plain, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ARCHITECTURES)
@torch.no_grad()
def test_word_position_and_type_embeddings(name):
    model, tokenizer = tiny(name)
    batch = dict(tokenizer(["A dull film."], return_tensors="pt"))
    adapter = Adapter.of(model)
    ((words,),) = tensors_at([adapter.points.word], lambda: model(**batch))
    table = model.get_input_embeddings().weight
    torch.testing.assert_close(words, table[batch["input_ids"]], atol=1e-6, rtol=0)
    for site, having in ((adapter.points.position, WITH_POSITIONS), (adapter.points.types, WITH_TYPES)):
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
        _ = wrong.points
    without = Adapter.of(adapter.model, Layout(embeddings="embeddings", word="embeddings.word_embeddings", blocks=None))
    with pytest.raises(Unsupported, match="layers of bert were not found"):
        _ = without.layers
    assert isinstance(adapter.points.word, ModulePoint)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_attention_of_each_layer(name):
    model, _ = tiny(name)
    points = xai_nlp.points(model)
    assert len(points.attention) == len(points.layers)
    assert len({point.module for point in points.attention}) == (1 if name == "albert" else len(points.layers))
    for layer, point in zip(points.layers, points.attention, strict=True):
        assert point.module in set(layer.module.modules())
        assert "Attention" in type(point.module).__name__
        assert (point.call, model.get_submodule(point.path)) == (layer.call, point.module)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_projection_and_the_norm_after_attention(name):
    """Each lies in its layer, and the projection takes what all heads give out."""
    model, _ = tiny(name)
    adapter = Adapter.of(model)
    for layer, inside in zip(adapter.layers, adapter.points.inside, strict=True):
        assert set(inside) == {part for part in ("projection", "norm") if getattr(adapter.layout, part)}
        for point in inside.values():
            assert point.module in set(layer.module.modules())
            assert (point.call, base_of(model).get_submodule(point.name)) == (layer.call, point.module)
    layout = Layout(
        embeddings=adapter.layout.embeddings, word=adapter.layout.word, blocks=adapter.layout.blocks, projection="no"
    )
    with pytest.raises(UnknownName, match="no'"):
        _ = Adapter.of(model, layout).points


def inputs_of(modules, run):
    """Shapes of the tensors that enter each module, by any argument."""
    shapes = {module: set() for module in modules}

    def note(module, args, kwargs):
        shapes[module] |= {tuple(t.shape) for t in (*args, *kwargs.values()) if isinstance(t, torch.Tensor)}

    with attached([lambda m=m: m.register_forward_pre_hook(note, with_kwargs=True) for m in modules]), torch.no_grad():
        run()
    return shapes


@pytest.mark.parametrize("name", ["bart", "t5"])
def test_cross_attention_reads_the_encoder(name):
    model, _ = tiny(name)
    points = xai_nlp.points(model).cross_attention
    assert [point.path.split(".")[-6 if name == "t5" else -4] for point in points] == ["decoder"] * 2
    ids = torch.full((1, 9), 7)
    shapes = inputs_of(
        [point.module for point in points],
        lambda: base_of(model)(input_ids=ids, decoder_input_ids=ids[:, :3]),
    )
    for entering in shapes.values():
        assert {(1, 3, 32), (1, 9, 32)} <= entering


def test_cross_attention_of_a_family_in_no_table():
    config = MBartConfig(
        vocab_size=20, d_model=8, encoder_layers=2, decoder_layers=3,
        encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=8, decoder_ffn_dim=8, max_position_embeddings=16,
    )  # fmt: skip
    points = xai_nlp.points(MBartModel(config))
    assert "mbart" not in LAYOUTS
    assert [point.path for point in points.cross_attention] == [f"decoder.layers.{k}.encoder_attn" for k in range(3)]
    assert [point.path for point in points.attention] == [f"encoder.layers.{k}.self_attn" for k in range(2)]


@pytest.mark.parametrize("name", FAMILIES)
def test_vision_language_models_have_every_point(name):
    points = xai_nlp.points(loaded(name).model)
    assert len(points.layers) == 2 <= len(points.attention)
    assert points.word.module is not None and points.embeddings.module is not None
    assert len(points.vision) == (0 if name in ("vilt", "visual_bert") else 2)
    assert len(points.cross_attention) >= (2 if name in ("lxmert", "blip") else 0)
    for point in (*points.attention, *points.cross_attention):
        assert "Attention" in type(point.module).__name__
    for layer in points.layers:
        assert any(point.module in set(layer.module.modules()) for point in points.attention)


@pytest.mark.parametrize("name", sorted(set(ARCHITECTURES) - {"bart", "t5"}))
def test_models_without_a_second_sequence(name):
    adapter = Adapter.of(tiny(name)[0])
    assert adapter.points.cross_attention == adapter.points.vision == ()
    assert adapter.text_stack is adapter.model
