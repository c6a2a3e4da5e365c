"""Files of tensors with notes: safetensors, so that nothing in them can run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from xai_nlp.core.files import write_file
from xai_nlp.errors import UnreadableFile

FORMAT = "xai_nlp concept 1"


def save_tensors(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
    """Write tensors and notes (of JSON's types), whole or not at all. Folders are made.

    Raises UnreadableFile, before anything is written, if a file that is not of this kind lies there.
    """
    if path.exists():
        load_tensors(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    on_host = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_file(path, save(on_host, {"format": FORMAT, "notes": json.dumps(notes)}))


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the notes of a file. Raises UnreadableFile for any other file, FileNotFoundError for none."""
    if not path.exists():
        raise FileNotFoundError(path)
    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") == FORMAT:
                return {name: file.get_tensor(name) for name in file.keys()}, json.loads(header["notes"])  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise UnreadableFile(
            f"{path} is not a file of concepts ({error}); move it away, or name another folder."
        ) from None
    got = header.get("format", "no format")
    raise UnreadableFile(f"{path} is a file of {got!r}, not of {FORMAT!r}; move it away, or name another folder.")
