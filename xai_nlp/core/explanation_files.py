"""Files that hold explanations: one as `Explanation.save` writes it, a JSON list, or one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xai_nlp.core.result import Explanation
from xai_nlp.errors import UnreadableFile


def read_explanations(text: str, name: str = "the file", folder: Path | None = None) -> list[Explanation]:
    """All explanations of a JSON text.

    name: what errors call the file. folder: where files with large arrays are.
    Raises UnreadableFile, which names the line or entry, for anything else than explanations.
    """
    if not text.strip():
        raise UnreadableFile(f"{name} is empty.")
    try:
        listed: list[tuple[str, Any]] = [(name, json.loads(text))]
    except (ValueError, RecursionError) as error:
        lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
        try:
            listed = [(f"{name}, line {n}", json.loads(line)) for n, line in lines]
        except (ValueError, RecursionError):
            raise UnreadableFile(
                f"{name} is no JSON, nor JSON lines: {error}. Was it cut off? Save the explanation again."
            ) from None
    if len(listed) == 1 and isinstance(listed[0][1], list):
        listed = [(f"{name}, entry {n}", one) for n, one in enumerate(listed[0][1], start=1)]
    return [_explanation(where, one, folder) for where, one in listed]


def _explanation(where: str, data: Any, folder: Path | None) -> Explanation:
    try:
        return Explanation.from_data(data, folder=folder)
    except UnreadableFile as error:
        raise UnreadableFile(f"{where}: {error}") from None
