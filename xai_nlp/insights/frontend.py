"""The widget's module and style: those of the page and of the web form, and a form of its own."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from xai_nlp.viz.page.html import script
from xai_nlp.viz.page.notebook import notebook_style


@lru_cache(maxsize=1)
def module() -> str:
    """The ES module: the page's, and `export default {render}` as anywidget calls it."""
    return script() + read_asset("fields.js", "xai_nlp.web") + read_asset("insights.js")


@lru_cache(maxsize=1)
def style_sheet() -> str:
    """The style sheet."""
    return notebook_style() + read_asset("insights.css")


def read_asset(name: str, package: str = "xai_nlp.insights") -> str:
    """An asset of a package, as text."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")
