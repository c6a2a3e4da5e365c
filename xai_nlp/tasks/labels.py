"""The labels of a classifier: a name, an index or a contrast becomes a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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


LabelChoice = str | int | None  # a label's name or index, a contrast "A-B", or None for the predicted label


def one_choice_each(choices: LabelChoice | Sequence[LabelChoice], examples: int, name: str) -> list[LabelChoice]:
    """A choice for each of so many examples, called `name`; one serves all. Raises InvalidInput for another number."""
    several: list[Any] = list(choices) if isinstance(choices, (list, tuple)) else [choices] * examples
    if len(several) != examples:
        raise InvalidInput(f"{examples} {name} need as many targets, or one for all; got {len(several)}.")
    return several


@dataclass(frozen=True)
class Labels:
    """The labels of a classifier, and how its outputs are read."""

    names: tuple[str, ...]
    kind: str  # a key of KINDS

    @classmethod
    def of(cls, config: Any) -> Labels:
        count = config.num_labels
        plain = [str(config.id2label.get(i, f"LABEL_{i}")) for i in range(count)]
        counts = Counter(plain)
        names = tuple(name if counts[name] == 1 else f"{name} [{i}]" for i, name in enumerate(plain))
        kind = getattr(config, "problem_type", None) or ("regression" if count == 1 else "single_label_classification")
        if kind not in KINDS:
            raise UnknownName("problem_type of the model's config", kind, KINDS)
        return cls(names, kind)

    def outputs(self, logits: Tensor) -> list[dict[str, float]]:
        """Every label's probability, or raw output for a regression, for logits (N, C)."""
        rows = UNITS[KINDS[self.kind][0]](logits.double()).tolist()
        return [dict(zip(self.names, row, strict=True)) for row in rows]

    def index(self, label: str | int) -> int:
        """The output of that label. Raises UnknownName."""
        if isinstance(label, int) and not isinstance(label, bool):
            if not 0 <= label < len(self.names):
                raise UnknownName("label index", label, range(len(self.names)))
            return label
        name = str(label).removeprefix("label:")
        alike = [i for i, known in enumerate(self.names) if known == name]
        alike = alike or [i for i, known in enumerate(self.names) if known.casefold() == name.casefold()]
        alike = alike or [i for i, known in enumerate(self.names) if known == f"{name} [{i}]"]
        if len(alike) != 1:
            several = f"It is ambiguous, of the outputs {' and '.join(map(str, alike))}: give an index."
            raise UnknownName("label", label, self.names, several if alike else 'A contrast is written "A-B".')
        return alike[0]

    def weights(
        self, choices: Sequence[str | int | None], logits: Tensor, unit: str
    ) -> tuple[list[TargetSpec], Tensor]:
        """The target of each example and its weights over the outputs (N, C), for logits (N, C).

        None is the label that the model gives most to. Raises UnknownName for a label that does not exist.
        """
        weights = torch.zeros(len(choices), len(self.names), device=logits.device)
        predicted = logits.argmax(1).tolist()
        specs, plus, minus = [], [], []
        for e, choice in enumerate(choices):
            sides = self._contrast(choice) if isinstance(choice, str) else None
            i, other = sides or (self.index(predicted[e] if choice is None else choice), None)
            specs.append(self.spec(i, other, unit))
            plus.append(i)
            if other is not None:
                minus.append((e, other))
        weights[range(len(plus)), plus] = 1
        for e, other in minus:
            weights[e, other] = -1
        return specs, weights

    def spec(self, index: int, contrast: int | None, unit: str) -> TargetSpec:
        """The target of a label, or of one label rather than another."""
        kind: TargetKind = "output" if self.kind == "regression" else "label"
        other = None if contrast is None else self.names[contrast]
        return TargetSpec(kind=kind, label=self.names[index], contrast=other, position=index, unit=unit)

    def _contrast(self, text: str) -> tuple[int, int] | None:
        """The two labels of "A-B", whose names may hold hyphens themselves; None if it is a label, or no contrast."""
        if text.removeprefix("label:").casefold() in {name.casefold() for name in self.names}:
            return None
        for at in [i for i, c in enumerate(text) if c == "-"]:
            try:
                sides = self.index(text[:at].strip()), self.index(text[at + 1 :].strip())
            except UnknownName:
                continue
            if sides[0] == sides[1]:
                raise InvalidInput(f"the contrast {text!r} compares a label with itself.")
            return sides
        return None

    def link(self, unit: str) -> str:
        """The key of UNITS for a unit. Raises UnknownName, or InvalidInput for one that this model does not have."""
        units = {"logit": "logit", "probability": KINDS[self.kind][1], "log-probability": "log-probability"}
        if not isinstance(unit, str) or unit not in units:
            raise UnknownName("unit", unit, units)
        link = units[unit]
        if link is None or (unit == "log-probability" and self.kind != "single_label_classification"):
            raise InvalidInput(f"a {self.kind.replace('_', ' ')} model has no {unit}; use unit='logit'.")
        return link
