"""How much flows through each layer, and how much each attention head carries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xai_nlp.core.grouped_means import GroupedMeans, GroupedMoments
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import head_numbers
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.phrase_means import as_interval
from xai_nlp.runs.overview.section import OverviewContext, Section

SIZE = (
    OverviewColumn("size", "number"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("rows", "rows"),
)


NOTE = (
    "Of a layer: Σ |score| of the tokens at its output. Of a head: the size of what it brought (Michel, Levy and "
    "Neubig 2019, eq. 2, where the method is attention × gradient); of attention weights, how peaked they are. "
    "Means over the texts, with Student’s 95 % interval. The row is that of the largest value."
)


class LayersAndHeads(Section):
    """Σ |score| of the tokens at each layer's output, and the size of what each head brought, over the explanations."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.layers, self.heads, self.unit = GroupedMoments(), GroupedMoments(), ""
        self.stacks: dict[tuple[str, str, tuple[str, ...]], int] = {}  # name, method, layer names -> number

    def add(self, chunk: Chunk) -> None:
        self.unit = self.unit or chunk.unit
        rows = chunk.row
        for i in sorted({*chunk.holds("layers").tolist(), *chunk.holds("attention").tolist()}):
            item = chunk.explanation(i)
            if item.layers is not None:
                flow = np.abs(item.layers.numpy()).sum(1, dtype=float)
                self.layers.add(np.arange(len(flow))[:, None], flow, np.full(len(flow), rows[i]))
            for name, stack in item.attention.items():
                number = self.stacks.setdefault((name, stack.method, stack.layers), len(self.stacks))
                sizes = np.abs(head_numbers(stack))
                keys = np.column_stack([np.full(sizes.size, number), *map(np.ravel, np.indices(sizes.shape))])
                self.heads.add(keys, sizes.ravel(), np.full(sizes.size, rows[i]))

    def result(self) -> OverviewSection | None:
        layers, heads = self.layers.result(), self.heads.result()
        tables, said = [], []
        if len(layers):
            tables.append(_table("layers", "Layers", layers, ("layer",), [(f"layer {k}",) for k in layers.keys[:, 0]]))
            said.append(f"Most flows through layer {int(layers.keys[layers.mean.argmax(), 0])}.")
        for (name, method, names), number in self.stacks.items():
            own = heads[heads.keys[:, 0] == number]
            lines = [(names[layer], f"head {head}") for _, layer, head in own.keys.tolist()]
            stem = "heads" if len(self.stacks) == 1 else f"heads_{name}"
            title = f"Heads: {method.replace('_', ' ')}" + ("" if name == "self" else f", {name}")
            tables.append(_table(stem, title, own, ("layer", "head"), lines))
            layer, head = lines[int(own.mean.argmax())]
            said.append(f"Of the heads, {head} of {layer} carries most.")
        if not tables:
            return None
        return OverviewSection(
            name="layers",
            title="Layers and heads",
            sentence=" ".join(said),
            note=NOTE,
            tables=tuple(tables),
        )


def _table(
    name: str, title: str, found: GroupedMeans, heads: tuple[str, ...], names: Sequence[tuple[str, ...]]
) -> OverviewTable:
    intervals = found.intervals()
    lines: list[tuple[Any, ...]] = [
        (*own, float(found.mean[i]), as_interval(intervals[i]), int(found.count[i]), found.examples(i)[:1])
        for i, own in enumerate(names)
    ]
    return OverviewTable(
        name=name,
        title=title,
        columns=(*map(OverviewColumn, heads), *SIZE),
        lines=tuple(lines),
        layout="heat" if len(heads) == 2 else "bars",
    )
