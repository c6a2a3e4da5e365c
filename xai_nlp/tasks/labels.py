"""From what a user says about labels to a Target: a name, an index, a contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.result import TargetKind, TargetSpec
from xai_nlp.core.targets import UNITS
from xai_nlp.errors import InvalidInput, UnknownName

#: config.problem_type -> (what the outputs are shown as, the unit "probability" means)
KINDS = {
    "single_label_classification": ("probability", "probability"),
    "multi_label_classification": ("independent probability", "independent probability"),
    "regression": ("logit", None),
}


@dataclass(frozen=True)
class Labels:
    """The labels of a classifier, and how its outputs are read."""

    names: tuple[str, ...]
    kind: str  # a key of KINDS

    @classmethod
    def of(cls, config: Any) -> Labels:
        count = config.num_labels
        names = tuple(str(config.id2label.get(i, f"LABEL_{i}")) for i in range(count))
        kind = getattr(config, "problem_type", None) or ("regression" if count == 1 else "single_label_classification")
        return cls(names, kind)

    def shown(self, logits: Tensor) -> dict[str, float]:
        """Every label's probability, or raw output for a regression: logits (C,)."""
        numbers = UNITS[KINDS[self.kind][0]](logits.double())
        return dict(zip(self.names, numbers.tolist(), strict=True))

    def index(self, label: str | int) -> int:
        """The output of that label. Raises UnknownName."""
        if isinstance(label, int) and not isinstance(label, bool):
            if not 0 <= label < len(self.names):
                raise UnknownName("label index", label, range(len(self.names)))
            return label
        name = str(label).removeprefix("label:")
        alike = [i for i, known in enumerate(self.names) if known == name]
        alike = alike or [i for i, known in enumerate(self.names) if known.casefold() == name.casefold()]
        if len(alike) != 1:
            raise UnknownName("label", label, self.names, 'A contrast is written "A-B".')
        return alike[0]

    def weights(self, wanted: str | int | None, logits: Tensor, unit: str) -> tuple[TargetSpec, Tensor]:
        """A target and its weights over the outputs (C,); None is the label the model gives most to."""
        weights = torch.zeros(len(self.names))
        if wanted is None:
            wanted = int(logits.argmax())
        sides = self._contrast(wanted) if isinstance(wanted, str) else None
        if sides is None:
            i = self.index(wanted)
            weights[i] = 1
            kind: TargetKind = "output" if self.kind == "regression" else "label"
            return TargetSpec(kind=kind, label=self.names[i], position=i, unit=unit), weights
        plus, minus = sides
        weights[plus], weights[minus] = 1, -1
        label, contrast = self.names[plus], self.names[minus]
        return TargetSpec(kind="label", label=label, contrast=contrast, position=plus, unit=unit), weights

    def _contrast(self, wanted: str) -> tuple[int, int] | None:
        """The two labels of "A-B", whose names may hold hyphens themselves; None if it is a label, or no contrast."""
        if wanted.removeprefix("label:").casefold() in {name.casefold() for name in self.names}:
            return None
        for at in [i for i, c in enumerate(wanted) if c == "-"]:
            try:
                sides = self.index(wanted[:at].strip()), self.index(wanted[at + 1 :].strip())
            except UnknownName:
                continue
            if sides[0] == sides[1]:
                raise InvalidInput(f"the contrast {wanted!r} compares a label with itself.")
            return sides
        return None

    def link(self, unit: str) -> str:
        """The key of UNITS for a unit. Raises UnknownName, or InvalidInput for one that this model does not have."""
        units = {"logit": "logit", "probability": KINDS[self.kind][1], "log-probability": "log-probability"}
        if unit not in units:
            raise UnknownName("unit", unit, units)
        link = units[unit]
        if link is None or (unit == "log-probability" and self.kind != "single_label_classification"):
            raise InvalidInput(f"a {self.kind.replace('_', ' ')} model has no {unit}; use unit='logit'.")
        return link
