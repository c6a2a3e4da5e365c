"""A report of many explanations in one HTML file: cover, summary, then each example in a light form."""

from __future__ import annotations

from collections.abc import Sequence

from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.page.html import render, sealed
from xai_nlp.viz.page.report_summary import report_summary
from xai_nlp.viz.page.view_model import View, view
from xai_nlp.viz.text.wording import plain, shortened

#: Entries of `params` that are results of a run, not settings.
RESULTS = ("names", "steps_used", "windows", "answer_score", "no_answer_score", "answer_text")


def report(explanations: Sequence[Explanation], *, title: str = "", data: str = "", date: str = "") -> str:
    """The report as one HTML file under a strict content policy; the same input gives the same bytes.

    data: the data set in a few words, for the cover.
    Raises InvalidInput for no explanations, or explanations of several tasks.
    """
    tasks = sorted({plain(item.task) for item in explanations})
    if len(tasks) != 1:
        raise InvalidInput(
            f"a report is about explanations of one task; got {' and '.join(tasks) or 'none'}. Write one for each."
        )
    page = view(explanations)
    return render(
        "report.html",
        page,
        title=title or f"{tasks[0].capitalize()}: {len(page.examples)} explained",
        cover=_cover(page, data, date),
        summary=report_summary(page.items, len(page.examples)),
        level=1,
        **sealed("report.css"),
    )


def _cover(page: View, data: str, date: str) -> list[tuple[str, list[str]]]:
    """Names and values on the cover; only those that are known."""
    items, examples = page.items, f"{len(page.examples):,}"
    more = f" · {len(items):,} explanations" if len(items) > len(page.examples) else ""
    versions = dict.fromkeys(f"{name} {number}" for item in items for name, number in item.versions.items())
    rows = {
        "model": dict.fromkeys(item.model for item in items if item.model),
        "data": [data] if data else [],
        "date": [date] if date else [],
        "examples": [examples + more],
        "method": dict.fromkeys(map(_method_settings, items)),
        "versions": [" · ".join(versions)] if versions else [],
        "seed": [", ".join(map(str, sorted({item.seed for item in items})))],
    }
    return [(name, list(values)) for name, values in rows.items() if values]


def _method_settings(item: Explanation) -> str:
    """A method with its baseline and options."""
    options = [
        f"{plain(name)} {value}"
        for name, value in item.params.items()
        if name not in RESULTS and isinstance(value, (str, int, float)) and not isinstance(value, bool)
    ]
    baseline = [] if item.baseline == "none" else [f"baseline {shortened(item.baseline, 40)}"]
    return " · ".join([plain(item.method), *baseline, *options])
