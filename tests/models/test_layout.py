"""The table of layouts against the models, and against what can be found by looking."""

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertModel, BertConfig, BertModel, FNetConfig, FNetModel

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import attached
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.layout import LAYOUTS, base_of, infer_layout


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_table_agrees_with_what_is_found_by_looking(name):
    model, _ = tiny(name)
    row, found = LAYOUTS[name], infer_layout(model)
    assert row.word == found.word
    if not row.shared:  # a list of one group, where three layers are asked for, does not look like the layers
        assert row.blocks == found.blocks


def test_the_generic_row():
    model, _ = tiny("opt")
    layout = infer_layout(model)
    assert "opt" not in LAYOUTS
    assert (layout.embeddings, layout.word) == ("decoder.embed_tokens", "decoder.embed_tokens")
    assert layout.blocks == "decoder.layers"
    assert layout.position is None
    assert layout.types is None


class Words(nn.Module):
    """A model of nobody's: a config with no type, lists of other lengths and of unequal blocks."""

    def __init__(self, layers=None):
        super().__init__()
        self.table, self.lists = nn.Embedding(5, 3), nn.ModuleList([nn.Linear(3, 3)])
        self.mixed = nn.ModuleList([nn.Linear(3, 3), nn.ReLU()])
        self.config = type("Config", (), {"num_hidden_layers": layers})()

    def get_input_embeddings(self):
        return self.table

    def forward(self, ids):
        return self.mixed[1](self.mixed[0](self.lists[0](self.table(ids))))


def test_a_model_with_no_list_of_equal_blocks_has_no_layers():
    for layers in (None, 2, 7):
        adapter = Adapter.of(Words(layers))
        assert adapter.layout.blocks is None
        assert adapter.points.word.module is adapter.points.embeddings.module is adapter.model.table
        assert adapter.architecture == "Words"
        assert adapter.max_length is None
        with pytest.raises(Unsupported, match="layers of Words were not found"):
            adapter.layer(0)


def test_a_model_with_blocks_but_no_attention_has_layers():
    config = FNetConfig(vocab_size=20, hidden_size=8, num_hidden_layers=2, intermediate_size=8)
    layout = infer_layout(FNetModel(config))
    assert layout.blocks == "encoder.layer"


def test_a_model_without_input_embeddings_is_refused():
    with pytest.raises(Unsupported, match="Linear has no known input embeddings"):
        Adapter.of(nn.Linear(2, 2))
    words = Words()
    words.get_input_embeddings = lambda: None
    with pytest.raises(Unsupported, match="Words has no known"):
        Adapter.of(words)


class Peft(nn.Module):
    """As PEFT wraps a model: `base_model` is its tuner, `get_base_model()` the model as it was."""

    def __init__(self, model):
        super().__init__()
        self.base_model = nn.ModuleDict({"model": model})
        self.config = model.config

    def get_base_model(self):
        return self.base_model["model"]


@pytest.mark.parametrize("name", ["bert", "opt"])
def test_the_model_inside_pefts_wrapping(name):
    model, _ = tiny(name)
    wrapped, adapter = Peft(model), Adapter.of(model)
    wrapped.get_input_embeddings = model.get_input_embeddings
    assert base_of(wrapped) is model.base_model
    inside = Adapter.of(wrapped)
    assert [site.module for site in inside.layers] == [site.module for site in adapter.layers]
    assert inside.points.embeddings.module is adapter.points.embeddings.module


@pytest.mark.parametrize(("layers", "groups", "inner"), [(3, 1, 1), (5, 2, 2), (6, 3, 1), (7, 3, 2)])
@torch.no_grad()
def test_shared_blocks_take_turns_as_the_model_runs_them(layers, groups, inner):
    config = AlbertConfig(
        vocab_size=20, embedding_size=4, hidden_size=8, intermediate_size=8, num_attention_heads=2,
        num_hidden_layers=layers, num_hidden_groups=groups, inner_group_num=inner,
    )  # fmt: skip
    model, ran = AlbertModel(config).eval(), []
    before = fingerprint(model)
    found = Adapter.of(model).layers
    note = {site.module: lambda module, *_: ran.append(module) for site in found}
    with attached([lambda m=m, f=f: m.register_forward_hook(f) for m, f in note.items()]):
        model(torch.tensor([[1, 2, 3]]))
    assert [site.module for site in found] == ran
    assert [site.call for site in found] == [ran[:k].count(module) for k, module in enumerate(ran)]
    assert fingerprint(model) == before


def test_every_tiny_tokenizer_points_into_the_text():
    text, second = "  Naïve café — übercool, isn't it?", "Who wrote this film?"
    for name in ARCHITECTURES:
        model, tokenizer = tiny(name)
        found = tokenizer(text, second, return_offsets_mapping=True)
        owners = found.sequence_ids()
        for segment, whole in enumerate((text, second)):
            spans = [span for span, owner in zip(found["offset_mapping"], owners, strict=True) if owner == segment]
            covered = {i for start, end in spans for i in range(start, end)}
            assert {i for i, c in enumerate(whole) if not c.isspace()} <= covered, name
            assert all(not whole[start].isspace() for start, end in spans if end > start), name
        assert max(found["input_ids"]) < model.config.vocab_size
        assert model.config.pad_token_id == tokenizer.pad_token_id


def test_a_row_for_a_model_that_switches_tables_off():
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    model = BertModel(config)
    assert Adapter.of(model).points.types is not None
    model.embeddings.token_type_embeddings = None
    assert Adapter.of(model).points.types is None
    assert Adapter.of(model).points.position is not None
