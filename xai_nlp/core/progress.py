"""A bar of progress: in terminals and notebooks, and a line at a time in logs."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DELAY = 2.0  # seconds before anything is shown
LOG_INTERVAL = 10.0  # seconds between two lines where stderr is no terminal


class Bar:
    """A bar that appears if work takes longer than DELAY: a `total` and `update(n)`, as tqdm's.

    title: what is done. unit: what is counted. requested: it appears at once, and its last state stays.
    """

    def __init__(self, title: str, unit: str = "pass", *, requested: bool = False) -> None:
        self.title, self.unit, self.requested = title, unit, requested
        self.total: int | None = None
        self.done = 0
        self._started = time.monotonic()
        self._shown: Any = None

    def update(self, n: int = 1) -> None:
        """Count `n` more."""
        self.done += n
        if self._shown is not None:
            self._shown.total = self.total
            self._shown.update(n)
        elif self.requested or time.monotonic() - self._started >= DELAY:
            state = {"total": self.total, "initial": self.done}
            self._shown = _tqdm(desc=self.title, unit=self.unit, **state, leave=self.requested)

    def clear(self) -> None:
        """Take the bar away until the next update, so that something can be printed."""
        if self._shown is not None:
            self._shown.clear()

    def close(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown.close()


@contextmanager
def progress_bar(title: str, unit: str = "row", *, requested: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Shows a `Bar` while open; yields a function that is called with how many are done, and how many there are.

    A requested bar appears at its end even if there was nothing to count.
    """
    bar = Bar(title, unit, requested=requested)

    def show(done: int, total: int) -> None:
        bar.total = total
        bar.update(done - bar.done)

    try:
        yield show
        if requested and not bar.done:
            show(1, 1)
    finally:
        bar.close()


def _tqdm(*, leave: bool, **options: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(**options, leave=leave)
    return tqdm(**options, mininterval=LOG_INTERVAL, file=_Lines(sys.stderr))


class _Lines:
    """A text stream in which each state of the bar is a line, for logs."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        if text.strip("\r\n "):
            self.stream.write(text.strip("\r\n ") + "\n")

    def flush(self) -> None:
        self.stream.flush()
