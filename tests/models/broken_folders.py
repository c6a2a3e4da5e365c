"""Ways in which a folder of a model can be broken: name -> what is done to a good one."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.models.tiny import tiny

Break = Callable[[Path], Any]

WEIGHTS, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
TOKENIZER_CONFIG, INDEX = "tokenizer_config.json", "model.safetensors.index.json"
SHARD = "model-00001-of-00001.safetensors"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"
DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


class Pickle:
    """Leaves a file behind if it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("unpickled",)


def good_folder(path: Path) -> Path:
    """A folder that loads, as `save_pretrained` writes it."""
    for part in tiny("bert"):
        part.save_pretrained(path)
    return path


def content(name: str, data: bytes) -> Break:
    return lambda folder: (folder / name).write_bytes(data)


def before(name: str, data: bytes) -> Break:
    return lambda folder: (folder / name).write_bytes(data + (folder / name).read_bytes())


def cut(name: str, size: int) -> Break:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def pickled(name: str) -> Break:
    return content(name, pickle.dumps(Pickle()))


def gone(*names: str) -> Break:
    return lambda folder: [(folder / name).unlink() for name in names]


def linked_to_nothing(name: str) -> Break:
    return lambda folder: [(folder / name).unlink(), (folder / name).symlink_to("nowhere")]


def a_folder(name: str) -> Break:
    return lambda folder: [(folder / name).unlink(), (folder / name).mkdir()]


def fields(name: str = CONFIG, **changed: Any) -> Break:
    """Fields of a JSON file replaced; `...` leaves one out."""

    def change(folder: Path) -> None:
        old = json.loads((folder / name).read_text())
        new = {key: value for key, value in {**old, **changed}.items() if value is not ...}
        (folder / name).write_text(json.dumps(new))

    return change


def vocabulary(make: Callable[[dict[str, int]], dict[str, int]]) -> Break:
    """The tokenizer with other words and ids."""

    def change(folder: Path) -> None:
        model = json.loads((folder / TOKENIZER).read_text())["model"]
        fields(TOKENIZER, model={**model, "vocab": make(model["vocab"])})(folder)

    return change


def tensors(make: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Break:
    def change(folder: Path) -> None:
        save_file(make(load_file(folder / WEIGHTS)), folder / WEIGHTS, {"format": "pt"})

    return change


def each(make: Callable[[Tensor], Tensor]) -> Break:
    return tensors(lambda old: {name: make(tensor) for name, tensor in old.items()})


def one(name: str, tensor: Tensor) -> Break:
    return tensors(lambda old: {**old, name: tensor})


def index(shard: Any) -> Break:
    """The weights in a shard, and an index that says where they are."""

    def change(folder: Path) -> None:
        names = list(load_file(folder / WEIGHTS))
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, shard)}))
        (folder / WEIGHTS).rename(folder / SHARD)

    return change


def copied_outside(folder: Path) -> None:
    """The weights beside the folder, where they could be read."""
    shutil.copy(folder / SHARD, folder.parent / "outside.safetensors")


def all_of(*changes: Break) -> Break:
    return lambda folder: [change(folder) for change in changes]


def only_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def linked_to_itself(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder.name)


OF_ITS_OWN = {"AutoConfig": "own.Config", "AutoModelForSequenceClassification": "own.Model"}
OWN_CODE = content("own.py", b"import os\nos.mkdir('code ran')\nclass Config: ...\nclass Model: ...\n")
LABEL_WEIGHT = "classifier.weight"

