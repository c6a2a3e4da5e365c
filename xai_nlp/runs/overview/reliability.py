"""How far the explanations can be trusted: what they leave unexplained, and the verdicts of checks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.core.statistics import Verdict, completeness_verdict, proportion
from xai_nlp.core.trust import LEVELS
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.section import OverviewContext, Section
from xai_nlp.viz.text.number_format import percent

BOUNDS: dict[Verdict, str] = {"good": "up to 1 %", "fair": "1 to 5 %", "poor": "over 5 %"}
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
OVERALL = "all checks together"
SHARE = (
    OverviewColumn("share", "share"),
    OverviewColumn("interval", "interval"),
    OverviewColumn("texts", "count"),
    OverviewColumn("rows", "rows"),
)


NOTE = (
    "The residual is f(x) − f(x₀) − Σ scores, as a share of f(x) − f(x₀), or of the larger of the two where they "
    "agree to a thousandth. Levels are those of the checks that were asked for. Shares have Wilson’s 95 % interval."
)


class Reliability(Section):
    """Counts of residuals by size, their quantiles, and counts of trust levels by check."""

    def __init__(self, context: OverviewContext) -> None:
        super().__init__(context)
        self.residuals: list[np.ndarray] = []
        self.verdicts: Counter[Verdict] = Counter()
        self.levels: Counter[tuple[str, str]] = Counter()
        self.examples: dict[tuple[str, str], int] = {}

    def add(self, chunk: Chunk) -> None:
        known = np.isfinite(chunk.residual_share)
        shares, rows = chunk.residual_share[known], chunk.row[known]
        self.residuals.append(shares.astype(np.float32))
        for share, row in zip(shares.tolist(), rows.tolist(), strict=True):
            verdict = completeness_verdict(share)
            self.verdicts[verdict] += 1
            self.examples.setdefault(("residual", verdict), row)
        for row, trust in zip(chunk.row.tolist(), chunk.trust, strict=True):
            if trust is not None:
                for name, level in [(OVERALL, trust.level), *((check.name, check.level) for check in trust.checks)]:
                    self.levels[name, level] += 1
                    self.examples.setdefault((name, level), row)

    def result(self) -> OverviewSection | None:
        tables, said, facts = [], [], []
        if total := self.verdicts.total():
            lines = [self._line(("residual", one), bound, self.verdicts[one], total) for one, bound in BOUNDS.items()]
            columns: tuple[OverviewColumn, ...] = (OverviewColumn("left unexplained"), *SHARE)
            tables.append(OverviewTable(name="residuals", title="Residuals", columns=columns, lines=tuple(lines)))
            tables.append(self._quantiles())
            good = percent(self.verdicts["good"] / total)
            said.append(f"{good} of the explanations leave at most 1 % of the output unexplained.")
            facts.append((good, "leave at most 1 % unexplained"))
        if self.levels:
            totals: Counter[str] = Counter()
            for (name, _), count in self.levels.items():
                totals[name] += count
            lines = [
                (name, *self._line((name, level), level, self.levels[name, level], totals[name]))
                for name in totals
                for level in LEVELS
            ]
            columns = (OverviewColumn("check"), OverviewColumn("level"), *SHARE)
            tables.append(
                OverviewTable(name="trust", title="Levels of trust", columns=columns, lines=tuple(lines), by="check")
            )
            holds = percent(self.levels[OVERALL, LEVELS[0]] / totals[OVERALL])
            said.append(f"{holds} of the {totals[OVERALL]:,} that were checked hold.")
            facts.append((holds, f"hold, of {totals[OVERALL]:,} that were checked"))
        if not tables:
            return None
        return OverviewSection(
            name="reliability",
            title="How far to trust it",
            sentence=" ".join(said),
            note=NOTE,
            tables=tuple(tables),
            facts=tuple(facts),
        )

    def _line(self, key: tuple[str, str], name: str, hits: int, count: int) -> tuple[Any, ...]:
        share, row = proportion(hits, count), self.examples.get(key)
        return name, share.mean, share.interval, hits, () if row is None else (row,)

    def _quantiles(self) -> OverviewTable:
        values = np.quantile(np.concatenate(self.residuals).astype(float), QUANTILES).tolist()
        names = ["smallest", "first quarter", "median", "third quarter", "95 of 100", "largest"]
        return OverviewTable(
            name="residual_quantiles",
            title="Quantiles of the residual",
            columns=(OverviewColumn("quantile"), OverviewColumn("residual", "share")),
            lines=tuple(zip(names, values, strict=True)),
            layout="table",
        )
