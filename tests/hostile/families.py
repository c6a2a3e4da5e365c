"""Every family of trials, registered by its import."""

from tests.hostile import imports, locks, requests, signals  # noqa: F401
from tests.hostile.trial import FAMILIES

__all__ = ["FAMILIES"]
