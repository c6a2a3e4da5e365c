"""The files of a model's folder, checked before transformers reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from xai_nlp.errors import InvalidInput, Unsupported, XaiError

#: Files of a model that hold one JSON object.
OBJECT_FILES = (
    "config.json",
    "adapter_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
)
LARGEST = {"layers": 10_000, "layer": 10_000, "num_labels": 10_000_000}  # counts in configs, by how names end
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # how the file begins that stands for one not fetched
TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)


def check_folder(folder: Path, name: str, *, needs_tokenizer: bool) -> None:
    """Refuse a folder that holds no model that can be read safely, or no tokenizer.

    Its files are checked before transformers reads them: an index may name pickles, and names no file in its errors.
    """
    try:
        present = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    if not {"config.json", "adapter_config.json"} & present:
        raise InvalidInput(f"{name} holds no config.json: it is no folder that save_pretrained wrote.")
    weights = [file for file in present if file.endswith(".safetensors")]
    pickles = pickles_in(folder)
    if not weights:
        found = f"only {pickles[0]}, which could run code when it is read" if pickles else "no weights"
        raise Unsupported(
            f"{name} holds {found}. Models load from safetensors: load it once where you trust it, with "
            "AutoModel….from_pretrained(folder), and save it with model.save_pretrained(folder)."
        )
    of_its_own = holds_tokenizer(folder) or {"preprocessor_config.json", "adapter_config.json"} & present
    if needs_tokenizer and not of_its_own:
        raise InvalidInput(
            f"{name} holds no tokenizer: none of {', '.join(TOKENIZER_FILES[:4])}. Save it there with "
            "tokenizer.save_pretrained(folder), or pass it: load(folder, tokenizer)."
        )
    objects = {file: _json_object(folder / file, name) for file in OBJECT_FILES if file in present}
    if "config.json" not in present and "adapter_model.safetensors" not in present:
        raise Unsupported(f"{name} is a PEFT adapter without adapter_model.safetensors. Save it as safetensors.")
    if WEIGHTS_INDEX in present:
        _check_index(folder / WEIGHTS_INDEX, name)
    _check_counts(objects.get("config.json", {}), name)
    quantized = "quantization_config" in objects.get("config.json", {})
    for file in sorted(weights):
        _check_tensors(folder / file, name, quantized=quantized)


def pickles_in(folder: Path) -> list[str]:
    """The names of a folder's files that could run code when they are read."""
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(PICKLES))


def holds_tokenizer(where: str | Path) -> bool:
    """Is this a folder with a tokenizer, or a hub name? An adapter's folder often holds none."""
    return not isinstance(where, Path) or any((where / name).is_file() for name in TOKENIZER_FILES)


def _bytes_of(file: Path, name: str, count: int = -1) -> bytes:
    """The first bytes of a file of a model, or all. Raises InvalidInput if it is no file that can be read."""
    try:
        with file.open("rb") as stream:
            content = stream.read(count)
    except OSError as error:
        raise InvalidInput(f"{name} cannot be loaded: {file.name} cannot be read: {error.strerror}.") from None
    if content.startswith(LFS_POINTER):
        raise InvalidInput(
            f"{name} cannot be loaded: {file.name} is a pointer of Git LFS, not the file. Fetch the file: git lfs pull."
        )
    return content


def _json_object(file: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file of a model. Raises InvalidInput for anything else in it."""
    try:
        value = json.loads(_bytes_of(file, name).decode("utf-8"), parse_constant=_number)
    except (ValueError, RecursionError) as error:
        if isinstance(error, XaiError):
            raise
        raise InvalidInput(f"{name} cannot be loaded: {file.name} holds no valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} cannot be loaded: {file.name} holds no JSON object; got a {type(value).__name__}.")
    return value


def _number(constant: str) -> float:
    """Infinity, which configs may hold. Raises ValueError for NaN."""
    if constant == "NaN":
        raise ValueError("NaN is no number")
    return float(constant)


def _check_counts(config: Mapping[str, Any], name: str) -> None:
    """Refuse a config of more layers or labels than any model has: to make them takes all time, or all memory."""
    for key, value in config.items():
        if isinstance(value, dict):
            _check_counts(value, name)
        for ending, most in LARGEST.items():
            if key.endswith(ending) and isinstance(value, (int, float)) and value > most:
                raise InvalidInput(
                    f"{name} cannot be loaded: config.json has {key} {value:,}; at most {most:,} are read."
                )


def _check_index(file: Path, name: str) -> None:
    """Refuse an index of weights that names anything but safetensors of its own folder."""
    shards = _json_object(file, name).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise InvalidInput(f"{name} cannot be loaded: {file.name} has no weight_map.")
    for shard in sorted(set(map(str, shards.values()))):
        if not shard.endswith(".safetensors") or Path(shard).name != shard:
            raise Unsupported(
                f"{name} cannot be loaded: {file.name} names {shard!r}, and models load from safetensors in their own "
                "folder only. Save it again with model.save_pretrained(folder)."
            )
        if not (file.parent / shard).is_file():
            raise InvalidInput(f"{name} cannot be loaded: {file.name} names {shard!r}, which is missing.")


def _check_tensors(file: Path, name: str, *, quantized: bool) -> None:
    """Refuse safetensors that are cut off or no safetensors, and weights that are whole numbers by mistake."""
    from safetensors import SafetensorError, safe_open

    _bytes_of(file, name, len(LFS_POINTER))
    try:
        with safe_open(file, "pt") as tensors:
            weights = [key for key in tensors.keys() if key.endswith(".weight")]  # noqa: SIM118 (no mapping)
            kinds = {key: tensors.get_slice(key).get_dtype() for key in weights}
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidInput(
            f"{name} cannot be loaded: {file.name} is no complete safetensors file: {error}. Copy or download it again."
        ) from None
    wrong = [key for key, kind in kinds.items() if not kind.startswith(("F", "BF"))]
    if wrong and not quantized:
        raise InvalidInput(
            f"{name} cannot be loaded: {wrong[0]} in {file.name} has the type {kinds[wrong[0]]}, and weights are "
            "floating-point numbers where the config names no quantisation."
        )


def base_of_adapter(where: Path) -> str | Path:
    """The model that a folder's PEFT adapter belongs to; the folder itself if it holds a model."""
    file = where / "adapter_config.json"
    if (where / "config.json").is_file() or not file.is_file():
        return where
    if find_spec("peft") is None:
        raise Unsupported(f"{where.name} is a PEFT adapter; reading it needs the library: pip install peft.")
    base = str(_json_object(file, where.name).get("base_model_name_or_path"))
    if Path(base).is_dir():
        check_folder(Path(base), Path(base).name, needs_tokenizer=False)
    return base
