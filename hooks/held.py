"""Changes of shared objects that nested and concurrent contexts hold together."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import Any


@dataclass
class _Holding:
    change: Any
    undo: ExitStack = field(default_factory=ExitStack)
    holders: int = 0


_holdings: dict[Hashable, _Holding] = {}
_lock = RLock()


@contextmanager
def held(key: Hashable, change: Callable[[], AbstractContextManager[Any]]) -> Iterator[Any]:
    """A change that contexts of one key share: the first to open makes it, the last to close undoes it.

    Contexts may open and close in any order and in any thread. Gives what the change's own context gives.
    """
    with _lock:
        if key not in _holdings:
            undo = ExitStack()
            _holdings[key] = _Holding(undo.enter_context(change()), undo)
        holding = _holdings[key]
        holding.holders += 1
    try:
        yield holding.change
    finally:
        with _lock:
            holding.holders -= 1
            if not holding.holders:
                del _holdings[key]
                holding.undo.close()
