"""Every family of trials, registered by its import."""

from tests.hostile import folders, forwards, images, options, signals, texts, threads  # noqa: F401
from tests.hostile.trial import FAMILIES

__all__ = ["FAMILIES"]
