"""A diagnosis as HTML for a notebook's cell."""

from __future__ import annotations

from xai_nlp.core.diagnosis import Diagnosis
from xai_nlp.viz.page.html import asset, render, style
from xai_nlp.viz.page.view_model import view
from xai_nlp.viz.text import diagnosis_lines


def diagnosis_html(diagnosis: Diagnosis) -> str:
    """The verdict, what is wrong and how to mend it, what is fine, and a fold with the methods; no script."""
    look = style() + asset("notebook.css") + asset("diagnosis.css")
    return render("diagnosis.html", view(()), style=look, diagnosis=diagnosis, lines=diagnosis_lines)
