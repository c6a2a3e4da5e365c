"""The errors of this package; each is also the built-in error that it resembles.

A message says what was wrong, what was given, what is allowed and what to do next.
"""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_CHOICES = 12  # names that a message lists


class XaiError(Exception):
    """The base of every error that this package raises."""


class InvalidInput(XaiError, ValueError):
    """A value of the wrong shape, range or type, or an empty text."""


class NotFinite(InvalidInput):
    """NaN or infinity where the model's numbers should be."""

    def __init__(self) -> None:
        super().__init__(
            "the scores are not finite: the model gave NaN or infinity on this input. "
            "Load it in float32, or check the input and the weights."
        )


class UnknownName(XaiError, LookupError):
    """A name that does not exist: of a method, a layer, a label, an architecture.

    >>> print(UnknownName("method", "salency", ["saliency", "occlusion"], "List them with `xai-nlp methods`."))
    unknown method 'salency'. Did you mean 'saliency'? Known: occlusion, saliency. List them with `xai-nlp methods`.
    """

    def __init__(self, kind: str, got: object, known: Iterable[object], remedy: str = "") -> None:
        names = sorted(str(name) for name in known)
        near = get_close_matches(str(got), names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        more = f", … ({len(names)} in all)" if len(names) > MAX_CHOICES else ""
        listed = ", ".join(names[:MAX_CHOICES]) + more if names else "none"
        super().__init__(f"unknown {kind} {got!r}.{hint} Known: {listed}.{' ' + remedy if remedy else ''}")


class Unsupported(XaiError, NotImplementedError):
    """A request that the model or the method cannot fulfil; the message says why, and what would work."""


class NoOffsets(Unsupported):
    """A tokenizer that does not say where its tokens stand in the text."""


class NotEnoughMemory(XaiError, MemoryError):
    """One row of the model does not fit into memory."""


class UnreadableFile(XaiError, ValueError):
    """A file that this version cannot read."""
