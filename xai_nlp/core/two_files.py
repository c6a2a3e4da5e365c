"""The JSON of an explanation and the file beside it that holds its large arrays, written and read as one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from xai_nlp.core.arrays import MARK, Array, arrays_file, metadata_of
from xai_nlp.core.files import FileInTheMaking, read_file
from xai_nlp.errors import InvalidInput, UnreadableFile

T = TypeVar("T")
SUFFIX = ".safetensors"


def json_path(path: str | os.PathLike[str]) -> Path:
    """The path, if explanations may be saved there. Raises InvalidInput for a name of weights and arrays."""
    if Path(path).suffix.lower() == SUFFIX:
        raise InvalidInput(f"explanations are saved as JSON, and {str(path)!r} is a name of arrays; save as .json.")
    return Path(path)


def arrays_path(path: Path) -> Path:
    """The file with the arrays of the explanation at this path: `why.json.safetensors`.

    Raises InvalidInput if it exists and holds something else than arrays of an explanation.
    """
    file = path.with_name(f"{path.name}{SUFFIX}")
    if file.exists() and not _ours(file):
        raise InvalidInput(f"{file} is not the array file of an explanation; save under another name.")
    return file


def save_two(path: Path, text: bytes, arrays: Mapping[str, Array]) -> None:
    """Write both files, so that at any time the JSON and its arrays are there, the old ones or the new ones.

    The new arrays lie complete beside the old ones when the JSON is replaced, and then take their place. A reader, and
    a reader after a crash, looks at both (`core.arrays.Array.stored`).
    """
    new_arrays, new_text = FileInTheMaking(arrays_path(path)), FileInTheMaking(path)
    try:
        new_arrays.write(arrays_file(arrays))
        new_arrays.sync()
        new_text.write(text)
        new_text.keep()
        new_arrays.keep()
    except BaseException:
        if new_text.kept:  # interrupted between the two
            new_arrays.keep()
        else:
            new_text.drop()
            new_arrays.drop()
        raise


def load_two(path: str | os.PathLike[str], read: Callable[[bytes], T]) -> T:
    """What `read` makes of the JSON at this path. It is read again if a writer replaced both files in between.

    Raises UnreadableFile.
    """
    content = read_file(path)
    while True:
        try:
            return read(content)
        except UnreadableFile:
            before, content = content, read_file(path)
            if content == before:
                raise


def _ours(file: Path) -> bool:
    try:
        return MARK in metadata_of(file)
    except UnreadableFile:
        return False
