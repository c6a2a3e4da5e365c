"""Progress of long calls, in passes of the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from xai_nlp.core.batching import Progress
from xai_nlp.core.progress import Bar
from xai_nlp.errors import InvalidInput


class PassCounter:
    """Counts passes of the model, and estimates how many there will be.

    A method may need more passes than it seems at first (`steps="auto"`): the estimate follows what the windows so far
    have needed.

    bar: shows the passes, by a `total` and `update(n)`; None for none. callback: gets (windows done, in all).
    """

    def __init__(self, windows: int, *, bar: Any = None, callback: Progress | None = None) -> None:
        self.windows, self.bar, self.callback = windows, bar, callback
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
        if self.bar is not None:
            self.bar.total = max(self.passes, round((self.passes + left) * self.windows / max(1, self.begun)))
            self.bar.update(1)

    def end(self) -> None:
        """The batch that has begun is done."""
        if self.callback:
            self.callback(self.begun, self.windows)


@contextmanager
def pass_counter(progress: Progress | bool | None, windows: int) -> Iterator[PassCounter]:
    """Shows progress while open, if work takes longer than `core.progress.DELAY`.

    progress: True for a bar, False or None for nothing; a function that is called with (windows done, in all); or a bar
        of one's own: anything with a `total` of passes and `update(n)`, as tqdm's.
    windows: how many there are, times the methods.
    """
    if progress is True:
        with closing(Bar("explaining")) as bar:
            yield PassCounter(windows, bar=bar)
    elif hasattr(progress, "update") and hasattr(progress, "total"):
        yield PassCounter(windows, bar=progress)
    elif progress in (False, None) or callable(progress):
        yield PassCounter(windows, callback=progress or None)
    else:
        raise InvalidInput(f"progress is True, False, a function, or a bar that has `update`; got {progress!r}.")
