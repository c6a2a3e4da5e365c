"""Explanations in a notebook's cell: a sentence, the text and its strongest words; the rest is folded.

Style and script come once for each notebook, with the first cell that shows explanations, and again when that cell is
run again. The script keeps the style where it stays when the cell scrolls away, and wakes what later cells show.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from xai_nlp.core.result import Explanation
from xai_nlp.viz.page.html import Titled, asset, render, script, style
from xai_nlp.viz.page.view_model import view

BARS = 5  # strongest words that are shown at once
MOST = 20  # explanations that are drawn
#: Modules of hosts in which every cell is a document of its own.
SEPARATE_CELLS = ("google.colab", "dbruntime")

_sent: list[tuple[str, int]] = []  # the cell that has style and script, and its execution's number


def notebook_html(explanations: Sequence[Explanation], *, assets: bool | None = None) -> str:
    """HTML for a notebook's cell.

    assets: with style and script; None sends them once for each notebook.
    """
    drawn = view(explanations[:MOST])
    return cell("notebook.html", drawn, assets=assets, bars=BARS, left=len(explanations) - len(drawn.items))


def cell(template: str, page: Titled, *, assets: bool | None = None, **values: Any) -> str:
    """A template that extends "cell.html", filled in for a notebook's cell; assets: as in `notebook_html`."""
    if assets is None:
        assets = needs_assets(running_cell())
    looks = {"style": notebook_style(), "script": notebook_script()} if assets else {"style": "", "script": ""}
    return render(template, page, level=3, **looks, **values)


@cache
def notebook_style() -> str:
    """The style sheet, with what undoes a notebook's own."""
    return style() + asset("notebook.css")


@cache
def notebook_script() -> str:
    """The ES module; it wakes explanations that come later, too."""
    return script() + asset("notebook.js")


def running_cell() -> tuple[str, int] | None:
    """The cell that runs, and the number of its execution; None where cells do not share one document."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython and not any(name in sys.modules for name in SEPARATE_CELLS) else None
    if shell is None or getattr(shell, "kernel", None) is None:
        return None
    parent: dict[str, Any] = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = parent.get("metadata", {}).get("cellId") or shell.user_ns.get("In", [""])[-1]
    return str(cell), shell.execution_count


def needs_assets(cell: tuple[str, int] | None) -> bool:
    """Does this cell carry style and script? The first one does, each time that it runs."""
    if cell is None:
        return True
    if _sent and (cell == _sent[0] or cell[0] != _sent[0][0]):
        return False
    _sent[:] = [cell]
    return True