BREAKS: dict[str, Break] = {
    "no weights": gone(WEIGHTS),
    "weights: cut off": cut(WEIGHTS, 5000),
    "weights: header cut off": cut(WEIGHTS, 7),
    "weights: empty": cut(WEIGHTS, 0),
    "weights: header too long": content(WEIGHTS, struct.pack("<Q", 2**60) + b"{}"),
    "weights: header is no JSON": content(WEIGHTS, struct.pack("<Q", 4) + b"abcd"),
    "weights: LFS pointer": content(WEIGHTS, LFS),
    "weights: a pickle by their name": pickled(WEIGHTS),
    "weights: a folder": a_folder(WEIGHTS),
    "weights: a link to nothing": linked_to_nothing(WEIGHTS),
    "weights: pickles only": all_of(gone(WEIGHTS), pickled("pytorch_model.bin")),
    "weights: an index of pickles only": all_of(
        gone(WEIGHTS),
        content("pytorch_model.bin.index.json", b'{"weight_map": {"a": "x.bin"}}'),
        pickled("x.bin"),
    ),
    "weights: NaN": each(lambda tensor: tensor * float("nan")),
    "weights: one NaN": one("classifier.bias", torch.tensor([float("nan"), 0.0])),
    "weights: infinite": each(lambda tensor: tensor * float("inf")),
    "weights: whole numbers": each(lambda tensor: (tensor * 10).to(torch.int8)),
    "weights: booleans": each(lambda tensor: tensor > 0),
    "weights: of another size": one(LABEL_WEIGHT, torch.zeros(2, 31)),
    "weights: of a smaller vocabulary": one("bert.embeddings.word_embeddings.weight", torch.zeros(5, 32)),
    "weights: one missing": tensors(lambda old: {k: v for k, v in old.items() if k != LABEL_WEIGHT}),
    "weights: one empty": one(LABEL_WEIGHT, torch.zeros(0)),
    "weights: of other names": tensors(lambda old: {f"other.{name}": tensor for name, tensor in old.items()}),
    "index: names pickles": all_of(index("pytorch_model.bin"), pickled("pytorch_model.bin")),
    "index: names a missing shard": index("model-00009.safetensors"),
    "index: names a file outside": all_of(index("../outside.safetensors"), copied_outside),
    "index: names an absolute path": index("/etc/model.safetensors"),
    "index: names nothing": index(None),
    "index: a list": all_of(index(SHARD), content(INDEX, b"[]")),
    "index: no JSON": all_of(index(SHARD), content(INDEX, b"{")),
    "index: without a map": all_of(index(SHARD), content(INDEX, b"{}")),
    "no config": gone(CONFIG),
    "config: empty": cut(CONFIG, 0),
    "config: cut off": cut(CONFIG, 100),
    "config: a list": content(CONFIG, b"[]"),
    "config: null": content(CONFIG, b"null"),
    "config: an empty object": content(CONFIG, b"{}"),
    "config: a byte order mark": before(CONFIG, b"\xef\xbb\xbf"),
    "config: not UTF-8": content(CONFIG, b"\xff\xfe\x00{"),
    "config: deep": content(CONFIG, DEEP),
    "config: LFS pointer": content(CONFIG, LFS),
    "config: a folder": a_folder(CONFIG),
    "config: a link to nothing": linked_to_nothing(CONFIG),
    "config: of another model type": fields(model_type="gpt2"),
    "config: of no known model type": fields(model_type="nothing"),
    "config: model type is a list": fields(model_type=[]),
    "config: without a model type": fields(model_type=...),
    "config: code of its own": all_of(fields(model_type="own", auto_map=OF_ITS_OWN), OWN_CODE),
    "config: width is a text": fields(hidden_size="32"),
    "config: width is 0": fields(hidden_size=0),
    "config: width is negative": fields(hidden_size=-1),
    "config: width does not divide": fields(hidden_size=33),
    "config: too many layers": fields(num_hidden_layers=10),
    "config: a huge vocabulary": fields(vocab_size=10**12),
    "config: endless layers": fields(num_hidden_layers=2**40),
    "config: endless labels": fields(id2label=..., label2id=..., num_labels=2**40),
    "config: NaN": fields(hidden_dropout_prob=float("nan")),
    "config: no such activation": fields(hidden_act="nothing"),
    "config: labels are a list": fields(id2label=["a", "b"]),
    "config: no such problem": fields(problem_type="nothing"),
    "config: no such dtype": fields(dtype="nothing"),
    "config: padding outside": fields(pad_token_id=10**6),
    "no tokenizer": gone(TOKENIZER),
    "tokenizer: empty": cut(TOKENIZER, 0),
    "tokenizer: cut off": cut(TOKENIZER, 500),
    "tokenizer: a list": content(TOKENIZER, b"[]"),
    "tokenizer: an empty object": content(TOKENIZER, b"{}"),
    "tokenizer: deep": content(TOKENIZER, DEEP),
    "tokenizer: LFS pointer": content(TOKENIZER, LFS),
    "tokenizer: a folder": a_folder(TOKENIZER),
    "tokenizer: a link to nothing": linked_to_nothing(TOKENIZER),
    "tokenizer: of no known kind": fields(TOKENIZER, model={"type": "Nothing"}),
    "tokenizer: without words": vocabulary(lambda words: {}),
    "tokenizer: of another size": vocabulary(lambda words: {**words, "film": 5000}),
    "tokenizer: its config is no JSON": content(TOKENIZER_CONFIG, b"{"),
    "tokenizer: its config is a list": content(TOKENIZER_CONFIG, b"[]"),
    "tokenizer: its class is a number": fields(TOKENIZER_CONFIG, tokenizer_class=5),
    "tokenizer: padding is a number": fields(TOKENIZER_CONFIG, pad_token=5),
    "tokenizer: its input names are objects": fields(TOKENIZER_CONFIG, model_input_names=[{}]),
    "tokenizer: its length is a text": fields(TOKENIZER_CONFIG, model_max_length="long"),
    "adapter: no JSON": all_of(gone(CONFIG), content("adapter_config.json", b"{")),
    "adapter: pickles beside other weights": all_of(
        gone(CONFIG),
        pickled("adapter_model.bin"),
        content("adapter_config.json", b'{"base_model_name_or_path": "sentiment"}'),
    ),
    "an empty folder": lambda folder: [file.unlink() for file in folder.iterdir()],
    "no folder": shutil.rmtree,
    "a file": only_a_file,
    "a link to itself": linked_to_itself,
}
