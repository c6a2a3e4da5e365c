"""Tensors of many examples in files of bounded size, written and read one after another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from xai_nlp.core.files import write_file
from xai_nlp.errors import InvalidInput, Unsupported

ENTRIES = 2**17  # numbers of one file, but at least one batch
NAME, LAST = "activations", "last"


class ActivationFiles:
    """The files of one layer: `stem.0.safetensors`, `stem.1.safetensors`, …; the last one says that it is.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     files = ActivationFiles(Path(folder, "layer"))
    ...     files.add(torch.ones(2, 3)), files.add(torch.zeros(1, 3)), files.finish()
    ...     files.complete(), torch.cat(list(files)).shape
    (None, None, None)
    (True, torch.Size([3, 3]))
    """

    def __init__(self, stem: Path) -> None:
        self.stem = stem
        self._written = 0
        self._waiting: list[Tensor] = []

    def path(self, number: int) -> Path:
        """The file of a number."""
        return self.stem.with_name(f"{self.stem.name}.{number}.safetensors")

    def complete(self) -> bool:
        """Are there all files, from the first to the last?"""
        number = 0
        while self.path(number).is_file():
            try:
                with safe_open(self.path(number), framework="pt") as file:
                    names, notes = file.keys(), file.metadata() or {}
            except SafetensorError:
                return False
            if NAME not in names:
                return False
            if LAST in notes:
                return True
            number += 1
        return False

    def __iter__(self) -> Iterator[Tensor]:
        """The tensors of each file: (B, *)."""
        number, last = 0, False
        while not last:
            with safe_open(self.path(number), framework="pt") as file:
                last = LAST in (file.metadata() or {})
            yield load_file(self.path(number))[NAME]
            number += 1

    def add(self, tensor: Tensor) -> None:
        """Write (B, *), or keep it until a file is full. Raises Unsupported for examples of another shape."""
        if self._waiting and tensor.shape[1:] != self._waiting[0].shape[1:]:
            raise Unsupported(
                "the layers' tensors have another length in each batch; choose a layer with one vector an example, "
                "or pad all examples to one length."
            )
        if self._waiting and sum(t.numel() for t in self._waiting) + tensor.numel() > ENTRIES:
            self._write({})
        self._waiting.append(tensor.cpu())

    def finish(self) -> None:
        """Write what was kept as the last file. Raises InvalidInput if there is no example."""
        if not self._waiting:
            raise InvalidInput("there is no example to compare with: the data set is empty.")
        self._write({LAST: "true"})

    def discard(self) -> None:
        """Remove what was written since this object was made."""
        for number in range(self._written):
            self.path(number).unlink(missing_ok=True)
        self._written = 0

    def _write(self, notes: dict[str, str]) -> None:
        self.stem.parent.mkdir(parents=True, exist_ok=True)
        tensor = torch.cat(self._waiting).contiguous()
        write_file(self.path(self._written), save({NAME: tensor}, notes))
        self._written += 1
        self._waiting.clear()
