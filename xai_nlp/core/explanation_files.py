"""Files that hold explanations: one as `Explanation.save` writes it, a JSON list, or one a line."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Any

from xai_nlp.core.result import Explanation
from xai_nlp.core.serialization import parse_json
from xai_nlp.errors import UnreadableFile


def read_explanations(content: str | bytes, name: str = "the file", folder: Path | None = None) -> list[Explanation]:
    """All explanations of a JSON text.

    name: what errors call the file. folder: where files with large arrays are.
    Raises UnreadableFile, which names the line or entry, for anything else than explanations.
    """
    encoded = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return [_explanation(where, one, folder) for where, one in _values(encoded.removeprefix(codecs.BOM_UTF8), name)]


def _values(content: bytes, name: str) -> list[tuple[str, Any]]:
    """(where it is, value) of a JSON text, of each entry if it is a list, or of each of its lines."""
    lines = [(n, line) for n, line in enumerate(content.splitlines(), start=1) if line.strip()]
    if not lines:
        raise UnreadableFile(f"{name} is empty.")
    try:
        value = parse_json(content)
    except UnreadableFile as error:
        whole = error
    else:
        return _entries(name, value)
    found: list[tuple[str, Any]] = []
    for n, line in lines:
        try:
            found.append((f"{name}, line {n}", parse_json(line)))
        except UnreadableFile as error:
            where, why = (f"{name}, line {n}", error) if found else (name, whole)
            raise UnreadableFile(f"{where}: {why} Save the explanation again.") from None
    return found


def _entries(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(f"{name}, entry {n}", one) for n, one in enumerate(value, start=1)]
    return [(name, value)]


def _explanation(where: str, data: Any, folder: Path | None) -> Explanation:
    try:
        return Explanation.from_data(data, folder=folder)
    except UnreadableFile as error:
        raise UnreadableFile(f"{where}: {error}") from None
