"""Every family of trials, registered by its import."""

from tests.hostile import fields, folders, forwards, images, options, signals, texts, threads, writes  # noqa: F401
from tests.hostile.trial import FAMILIES

__all__ = ["FAMILIES"]
