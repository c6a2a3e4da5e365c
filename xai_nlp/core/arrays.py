"""Arrays of an explanation: in memory, or in the file beside its JSON until somebody looks."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_nlp.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    import numpy as np

BESIDE = 2**16  # bytes: an explanation with more numbers than this keeps them in a file of their own


class Array:
    """Numbers in float32 that cannot be changed; `numpy.asarray` reads them, from their file if they are still there.

    >>> Array([[1, 2, 3]]).shape
    (1, 3)
    """

    __slots__ = ("_file", "_name", "_values", "shape")

    def __init__(self, values: Any) -> None:
        import numpy as np

        kept = np.array(values, dtype=np.float32)
        if not np.isfinite(kept).all():
            raise InvalidInput("the scores are not finite: the model gave NaN or infinity on this input.")
        kept.setflags(write=False)
        self._values: np.ndarray | None = kept
        self._file, self._name = Path(), ""
        self.shape: tuple[int, ...] = kept.shape

    @classmethod
    def stored(cls, file: Path, name: str, shape: Sequence[int]) -> Array:
        """The array of that name in a safetensors file. Raises UnreadableFile if there is no such file."""
        if not file.is_file():
            raise UnreadableFile(f"{file} is missing: an explanation with large arrays is two files; move both.")
        array = cls.__new__(cls)
        array._values, array._file, array._name, array.shape = None, file, name, tuple(shape)
        return array

    def numpy(self) -> np.ndarray:
        """The numbers. Raises UnreadableFile if their file is not what the JSON says it is."""
        if self._values is None:
            from safetensors import SafetensorError, safe_open

            try:
                with safe_open(self._file, framework="numpy") as opened:
                    read = opened.get_tensor(self._name)
            except (SafetensorError, OSError) as error:
                raise UnreadableFile(f"{self._file}: {self._name!r} cannot be read: {error}.") from None
            if read.shape != self.shape:
                raise UnreadableFile(f"{self._file}: {self._name!r} is {read.shape}, not {self.shape}.")
            self._values = Array(read).numpy()
        return self._values

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

    def merged(self, groups: Sequence[Sequence[int]], axis: int) -> Array:
        """Neighbours along an axis added up, group by group."""
        import numpy as np

        starts = [group[0] for group in groups]
        return Array(np.add.reduceat(self.numpy().astype(np.float64), starts, axis=axis))


@dataclass(frozen=True, kw_only=True)
class AttentionAttribution:
    """A stack of attention matrices with a number for each entry: which query drew on which key, by layer and head.

    scores: contributions to the target, signed, which add up; or, if `weights`, how much a query drew on a key, which
    adds up over keys only.
    """

    scores: Array  # (layers, H, Q, K)
    layers: tuple[str, ...]  # what each layer is called
    method: str
    unit: str = ""
    weights: bool = False
    residuals: tuple[float, ...] = ()  # of each layer, in `unit`, where a layer's scores have to add up
    queries: tuple[str, ...] | None = None  # Q tokens; None for the explanation's own
    keys: tuple[str, ...] | None = None  # K tokens; None for the explanation's own

    def __post_init__(self) -> None:
        if len(self.scores.shape) != 4 or self.scores.shape[0] != len(self.layers):
            raise InvalidInput(f"{len(self.layers)} layers need scores (layers, H, Q, K); got {self.scores.shape}.")

    def heads(self) -> np.ndarray:
        """What each head carries: the sum of its matrix, (layers, H)."""
        return self.scores.numpy().sum((2, 3), dtype="float64")

    def merged(self, groups: Sequence[Sequence[int]]) -> AttentionAttribution:
        """The same over groups of neighbouring tokens."""
        import numpy as np

        scores = self.scores
        if self.keys is None:
            scores = scores.merged(groups, 3)
        if self.queries is None:
            scores = scores.merged(groups, 2)
            if self.weights:
                scores = Array(scores.numpy() / np.array([len(group) for group in groups])[:, None])
        return replace(self, scores=scores)


# How they are kept ---------------------------------------------------------------------------------------------------


def plain(value: Any, beside: dict[str, np.ndarray] | None = None, file: str = "", name: str = "") -> Any:
    """A value as JSON can hold it; arrays are written out, or put into `beside` and named."""
    if isinstance(value, Array):
        if beside is None:
            written = base64.b64encode(value.numpy().astype("<f4").tobytes()).decode("ascii")
            return {"shape": list(value.shape), "float32": written}
        beside[name] = value.numpy()
        return {"shape": list(value.shape), "file": file, "name": name}
    if isinstance(value, AttentionAttribution):
        value = {key: getattr(value, key) for key in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(k): plain(v, beside, file, f"{name}.{k}".lstrip(".")) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v, beside, file, f"{name}.{i}") for i, v in enumerate(value)]
    return value


def read_array(data: Any, folder: Path | None) -> Array:
    """What `plain` made of an array. Raises UnreadableFile."""
    import numpy as np

    try:
        shape = tuple(int(n) for n in data["shape"])
        if "float32" in data:
            return Array(np.frombuffer(base64.b64decode(data["float32"], validate=True), "<f4").reshape(shape))
        file, name = str(data["file"]), str(data["name"])
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"an array of this explanation cannot be read: {error}.") from None
    if folder is None or os.path.basename(file) != file:
        raise UnreadableFile(f"the numbers are in a file of their own, {file[:80]!r}; open it with Explanation.load.")
    return Array.stored(folder / file, name, shape)


def read_matrices(data: Mapping[str, Any], folder: Path | None) -> AttentionAttribution:
    """What `plain` made of a stack of matrices. Raises UnreadableFile."""
    fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k != "scores"}
    try:
        return AttentionAttribution(scores=read_array(data["scores"], folder), **fields)
    except (KeyError, TypeError, InvalidInput) as error:
        raise UnreadableFile(f"attention matrices of this explanation cannot be read: {error}.") from None
