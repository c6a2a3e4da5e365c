"""Every family of trials, registered by its import."""

from tests.hostile import (  # noqa: F401
    fields,
    folders,
    forwards,
    images,
    imports,
    locks,
    options,
    requests,
    signals,
    texts,
    threads,
    writes,
)
from tests.hostile.trial import FAMILIES

__all__ = ["FAMILIES"]
