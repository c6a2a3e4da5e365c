"""The browser of the page tests."""

from tests.viz.conftest import browser

__all__ = ["browser"]
