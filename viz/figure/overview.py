"""The tables of an overview as figures: means with their intervals, and maps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_nlp.core.overview import OverviewTable
from xai_nlp.viz.figure.canvas import (
    WIDTH,
    colour_map,
    drawable,
    figure_of,
    fraction,
    save_figure,
    text_options,
)
from xai_nlp.viz.text.scale import LIGHT
from xai_nlp.viz.text.wording import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = 15  # of a panel
PANELS = 6
LETTERS = 32
LINE = 0.24  # inches


def save_table(table: OverviewTable, path: str | os.PathLike[str]) -> None:
    """Draw a table into a PNG or SVG file, by the suffix of `path`; the same table gives the same bytes."""
    save_figure(lambda: table_figure(table), path)


def table_figure(table: OverviewTable) -> Figure:
    """A table as a figure: a panel for each of its first cards, or a map."""
    from matplotlib.ticker import PercentFormatter

    if table.layout == "heat":
        return _map(table)
    cards = list(table.cards().items())[:PANELS]
    heights = [max(2, min(LINES, len(lines))) for _, lines in cards]
    figure = figure_of(0.9 + sum(LINE * count + 0.75 for count in heights))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(len(cards), 1, squeeze=False, sharex=True, gridspec_kw={"height_ratios": heights})
    for ax, (heading, lines) in zip(panels[:, 0], cards, strict=True):
        _panel(ax, table, heading, lines[:LINES])
    measured = table.columns[table.measure]
    if measured.kind != "score":
        panels[0, 0].set_xlim(left=0)  # of all panels; a limit that is set stays as it is
    if measured.kind == "share":
        panels[0, 0].xaxis.set_major_formatter(PercentFormatter(1, symbol="\u00a0%"))
    name = measured.name + (f", {table.unit}" if table.unit else "")
    panels[-1, 0].set_xlabel(drawable(name), **text_options(fontsize=9))
    figure.suptitle(drawable(table.title), **text_options(x=0.02, ha="left", fontsize=12))
    return figure


def _panel(ax: Axes, table: OverviewTable, heading: str, lines: Any) -> None:
    """Means as dots, with their intervals as lines."""
    measure = table.measure
    names = table.names
    interval = table.interval_of(measure)
    for place, line in enumerate(lines):
        value = line[measure]
        if value is None:
            continue
        colour = fraction(LIGHT.line(value) if table.columns[measure].kind == "score" else LIGHT.accent)
        if interval is not None and line[interval]:
            ax.plot(line[interval], [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        ax.plot([value], [place], "o", color=colour, markersize=5)
    labels = [shortened(drawable(" · ".join(str(line[i]) for i in names)), LETTERS) for line in lines]
    ax.set_yticks(range(len(lines)), labels, **text_options(fontsize=9))
    ax.set_ylim(max(1, len(lines)) - 0.4, -0.6)
    if table.columns[measure].kind == "score":
        ax.axvline(0, color=fraction(LIGHT.soft), linewidth=0.8)
    ax.set_title(shortened(drawable(heading), 2 * LETTERS), **text_options(loc="left", fontsize=10))
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)


def _map(table: OverviewTable) -> Figure:
    """A number by two names, in the page's colours."""
    names, heads = (list(dict.fromkeys(line[i] for line in table.lines)) for i in (0, 1))
    names = names[::-1]  # as layers are drawn
    values = np.full((len(names), len(heads)), np.nan)
    for line in table.lines:
        values[names.index(line[0]), heads.index(line[1])] = line[2]
    figure = figure_of(1.6 + 0.3 * max(4, len(names)), max(WIDTH / 2, 2.6 + 0.34 * len(heads)))
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    image = ax.imshow(values, cmap=colour_map("positive"), vmin=0, aspect="auto", interpolation="nearest")
    bar = figure.colorbar(image, ax=ax, shrink=0.8)
    bar.set_label(drawable(table.columns[2].name + (f", {table.unit}" if table.unit else "")), **text_options())
    for axis, known, rotation in ((ax.xaxis, heads, 90), (ax.yaxis, names, 0)):
        labels = [shortened(drawable(str(one)), LETTERS) for one in known]
        axis.set_ticks(range(len(known)), labels, **text_options(rotation=rotation, fontsize=8))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(drawable(table.title), **text_options(loc="left"))
    return figure
