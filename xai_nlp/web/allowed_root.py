"""Model folders and data files that the page may open: those inside one folder that was named at the start."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from xai_nlp.data.table_files import SUFFIXES
from xai_nlp.errors import InvalidInput
from xai_nlp.web.limits import LIMITS, Limits

VOCABULARY = re.compile(r"(vocab|merges|tokenizer|spm)_file$|_spm$")  # keys of a tokenizer's files
MODEL_FILES = ("config.json", "adapter_config.json")


class OpenRequest(BaseModel):
    """A model folder or a data file to open, by its path inside the allowed folder."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: Annotated[str, Field(min_length=1, max_length=LIMITS.words)]

    @property
    def title(self) -> str:
        return f"Open {self.path}"

    @property
    def images(self) -> dict[str, str]:
        return {}

    def without_images(self) -> OpenRequest:
        return self

    def field_of(self, message: str) -> str:
        """The one field there is."""
        return "path"


@dataclass(frozen=True)
class AllowedRoot:
    """One folder; nothing outside it is opened or listed, also not by a link."""

    folder: Path  # without links
    limits: Limits = LIMITS

    @classmethod
    def of(cls, folder: str | os.PathLike[str], limits: Limits = LIMITS) -> AllowedRoot:
        """Raises InvalidInput if there is no such folder."""
        if not Path(folder).is_dir():
            raise InvalidInput(f"there is no folder {folder}; name one: xai-nlp serve --root DIR.")
        return cls(Path(folder).resolve(), limits)

    def find(self, path: str) -> Path:
        """The file or folder at a path inside the allowed folder, without links.

        Raises InvalidInput if it lies outside, which is all that is said of it, or does not exist.
        """
        shown = path if len(path) <= 80 else path[:79] + "…"
        try:
            place = (self.folder / path).resolve()
            inside, exists = place.is_relative_to(self.folder), place.exists()
        except (OSError, ValueError, RuntimeError):  # too long, a null character, links in a circle
            raise InvalidInput(f"{shown!r} is no path that can be opened.") from None
        if not inside:
            raise InvalidInput(f"{shown!r} lies outside the folder {self.folder.name!r}, which alone may be opened.")
        if not exists:
            raise InvalidInput(f"there is no {shown!r} in the folder {self.folder.name!r}.")
        return place

    def model_folder(self, path: str) -> Path:
        """A folder that holds a model, with no file, and no base of an adapter, outside the allowed folder."""
        folder = self.find(path)
        if not is_model(folder):
            raise InvalidInput(f"{path!r} holds no config.json: it is no folder that save_pretrained wrote.")
        for other in _files_of_model(folder):
            if not self._holds(other):
                raise InvalidInput(f"{path!r} leads outside the folder {self.folder.name!r}, by {other.name!r}.")
        return folder

    def data_file(self, path: str) -> Path:
        """A file of bounded size."""
        file = self.find(path)
        size = file.stat().st_size
        if not file.is_file() or size > self.limits.file:
            raise InvalidInput(f"{path!r} has {size:,} bytes; files up to {self.limits.file:,} bytes are opened.")
        return file

    def listing(self, path: str) -> dict[str, Any]:
        """What can be opened in a folder: its folders, the model folders among them, and its data files.

        Raises InvalidInput as `find` does.
        """
        folder = self.find(path)
        if not folder.is_dir():
            raise InvalidInput(f"{path!r} is no folder.")
        entries = []
        for entry in sorted(folder.iterdir(), key=lambda one: one.name.casefold()):
            kind = "" if entry.name.startswith(".") or not self._holds(entry) else _kind(entry)
            if kind:
                entries.append({"name": entry.name, "path": self._relative(folder / entry.name), "kind": kind})
        above = None if folder == self.folder else self._relative(folder.parent)
        listed = entries[: self.limits.listed]
        names = {"path": self._relative(folder), "above": above, "root": self.folder.name}
        return {**names, "entries": listed, "left_out": len(entries) - len(listed)}

    def _holds(self, place: Path) -> bool:
        """Does it lie inside, once links are followed?"""
        try:
            return place.resolve().is_relative_to(self.folder)
        except (OSError, ValueError, RuntimeError):
            return False

    def _relative(self, place: Path) -> str:
        return place.relative_to(self.folder).as_posix()


def is_model(place: Path) -> bool:
    """Is that a folder with the files of a model?"""
    return place.is_dir() and any((place / name).is_file() for name in MODEL_FILES)


def _kind(place: Path) -> str:
    """ "model", "folder" or "data"; "" for anything else."""
    if place.is_dir():
        return "model" if is_model(place) else "folder"
    return "data" if place.suffix.lower() in SUFFIXES else ""


def _files_of_model(folder: Path) -> Iterator[Path]:
    """What loading a model may read: the files of its folder, those that they name, and those of an adapter's base."""
    yield from _files_of_folder(folder)
    base = _json(folder / "adapter_config.json").get("base_model_name_or_path")
    if base:
        yield Path("/", str(base))  # the name of a hub model counts as outside
        yield from _files_of_folder(Path("/", str(base)))


def _files_of_folder(folder: Path) -> Iterator[Path]:
    for inside in folder.rglob("*"):
        yield inside
        if inside.name.endswith(".index.json"):
            weights = _json(inside).get("weight_map")
            yield from (folder / str(name) for name in (weights.values() if isinstance(weights, dict) else ()))
        elif inside.name == "tokenizer_config.json":
            yield from (folder / str(name) for key, name in _json(inside).items() if name and VOCABULARY.search(key))


def _json(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
