"""Every family of trials, registered by its import."""

from tests.hostile import fields, signals, writes  # noqa: F401
from tests.hostile.trial import FAMILIES

__all__ = ["FAMILIES"]
