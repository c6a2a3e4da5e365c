"""Ctrl-C while a model is lent: it takes effect between two passes, when everything can be handed back."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_pending = False  # a SIGINT came while it was held back


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """While open, SIGINT is noted, and raises KeyboardInterrupt at the next `check_interrupt`, or at the end.

    A second SIGINT raises at once. Only in the main thread, the only one that signals interrupt, and only in place of
    Python's own handler: a handler of the program's own stays.
    """
    global _pending
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _pending = False
    signal.signal(signal.SIGINT, _note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        check_interrupt()


@contextmanager
def interrupts_noted() -> Iterator[Callable[[], bool]]:
    """While open, SIGINT ends nothing; yields a function that says whether one came, for work that ends by itself.

    A second SIGINT raises KeyboardInterrupt at once. Only where `interrupts_held_back` holds one back.
    """
    noted: list[int] = []

    def note(number: int, frame: Any) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if a SIGINT was held back. Called between passes."""
    global _pending
    if _pending and threading.current_thread() is threading.main_thread():
        _pending = False
        raise KeyboardInterrupt


def _note(number: int, frame: Any) -> None:
    global _pending
    if _pending:
        raise KeyboardInterrupt
    _pending = True
