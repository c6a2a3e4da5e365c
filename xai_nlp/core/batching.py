"""Batching bounds memory: work is cut into chunks of rows, and into smaller ones when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import torch

from xai_nlp.errors import InvalidInput, NotEnoughMemory
from xai_nlp.hooks.interrupts import check_interrupt

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # rows done, rows in all

# Entries of the input that go through a model at once. Measured with one and with two threads on encoders 32 to 768
# wide with texts of 12 to 128 tokens, and on convolutional nets of small and of large images. Activations should stay
# in the cache, which is worth up to a factor of two; but fewer than 32 rows waste up to a third, unless rows are large.
# A GPU needs more entries to be busy.
ENTRIES = {"cpu": 2**18, "cuda": 2**25}
MIN_ROWS = 32  # where so many rows have at most MIN_ROWS_ENTRIES entries
MIN_ROWS_ENTRIES = 2**19


def default_rows(entries: int, device_type: str) -> int:
    """The number of rows, of so many entries each, that go through a model at once on this type of device.

    >>> default_rows(3 * 32 * 32, "cpu"), default_rows(128 * 768, "cpu"), default_rows(128 * 768, "cuda")
    (85, 5, 341)
    """
    budget, entries = ENTRIES.get(device_type, ENTRIES["cuda"]), max(1, entries)
    return max(1, budget // entries, min(MIN_ROWS, MIN_ROWS_ENTRIES // entries))


def is_out_of_memory(error: BaseException) -> bool:
    """Does this error say that memory ran out? Each device has its own message."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and ("not enough memory" in message or "out of memory" in message)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How many rows go through the model at once. Memory and speed depend on it, results do not.

    limit: rows in one forward pass; None chooses by the size of a row and the device.
    progress: called with (rows done, rows in all) after each pass.
    Raises InvalidInput if limit is below 1.
    """

    limit: int | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"batch_size must be at least 1; got {self.limit}. Use None to let the engine choose.")

    def chunks(
        self, count: int, entries: int, device: torch.device, work: Callable[[slice], Result]
    ) -> Iterator[tuple[slice, Result]]:
        """Yields `(part, work(part))` for slices that cover 0..count; `entries` is the size of one row.

        When memory runs out, the number of rows is halved and the same place is tried again. Raises NotEnoughMemory if
        one row does not fit.

        >>> batching, cpu = Batching(limit=4), torch.device("cpu")
        >>> [rows for _, rows in batching.chunks(10, 1, cpu, lambda part: part.stop - part.start)]
        [4, 4, 2]
        """
        rows = self.limit or default_rows(entries, device.type)
        if self.limit is None and count:
            rows = ceil(count / ceil(count / rows))  # as many passes, of one size
        start = 0
        while start < count:
            part = slice(start, min(start + rows, count))
            result: Result | None = None
            check_interrupt()
            try:
                result = work(part)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if rows == 1:
                    raise NotEnoughMemory(
                        f"one row of {entries:,} entries does not fit in the memory of {device}. "
                        "Shorten the text, load the model in bfloat16, or use a smaller model."
                    ) from error
                rows = max(1, min(rows, part.stop - part.start) // 2)
            if result is None:  # outside the `except`, so that the failed pass's tensors are freed
                if device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            yield part, result
            start = part.stop
            if self.progress:
                self.progress(start, count)
