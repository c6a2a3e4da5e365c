"""Memory is bounded here and nowhere else: work is cut into rows, and into fewer when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import TypeVar

import torch

from xai_nlp.errors import InvalidInput, NotEnoughMemory

Result = TypeVar("Result")
Progress = Callable[[int, int], None]  # rows done, rows in all

# Entries of the input that go through a model at once. Measured with one thread on encoders 64 to 768 wide with texts
# of 16 to 128 tokens, and on convolutional nets of small and of large images. What layers hand on should stay in the
# cache, which is worth up to a factor of two; but fewer than sixteen rows waste up to a third, if they are not
# large themselves. A GPU wants more to be full.
ENTRIES = {"cpu": 2**17, "cuda": 2**25}
AT_LEAST, OF = 16, 2**19


def default_rows(entries: int, kind: str) -> int:
    """How many rows of so many entries go through a model at once, on a kind of device.

    >>> default_rows(3 * 32 * 32, "cpu"), default_rows(128 * 768, "cpu"), default_rows(128 * 768, "cuda")
    (42, 5, 341)
    """
    most = ENTRIES.get(kind, ENTRIES["cuda"])
    return max(1, most // max(1, entries), min(AT_LEAST, OF // max(1, entries)))


def out_of_memory(error: BaseException) -> bool:
    """Does this error say that memory ran out? Each device says it in its own way."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    told = str(error).lower()
    return isinstance(error, RuntimeError) and ("not enough memory" in told or "out of memory" in told)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """At most how many model rows at a time. The answer does not depend on it; memory and speed do.

    limit: rows per forward pass; None chooses by the size of a row and the device.
    progress: called with (rows done, rows in all) after each pass.
    """

    limit: int | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InvalidInput(f"rows must be at least 1; got {self.limit}. Use None to let the engine choose.")

    def chunks(
        self, count: int, entries: int, device: torch.device, work: Callable[[slice], Result]
    ) -> Iterator[tuple[slice, Result]]:
        """Yield `(part, work(part))` until 0..count is covered; `entries` is the size of one row.

        Out of memory halves the rows and goes on from the same place. Raises NotEnoughMemory if one row does not fit.
        """
        rows = self.limit or default_rows(entries, device.type)
        if self.limit is None and count:
            rows = ceil(count / ceil(count / rows))  # as many passes, of one size
        start = 0
        while start < count:
            part = slice(start, min(start + rows, count))
            result: Result | None = None
            try:
                result = work(part)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
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


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on stderr, gone when the work is done."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
