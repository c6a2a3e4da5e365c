"""Checkpoints of a training run: where they are, how they are loaded, and with which learning rate."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput, UnreadableFile

TRAINER_FOLDER = "checkpoint-*"  # of HF's Trainer
NESTED = ("model_state_dict", "state_dict", "model")  # keys under which a training loop keeps the weights
WEIGHTS = ("model.safetensors", "adapter_model.safetensors", "pytorch_model.bin")  # in a folder, the first that exists
Checkpoints: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | Callable[[nn.Module], Any] | Iterable[Any]


class UnreadableCheckpoint(UnreadableFile, RuntimeError):
    """A checkpoint that cannot be read, or that does not fit the model."""


def find_checkpoints(checkpoints: Checkpoints) -> list[Any]:
    """The checkpoints, in the order of the numbers in their names.

    checkpoints: a folder of them, a single one, or an iterable of paths, state dicts or callables.
    Raises InvalidInput if there are none.
    """
    found: list[Any] = []
    if isinstance(checkpoints, (str, os.PathLike)):
        found = _in_folder(Path(checkpoints))
    elif callable(checkpoints) or isinstance(checkpoints, Mapping):
        found = [checkpoints]
    elif isinstance(checkpoints, Iterable):
        found = list(checkpoints)
        if isinstance(checkpoints, list) and all(isinstance(one, (str, os.PathLike)) for one in found):
            found = sorted(map(os.fspath, found), key=_by_number)
    if not found:
        raise InvalidInput(
            f"checkpoints: none found in {checkpoints!r}. Give a folder, or a list of paths, state dicts or callables."
        )
    return found


def _in_folder(path: Path) -> list[str]:
    if path.is_file() or any((path / name).is_file() for name in (*WEIGHTS, f"{WEIGHTS[0]}.index.json")):
        return [str(path)]
    folders = [one for one in path.glob(TRAINER_FOLDER) if one.is_dir()]
    return sorted(map(str, folders or (one for one in path.glob("*") if not one.name.startswith("."))), key=_by_number)


def _by_number(name: str) -> list[tuple[int, int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _load_flexible_state_dict(model: nn.Module, path: Any) -> float:
    """Loads a checkpoint into a model and returns its learning rate; 1 if it does not say one.

    path: a callable that loads it and may return the learning rate; a state dict; a file of safetensors or of
        `torch.save`, of which weights only are read; a folder of a Trainer, with the rate in its trainer_state.json. A
        dict may hold `learning_rate` beside the weights, or the weights as `model_state_dict`.

    Raises UnreadableCheckpoint, also a RuntimeError, for weights that cannot be read without unpickling, or do not fit.

    >>> net = nn.Linear(1, 1, bias=False)
    >>> _load_flexible_state_dict(net, {"weight": torch.ones(1, 1), "learning_rate": 0.5}), net.weight.item()
    (0.5, 1.0)
    """
    if path is None:
        raise CaptumAssertion("None returned from `checkpoints`, cannot load.")
    if callable(path):
        rate = path(model)
        return 1.0 if rate is None else float(rate)
    weights, rate = (path, None) if isinstance(path, Mapping) else _read(Path(path))
    rate = float(weights.get("learning_rate", 1.0)) if rate is None else rate
    nested = next((weights[key] for key in NESTED if isinstance(weights.get(key), Mapping)), weights)
    _load_weights(model, {key: value for key, value in nested.items() if isinstance(value, Tensor)}, path)
    return rate


load_checkpoint = _load_flexible_state_dict  # the name under which Captum's signatures have it stays the default


def _load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: Any) -> None:
    """Writes weights into a model, whether or not one of both is wrapped in DataParallel."""
    model = getattr(model, "module", model) if isinstance(model, nn.DataParallel) else model
    own = set(model.state_dict())
    if weights and all(key.startswith("module.") for key in weights) and not own >= set(weights):
        weights = {key.removeprefix("module."): value for key, value in weights.items()}
    weights = {key: value for key, value in weights.items() if key in own or key != "learning_rate"}
    shared = _names_of_shared(model, weights)
    missing, unknown = sorted(own - set(weights) - shared), sorted(set(weights) - own)
    if missing or unknown:
        name = "the state dict" if isinstance(source, Mapping) else str(source)
        raise UnreadableCheckpoint(
            f"{name} does not fit the model: missing {missing[:6] or 'nothing'}, unknown {unknown[:6] or 'nothing'}. "
            "Give checkpoints_load_func if it is loaded in another way."
        )
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise UnreadableCheckpoint(str(error)) from error


def _names_of_shared(model: nn.Module, weights: Mapping[str, Tensor]) -> set[str]:
    """Names that safetensors leaves out because another name has the same weights."""
    tensors = dict(model.named_parameters(remove_duplicate=False))
    loaded = {id(tensors[name]) for name in weights if name in tensors}
    return {name for name, tensor in tensors.items() if id(tensor) in loaded}


def _read(path: Path) -> tuple[Mapping[str, Any], float | None]:
    """The weights at a path, and the learning rate of a Trainer's folder."""
    if not path.exists():
        raise UnreadableCheckpoint(f"there is no checkpoint at {path}.")
    folder = path if path.is_dir() else path.parent
    rate = _trainers_rate(folder) if path.is_dir() or path.name in WEIGHTS else None
    weights: dict[str, Any] = {}
    for file in _files_of(path):
        weights |= _read_file(file)
    return weights, rate


def _files_of(path: Path) -> Sequence[Path]:
    """The files of weights at a path; a folder may have them in several parts."""
    if path.is_file():
        return [path]
    index = path / f"{WEIGHTS[0]}.index.json"
    if index.is_file():
        parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        return [path / Path(part).name for part in parts]
    files = [path / name for name in WEIGHTS if (path / name).is_file()]
    if not files:
        raise UnreadableCheckpoint(f"{path} holds none of {', '.join(WEIGHTS)}.")
    return files[:1]


def _read_file(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UnreadableCheckpoint(f"{path} is no file of safetensors: {error}") from error
    except Exception as error:  # torch raises errors of pickle, of zip files and of its own
        raise UnreadableCheckpoint(
            f"{path} cannot be read as weights alone, and nothing else is read from it: "
            f"{(str(error).splitlines() or [type(error).__name__])[0]} Save it as safetensors, or as a state dict."
        ) from error
    if not isinstance(weights, Mapping):
        raise UnreadableCheckpoint(f"{path} holds a {type(weights).__name__}, not a state dict.")
    return weights


def _trainers_rate(folder: Path) -> float | None:
    """The rate above 0 that a Trainer logged last before it wrote this folder; None if it logged none.

    Schedules end at 0, where the last checkpoint would count for nothing.
    """
    state = folder / "trainer_state.json"
    if not state.is_file():
        return None
    try:
        read = json.loads(state.read_text(encoding="utf-8"))
        rates = [float(one["learning_rate"]) for one in read.get("log_history", []) if "learning_rate" in one]
    except (ValueError, TypeError, AttributeError) as error:
        raise UnreadableCheckpoint(f"{state} is no state of a Trainer: {error}") from error
    return next((rate for rate in reversed(rates) if rate > 0), None)
