"""Explanations as plain data that JSON can hold, and back. Their classes are the schema; msgspec checks it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from xai_nlp.core.arrays import Array
from xai_nlp.core.old_formats import upgrade
from xai_nlp.errors import InvalidInput, UnreadableFile

FORMAT = 4
T = TypeVar("T")


class StoredArray(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """An array in a saved file: its numbers, or where they stand in the safetensors file beside it."""

    shape: tuple[Annotated[int, msgspec.Meta(ge=0)], ...]
    float32: bytes | None = None  # little-endian, row by row
    file: str = ""
    name: str = ""
    sha256: str = ""  # of the numbers' bytes

    def array(self, folder: Path | None) -> Array:
        """The array. folder: where its file is. Raises ValueError with what is wrong."""
        if self.float32 is not None:
            import numpy as np

            return Array(np.frombuffer(self.float32, "<f4").reshape(self.shape))
        if folder is None or os.path.basename(self.file) != self.file:
            raise UnreadableFile(
                f"the numbers are in a file of their own, {self.file[:80]!r}; open it with Explanation.load"
            )
        return Array.stored(folder / self.file, self.name, self.shape, self.sha256)


def to_data(value: Any, names: Mapping[int, str] | None = None, file: str = "") -> dict[str, Any]:
    """A dataclass as plain data with the format's number.

    names: id of an array -> its name in `file`; arrays without one are written out.
    Raises InvalidInput for values that JSON cannot hold.
    """

    def plain(part: Any) -> Any:
        if isinstance(part, Array):
            if names and id(part) in names:
                return StoredArray(shape=part.shape, file=file, name=names[id(part)], sha256=part.sha256())
            return StoredArray(shape=part.shape, float32=part.bytes())
        if isinstance(part, Mapping):
            return dict(part)
        for kind in (str, int, float):  # their subclasses, such as a version or a NumPy number
            if isinstance(part, kind):
                return kind(part)
        raise TypeError(f"{type(part).__name__} is none of text, number, list and mapping")

    try:
        return {"format": FORMAT, **msgspec.to_builtins(value, enc_hook=plain, str_keys=True)}
    except TypeError as error:
        raise InvalidInput(f"this cannot be saved: {error}.") from None


def parse_json(content: str | bytes) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark.

    Raises UnreadableFile for anything else: also for NaN, infinity and lone surrogates, which JSON cannot hold.
    """
    try:
        text = content if isinstance(content, str) else content.decode()
        return msgspec.json.decode(text.removeprefix("\ufeff"))
    except UnicodeError as error:
        raise UnreadableFile(f"this is not UTF-8: {error}.") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableFile(f"this is no JSON whose numbers are finite: {error}. Was it cut off?") from None


def from_data(cls: type[T], data: Any, *, folder: Path | None = None, kind: str = "explanation") -> T:
    """The dataclass that `to_data` made plain, of this format or an older one.

    kind: what errors call it.
    Raises UnreadableFile, which names the path, for a wrong or missing field and for a newer format.
    """
    number = data.get("format") if isinstance(data, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        given = repr(number)[:40]
        raise UnreadableFile(f"this is no saved {kind}: its format is {given}; formats 1 to {FORMAT} are read.")
    if number > FORMAT:
        raise UnreadableFile(
            f"this file has format {number}, which is newer than this version of xai_nlp: it reads formats 1 to "
            f"{FORMAT}. Update xai_nlp."
        )
    try:
        data = upgrade(data) if number < FORMAT else {name: part for name, part in data.items() if name != "format"}
        value = msgspec.convert(data, cls, strict=True, dec_hook=_hook(folder))
    except (msgspec.ValidationError, RecursionError) as error:
        raise UnreadableFile(f"this {kind} cannot be read: {error}.") from None
    _refuse_unknown(data, value, kind, "$")
    return value


def _hook(folder: Path | None) -> Callable[[type, Any], Any]:
    def array(kind: type, data: Any) -> Any:
        if kind is not Array:
            raise NotImplementedError
        try:
            return msgspec.convert(data, StoredArray, strict=True).array(folder)
        except msgspec.ValidationError as error:
            raise ValueError(f"not an array: {error}") from None  # msgspec adds the path of the array

    return array


def _refuse_unknown(data: Any, value: Any, kind: str, path: str) -> None:
    if isinstance(value, Mapping):
        for name in value:
            _refuse_unknown(data[name], value[name], kind, f"{path}.{name}")
    elif isinstance(value, tuple) and any(map(is_dataclass, value)):
        for i, part in enumerate(value):
            _refuse_unknown(data[i], part, kind, f"{path}[{i}]")
    elif is_dataclass(value):
        names = {field.name for field in fields(value)}
        if unknown := sorted(set(data) - names):
            raise UnreadableFile(f"this {kind} cannot be read: unknown field {unknown[0]!r} - at `{path}`.")
        for name in data:
            _refuse_unknown(data[name], getattr(value, name), kind, f"{path}.{name}")


def json_text(data: Any, indent: int | None = None) -> str:
    """Plain data as JSON. Raises InvalidInput for half of a surrogate pair and for numbers that are not finite."""
    try:
        text = json.dumps(data, indent=indent, allow_nan=False)
        if "\\ud" in text:  # whole characters are two such halves
            json.dumps(data, ensure_ascii=False).encode()
        return text
    except ValueError as error:
        raise InvalidInput(f"this cannot be saved: {error}.") from None
