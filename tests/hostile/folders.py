"""Folders of a model of which a file is broken: one line says so, or the model is the one that transformers reads."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import transformers

import xai_nlp
from tests.hostile.trial import Trial, family
from tests.models.broken_folders import BREAKS, DEEP, LFS, good_folder
from xai_nlp.errors import XaiError

TEXT = "a dull film"
VALUES: tuple[Any, ...] = (None, True, -1, 0, 1, 7, 2**40, 1.5, float("nan"), "", "x", [], {}, [None], {"a": 1})


def cut(random: Random, file: Path, folder: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: random.randrange(len(data) + 1)])


def flip(random: Random, file: Path, folder: Path) -> None:
    data = bytearray(file.read_bytes())
    header = len(data) if random.random() < 0.5 else min(len(data), 200)
    for _ in range(random.randint(1, 8)):
        data[random.randrange(header)] = random.randrange(256)
    file.write_bytes(data)


def insert(random: Random, file: Path, folder: Path) -> None:
    data, at = file.read_bytes(), random.randrange(file.stat().st_size + 1)
    file.write_bytes(data[:at] + random.choice([b"\0", b"\xff", b"[", b"}", b"," * 20, LFS]) + data[at:])


def replace(random: Random, file: Path, folder: Path) -> None:
    file.write_bytes(random.choice([b"", b"{}", b"[]", b"null", b"\xef\xbb\xbf{}", LFS, DEEP, random.randbytes(300)]))


def swap(random: Random, file: Path, folder: Path) -> None:
    other = random.choice(sorted(folder.iterdir()))
    one, two = file.read_bytes(), other.read_bytes()
    file.write_bytes(two)
    other.write_bytes(one)


def remove(random: Random, file: Path, folder: Path) -> None:
    file.unlink()


def field(random: Random, file: Path, folder: Path) -> None:
    """A field of a JSON file, at any depth, gets another value, or goes."""
    file = random.choice(sorted(folder.glob("*.json")))
    whole = node = json.loads(file.read_text())
    while True:
        keys = sorted(node) if isinstance(node, dict) else list(range(len(node)))
        key = random.choice(keys)
        if not isinstance(node[key], (dict, list)) or not node[key] or random.random() < 0.3:
            break
        node = node[key]
    if random.random() < 0.2:
        del node[key]
    else:
        node[key] = random.choice(VALUES)
    file.write_text(json.dumps(whole))


def named(random: Random, file: Path, folder: Path) -> None:
    """One of the ways that have a name."""
    BREAKS[random.choice(sorted(BREAKS))](folder)


DAMAGES: tuple[Callable[[Random, Path, Path], None], ...] = (
    cut, flip, insert, replace, swap, remove, field, field, field, named,
)  # fmt: skip


def predicted(folder: Path, target: int) -> float:
    """The logit that transformers itself gives."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        batch = tokenizer(TEXT, return_tensors="pt")
        return float(model.eval()(**{name: batch[name] for name in batch}).logits[0, target])


def check(folder: Path) -> None:
    refusal: list[str] = []
    try:
        why = xai_nlp.load(folder).explain(TEXT, method="saliency", progress=False)
    except XaiError as error:
        refusal = str(error).splitlines()
    if refusal:
        assert len(refusal) == 1, refusal
        return
    assert np.isfinite(why.scores).all()
    expected = predicted(folder, why.target.position)
    assert abs(why.value - expected) <= 1e-4 * max(1.0, abs(expected)), (why.value, expected)


@family("folders", quick=150, long=3000)
def trials(random: Random) -> Iterator[Trial]:
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as where:
        good, folder = good_folder(Path(where, "good")), Path(where, "broken")

        def run(damage: Callable[[Random, Path, Path], None], seed: int) -> None:
            if folder.is_dir() and not folder.is_symlink():
                shutil.rmtree(folder)
            else:
                folder.unlink(missing_ok=True)
            shutil.copytree(good, folder)
            draws = Random(seed)
            damage(draws, draws.choice(sorted(folder.iterdir())), folder)
            check(folder)

        while True:
            damage, seed = random.choice(DAMAGES), random.randrange(2**32)
            yield Trial(f"{damage.__name__} {seed}", lambda damage=damage, seed=seed: run(damage, seed))
