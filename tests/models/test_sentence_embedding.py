"""What follows an encoder in a model of sentence-transformers: read from its files and from its object."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.tiny import tiny
from xai_nlp.errors import UnknownName, UnreadableFile, Unsupported
from xai_nlp.models.sentence_embedding import EmbeddingHead, encoder_of_object

HIDDEN = torch.tensor([[[1.0, -2.0], [3.0, 4.0], [9.0, 9.0]], [[1.0, 0.0], [0.0, 2.0], [2.0, 1.0]]])
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])
MODULE = "sentence_transformers.models."


def write(folder, *modules):
    """The files of a model with these modules after the encoder: (name of the class, config)."""
    listed = [{"idx": 0, "name": "0", "path": "", "type": f"{MODULE}Transformer"}]
    for i, (name, config) in enumerate(modules, start=1):
        path = f"{i}_{name}"
        listed.append({"idx": i, "name": str(i), "path": path, "type": MODULE + name})
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").write_text(json.dumps(listed))


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"pooling_mode_mean_tokens": True}, [[2, 1], [1, 1]]),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, [[1, -2], [1, 0]]),
        ({"pooling_mode_max_tokens": True}, [[3, 4], [2, 2]]),
        ({"pooling_mode_max_tokens": True, "pooling_mode_cls_token": True}, [[1, -2, 3, 4], [1, 0, 2, 2]]),
        ({"pooling_mode": "cls"}, [[1, -2], [1, 0]]),
    ],
)
def test_pooling(tmp_path, config, expected):
    write(tmp_path, ("Pooling", {"word_embedding_dimension": 2, **config}))
    assert EmbeddingHead.of_files(tmp_path)(HIDDEN, MASK).tolist() == expected


def test_a_folder_without_modules_is_pooled_by_the_mean_and_an_option_goes_first(tmp_path):
    head = EmbeddingHead.of_files(tmp_path)
    assert head(HIDDEN, MASK).tolist() == [[2, 1], [1, 1]]
    assert head(HIDDEN, MASK, "cls").tolist() == [[1, -2], [1, 0]]


def test_dense_layers_and_normalisation(tmp_path):
    write(tmp_path, ("Pooling", {"pooling_mode_mean_tokens": True}), ("Normalize", {}),
          ("Dense", {"activation_function": "torch.nn.modules.activation.Tanh"}))  # fmt: skip
    weight, bias = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 3.0]]), torch.tensor([0.1, 0.2, 0.3])
    save_file({"linear.weight": weight, "linear.bias": bias}, tmp_path / "3_Dense" / "model.safetensors")
    mean = torch.tensor([[2.0, 1.0], [1.0, 1.0]])
    expected = ((mean / mean.norm(dim=1, keepdim=True)) @ weight.T + bias).tanh()
    assert torch.allclose(EmbeddingHead.of_files(tmp_path)(HIDDEN, MASK), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("modules", "error", "words"),
    [
        ([("Pooling", {"pooling_mode_lasttoken": True})], Unsupported, "pools by 'lasttoken'"),
        ([("Pooling", {"pooling_mode_mean_tokens": True}), ("CNN", {})], Unsupported, "a module 'CNN'"),
        ([("LSTM", {})], Unsupported, "a module 'LSTM'"),
        ([("Pooling", {}), ("Dense", {})], Unsupported, "not in a safetensors file"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path, modules, error, words):
    write(tmp_path, *modules)
    with pytest.raises(error, match=words):
        EmbeddingHead.of_files(tmp_path)


def test_other_faults(tmp_path):
    write(tmp_path, ("Pooling", {}), ("Dense", {"activation_function": "torch.nn.Mish"}))
    save_file({"linear.weight": torch.ones(2, 2)}, tmp_path / "2_Dense" / "model.safetensors")
    with pytest.raises(UnknownName, match="activation of a dense layer 'Mish'"):
        EmbeddingHead.of_files(tmp_path)
    (tmp_path / "modules.json").write_text("{")
    with pytest.raises(UnreadableFile, match="no JSON"):
        EmbeddingHead.of_files(tmp_path)


# Objects -------------------------------------------------------------------------------------------------------------


class Transformer(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.auto_model = model


class Pooling(nn.Module):
    def get_config_dict(self):
        return {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}


class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.activation_function = nn.Linear(2, 3, bias=False), nn.ReLU()


class Normalize(nn.Module):
    pass


class SentenceTransformer(nn.Sequential):
    """As the library's class: a sequence of modules with the tokenizer of the first."""

    def __init__(self, tokenizer, *modules):
        super().__init__(*modules)
        self.tokenizer = tokenizer


class CrossEncoder:
    def __init__(self, model, tokenizer):
        self.model, self.tokenizer = model, tokenizer


def test_objects_are_unwrapped():
    model, tokenizer = tiny("bert")
    dense = Dense()
    source = SentenceTransformer(tokenizer, Transformer(model), Pooling(), dense, Normalize())
    inner, own, head = encoder_of_object(source)
    assert inner is model and own is tokenizer
    expected = (HIDDEN[:, 0] @ dense.linear.weight.T).relu()
    expected = expected / expected.norm(dim=1, keepdim=True).clamp_min(1e-12)
    assert torch.allclose(head(HIDDEN, MASK), expected, atol=1e-6) and not head(HIDDEN, MASK).requires_grad
    assert encoder_of_object(CrossEncoder(model, tokenizer)) == (model, tokenizer, None)
    assert encoder_of_object(model) == (model, None, None)
    assert encoder_of_object("sentiment") == ("sentiment", None, None)
