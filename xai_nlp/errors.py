"""What can go wrong, each error also the built-in it resembles.

A message says what was wrong, what was given, what is allowed and what to do next.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_CHOICES = 12


class XaiError(Exception):
    """Anything this package raises on purpose."""


class InvalidInput(XaiError, ValueError):
    """A value that cannot be worked with: a shape, a range, an empty text."""


class UnknownName(XaiError, LookupError):
    """A name that is in none of our tables: a method, a layer, a label, an architecture."""

    def __init__(self, kind: str, got: object, known: Iterable[object], remedy: str = "") -> None:
        names = sorted(str(name) for name in known)
        near = get_close_matches(str(got), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        more = f", … ({len(names)} in all)" if len(names) > MAX_CHOICES else ""
        listed = ", ".join(names[:MAX_CHOICES]) + more if names else "none"
        super().__init__(f"unknown {kind} {got!r}.{hint} Known: {listed}.{' ' + remedy if remedy else ''}")


class Unsupported(XaiError, NotImplementedError):
    """Asked of a model or method that cannot give it; the message says why and what would work."""


class NotEnoughMemory(XaiError, MemoryError):
    """Not even one row of the model fits."""


class UnreadableFile(XaiError, ValueError):
    """A saved result that this version cannot read."""
