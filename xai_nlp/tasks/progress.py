"""Progress of long calls: a bar in terminals and notebooks, lines in logs; in passes of the model."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from xai_nlp.core.batching import Progress
from xai_nlp.errors import InvalidInput

DELAY = 2.0  # seconds before anything is shown
LOG_INTERVAL = 10.0  # seconds between two lines where stderr is no terminal


class PassCounter:
    """Counts passes of the model, and estimates how many there will be.

    A method may need more passes than it seems at first (`steps="auto"`): the estimate follows what the windows so far
    have needed.

    bar: shows the passes, by a `total` and `update(n)`; None until there is one. callback: gets (windows done, in all).
    """

    def __init__(self, windows: int, *, bar: Any = None, callback: Progress | None = None, shows: bool = False) -> None:
        self.windows, self.bar, self.callback, self.shows = windows, bar, callback, shows
        self.started = time.monotonic()
        self.begun, self.passes, self.in_sweep = 0, 0, 0

    def begin(self, windows: int) -> None:
        """A batch of so many windows begins."""
        self.begun, self.in_sweep = self.begun + windows, 0

    def on_rows(self, done: int, total: int) -> None:
        """Called by `Batching` after each pass, with the rows done and in all of one sweep."""
        self.passes, self.in_sweep = self.passes + 1, self.in_sweep + 1
        left = self.in_sweep * (total - done) / done
        if done == total:
            self.in_sweep = 0
        new = 1
        if self.bar is None and self.shows and time.monotonic() - self.started >= DELAY:
            self.bar, new = _new_bar(), self.passes
        if self.bar is not None:
            self.bar.total = max(self.passes, round((self.passes + left) * self.windows / max(1, self.begun)))
            self.bar.update(new)

    def end(self) -> None:
        """The batch that has begun is done."""
        if self.callback:
            self.callback(self.begun, self.windows)


@contextmanager
def pass_counter(progress: Progress | bool | None, windows: int) -> Iterator[PassCounter]:
    """Shows progress while open, if work takes longer than DELAY.

    progress: True for a bar, False or None for nothing; a function that is called with (windows done, in all); or a bar
        of one's own: anything with a `total` of passes and `update(n)`, as tqdm's.
    windows: how many there are, times the methods.
    """
    if hasattr(progress, "update"):
        yield PassCounter(windows, bar=progress)
        return
    if not (progress in (True, False, None) or callable(progress)):
        raise InvalidInput(f"progress is True, False, a function, or a bar that has `update`; got {progress!r}.")
    counter = PassCounter(windows, callback=progress if callable(progress) else None, shows=progress is True)
    try:
        yield counter
    finally:
        if counter.bar is not None:
            counter.bar.close()


def _new_bar() -> Any:
    """A bar for terminals and notebooks; a line at a time where stderr is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a notebook without ipywidgets gets a bar of text
        from tqdm.auto import tqdm
    options: dict[str, Any] = {"unit": "pass", "desc": "explaining"}
    if sys.stderr.isatty() or "ipykernel" in sys.modules:
        return tqdm(**options, leave=False)
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
