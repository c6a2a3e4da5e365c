"""The widget's module and style: the page's own, and a form."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from xai_nlp.viz.page.html import script, style


@lru_cache(maxsize=1)
def module() -> str:
    """The ES module: the page's, and `export default {render}` as anywidget calls it."""
    return script() + asset("insights.js")


@lru_cache(maxsize=1)
def sheet() -> str:
    """The style sheet."""
    return style() + asset("insights.css")


def asset(name: str) -> str:
    """A file of the widget's own."""
    return (files("xai_nlp.insights") / "assets" / name).read_text(encoding="utf-8")
