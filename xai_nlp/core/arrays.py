"""Arrays of an explanation: in memory, or where they were computed or saved until somebody reads them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from xai_nlp.core.files import parts_of
from xai_nlp.errors import InvalidInput, NotFinite, UnreadableFile

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")
MARK = "xai_nlp"  # the key in a safetensors file's metadata that says: these are arrays of an explanation


class Array:
    """Numbers in float32 that cannot be changed; `numpy.asarray` reads them from where they still are.

    >>> Array([[1, 2, 3]]).shape
    (1, 3)
    """

    __slots__ = ("_compute", "_file", "_name", "_sha256", "_values", "shape")

    def __init__(self, values: Any) -> None:
        import numpy as np

        numbers = np.array(values, dtype=np.float32)
        if not np.isfinite(numbers).all():
            raise NotFinite
        numbers.setflags(write=False)
        self._values: np.ndarray | None = numbers
        self._compute: Callable[[], Any] | None = None
        self._file, self._name, self._sha256 = Path(), "", ""
        self.shape: tuple[int, ...] = numbers.shape

    @classmethod
    def deferred(cls, shape: Sequence[int], compute: Callable[[], Any]) -> Array:
        """The array of that shape which `compute` gives, called once, when the array is used.

        >>> Array.deferred((1, 3), lambda: [[1, 2, 3]])[0, 2]
        np.float32(3.0)
        """
        array = cls.__new__(cls)
        array._values, array._compute = None, compute
        array._file, array._name, array._sha256 = Path(), "", ""
        array.shape = tuple(shape)
        return array

    @classmethod
    def stored(cls, file: Path, name: str, shape: Sequence[int], sha256: str = "") -> Array:
        """The array of that name in a safetensors file, read when it is used.

        sha256: the hash of its bytes; "" where it is not known (format 3 and before).
        Raises UnreadableFile if there is no such file, or if it is that of another explanation.
        """
        array = cls.__new__(cls)
        array._values, array._compute = None, None
        array._file, array._name, array._sha256 = file, name, sha256
        array.shape = tuple(shape)
        array._check_shape(tuple(array._read(lambda arrays: arrays.get_slice(name).get_shape())))
        return array

    def _read(self, read: Callable[[Any], T]) -> T:
        """What is read of the file that has this array; once more if a writer moved it in between."""
        while True:
            file = self._find()
            try:
                with opened(file) as arrays:
                    return read(arrays)
            except UnreadableFile:
                if file.is_file():
                    raise

    def _find(self) -> Path:
        """The file that has this array now: a new one that has not taken the old one's place yet, or that in its place.

        Raises UnreadableFile if there is none.
        """
        for file in (*parts_of(self._file), self._file) if self._sha256 else ():
            with suppress(UnreadableFile):
                if metadata_of(file).get(self._name) == self._sha256:
                    return file
        if not self._file.is_file():
            raise UnreadableFile(f"{self._file} is missing: an explanation with large arrays is two files; move both.")
        metadata_of(self._file)
        if self._sha256:
            raise UnreadableFile(f"{self._file} belongs to another explanation: its {self._name!r} has another hash.")
        return self._file

    def numpy(self) -> np.ndarray:
        """The numbers. Raises UnreadableFile if their file is not what the JSON says it is."""
        compute = self._compute
        if compute is not None:
            values = Array(compute()).numpy()
            assert values.shape == self.shape, f"{values.shape} for {self.shape}"
            self._values, self._compute = values, None  # what it was computed from is free now
            return values
        if self._values is None:
            read = self._read(lambda arrays: arrays.get_tensor(self._name))
            self._check_shape(read.shape)
            try:
                array = Array(read)
            except InvalidInput as error:
                raise UnreadableFile(f"{self._file}: {self._name!r}: {error}") from None
            if self._sha256 not in ("", array.sha256()):
                raise UnreadableFile(f"{self._file}: {self._name!r} was changed after it was saved.")
            self._values = array.numpy()
        return self._values

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape != self.shape:
            raise UnreadableFile(f"{self._file}: {self._name!r} is {shape}, not {self.shape}.")

    def bytes(self) -> bytes:
        """The numbers as bytes: float32, little-endian, row by row."""
        return self.numpy().astype("<f4", copy=False).tobytes()

    def sha256(self) -> str:
        """The hash of `bytes`."""
        return hashlib.sha256(self.bytes()).hexdigest()

    def __getstate__(self) -> Any:  # of copies and pickles, which hold numbers
        if self._compute is not None:
            self.numpy()
        return None, {name: getattr(self, name) for name in self.__slots__}

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = self.numpy() if dtype is None else self.numpy().astype(dtype, copy=False)
        return values.copy() if copy else values

    def __getitem__(self, index: Any) -> Any:
        return self.numpy()[index]

    def __len__(self) -> int:
        return self.shape[0]

    def __eq__(self, other: object) -> bool:
        import numpy as np

        return isinstance(other, Array) and self.shape == other.shape and np.array_equal(self.numpy(), other.numpy())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Array {' × '.join(map(str, self.shape))}>"

    def merged(self, starts: Sequence[int], axis: int) -> Array:
        """Neighbours along an axis added up, in groups that begin at `starts`."""
        shape = (*self.shape[:axis], len(starts), *self.shape[axis + 1 :])
        return Array.deferred(shape, lambda: _merged(self.numpy(), starts, axis))


def _merged(numbers: np.ndarray, starts: Sequence[int], axis: int) -> np.ndarray:
    import numpy as np

    whole = len(starts) == numbers.shape[axis]  # each group is one
    return numbers if whole else np.add.reduceat(numbers.astype(np.float64), starts, axis=axis)


@dataclass(frozen=True, kw_only=True)
class AttentionAttribution:
    """A stack of attention matrices with a number for each entry: which query drew on which key, by layer and head.

    scores: contributions to the target, signed, which add up; or, if `row_stochastic`, how much a query drew on a key,
    which adds up over keys only.
    """

    scores: Array  # (layers, H, Q, K)
    layers: tuple[str, ...]  # the layers' names
    method: str
    unit: str = ""
    row_stochastic: bool = False
    residuals: tuple[float, ...] = ()  # of each layer, in `unit`, where a layer's scores have to add up
    queries: tuple[str, ...] | None = None  # Q tokens; None for the explanation's own
    keys: tuple[str, ...] | None = None  # K tokens; None for the explanation's own

    def __post_init__(self) -> None:
        shape = self.scores.shape
        if len(shape) != 4 or shape[0] != len(self.layers):
            raise InvalidInput(f"{len(self.layers)} layers need scores (layers, H, Q, K); got {shape}.")
        for name, tokens, count in (("queries", self.queries, shape[2]), ("keys", self.keys, shape[3])):
            if tokens is not None and len(tokens) != count:
                raise InvalidInput(f"scores {shape} need {count} {name}; got {len(tokens)}.")

    def heads(self) -> np.ndarray:
        """The sum of each head's matrix, (layers, H)."""
        return self.scores.numpy().sum((2, 3), dtype="float64")

    def merged(self, starts: Sequence[int], length: int) -> AttentionAttribution:
        """The same over groups of neighbouring tokens: they begin at `starts`, and the last ends at `length`."""
        import numpy as np

        scores = self.scores
        if self.keys is None:
            scores = scores.merged(starts, 3)
        if self.queries is None:
            scores = sums = scores.merged(starts, 2)
            if self.row_stochastic:
                scores = Array.deferred(sums.shape, lambda: sums.numpy() / np.diff(starts, append=length)[:, None])
        return replace(self, scores=scores)


# The file beside the JSON --------------------------------------------------------------------------------------------


def arrays_file(arrays: Mapping[str, Array]) -> bytes:
    """A safetensors file with these arrays; its metadata says that it is ours, and the hash of each."""
    from safetensors.numpy import save

    hashes = {name: array.sha256() for name, array in arrays.items()}
    return save({name: array.numpy() for name, array in arrays.items()}, {MARK: "arrays of an explanation", **hashes})


@contextmanager
def opened(file: str | os.PathLike[str]) -> Iterator[Any]:
    """A safetensors file. Raises UnreadableFile if it is none, and for what is asked of it and not there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as arrays:
            yield arrays
    except (SafetensorError, OSError) as error:
        raise UnreadableFile(f"{file} is no safetensors file that has these arrays: {error}.") from None


def metadata_of(file: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a safetensors file. Raises UnreadableFile if it is none."""
    with opened(file) as arrays:
        return arrays.metadata() or {}
