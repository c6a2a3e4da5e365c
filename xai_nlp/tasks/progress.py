"""Progress of long calls: a bar in terminals and notebooks, lines in logs; in passes of the model."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from xai_nlp.core.batching import Progress

DELAY = 2.0  # seconds before anything is shown
LOG_INTERVAL = 10.0  # seconds between two lines where stderr is no terminal


class PassCounter:
    """Counts passes of the model, and estimates how many there will be.

    A method may need more passes than it seems at first (`steps="auto"`): the estimate follows what the windows so far
    have needed.
    """

    def __init__(self, bar: Any, windows: int, callback: Progress | None = None) -> None:
        self.bar, self.windows, self.callback = bar, windows, callback
        self.done, self.begun, self.passes, self.in_call = 0, 0, 0, 0

    def begin(self, windows: int) -> None:
        """A batch of so many windows begins."""
        self.begun, self.in_call = self.begun + windows, 0

    def on_rows(self, done: int, total: int) -> None:
        """Called by `Batching` after each pass, with the rows done and in all of one sweep."""
        self.passes, self.in_call = self.passes + 1, self.in_call + 1
        left = self.in_call * (total - done) / done
        if done == total:
            self.in_call = 0
        self._show(max(self.passes, round((self.passes + left) * self.windows / max(1, self.begun))))

    def end(self) -> None:
        """The batch that has begun is done."""
        self.done = self.begun
        if self.callback:
            self.callback(self.done, self.windows)

    def _show(self, expected: int) -> None:
        if self.bar is not None:
            self.bar.total = expected
            self.bar.update(1)


@contextmanager
def pass_counter(progress: Progress | bool | None, windows: int) -> Iterator[PassCounter]:
    """Shows progress while open, if work takes longer than DELAY.

    progress: True for a bar, False or None for nothing, or a function that is called with (windows done, in all).
    windows: how many there are, times the methods.
    """
    if progress is not True:
        yield PassCounter(None, windows, progress or None)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm
    interactive = sys.stderr.isatty() or "ipykernel" in sys.modules
    options: Mapping[str, Any] = {} if interactive else {"mininterval": LOG_INTERVAL, "file": _Lines(sys.stderr)}
    with tqdm(delay=DELAY, unit="pass", desc="explaining", leave=not interactive, **options) as bar:
        yield PassCounter(bar, windows)


class _Lines:
    """A text stream in which each state of the bar is a line, for logs."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        if text.strip("\r\n "):
            self.stream.write(text.strip("\r\n ") + "\n")

    def flush(self) -> None:
        self.stream.flush()
