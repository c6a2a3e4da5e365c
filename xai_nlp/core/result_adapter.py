"""Temporary: the fields of format 4, read from an explanation of format 3. Gone once the result has them itself."""

from __future__ import annotations

import string
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TargetSpec:
    kind: str
    label: str
    contrast: str | None = None
    position: int | None = None
    answer: str = ""
    unit: str = "logit"

    def __str__(self) -> str:
        if self.kind in ("start", "end", "span"):
            return f"{self.kind} of {self.label}"
        return self.label if self.contrast is None else f"{self.label}-{self.contrast}"


ANSWERING = ("visual-question-answering", "text-generation")


def target_of(item: Any) -> Any:
    target = item.target
    if not isinstance(target, str):
        return target
    labels = item.outputs
    if not item.task:
        return TargetSpec(kind="output", label=target)
    cuts = [(target[:i], target[i + 1 :]) for i, c in enumerate(target) if c == "-"]
    pair = None if target in labels else next(((a, b) for a, b in cuts if a in labels and b in labels), None)
    if item.task == "question-answering" and pair is None:
        kind = target.split()[0] if target.split()[:1] in (["start"], ["end"]) else "span"
        other = target.partition(" rather than ")[2]
        label = item.prediction
        if item.answer is not None:
            segment, (start, end) = item.answer
            label = item.segments[segment][start:end]
        return TargetSpec(kind=kind, label=label, contrast=other.strip("“”") or None)
    if item.task in ANSWERING:
        told = pair[0] if pair else target.partition(" rather than ")[0]
        other = pair[1] if pair else target.partition(" rather than ")[2]
        label = told if told in labels else item.prediction
        if not other and target.startswith(f"{label}-"):
            other = target[len(label) + 1 :]
        if not other and target != label and target in label:
            return TargetSpec(kind="token", label=target, answer=label)
        return TargetSpec(kind="answer", label=label, contrast=other or None)
    if pair:
        return TargetSpec(kind="label", label=pair[0], contrast=pair[1])
    return TargetSpec(kind="label" if target in labels or not labels else "output", label=target)


def image_of(item: Any) -> Any:
    return item.picture if hasattr(item, "picture") else item.image


def data_of(image: Any) -> bytes:
    return image.data if hasattr(image, "data") else image.image


def gold_of(item: Any) -> tuple[str, ...]:
    if hasattr(item, "gold"):
        return item.gold
    return tuple(str(item.params["gold"]).split(" / ")) if item.params.get("gold") else ()


def correct_of(item: Any) -> bool | None:
    if hasattr(item, "correct"):
        return item.correct
    if not gold_of(item):
        return None
    if item.task == "text-classification":
        return item.prediction in gold_of(item)
    return _normalized(item.prediction) in map(_normalized, gold_of(item))


def _normalized(answer: str) -> str:
    words = "".join(c for c in answer.lower() if c not in string.punctuation).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def row_stochastic(stack: Any) -> bool:
    return stack.row_stochastic if hasattr(stack, "row_stochastic") else stack.weights


def plain_explanation(text, names, spans, scores, unit, title="", image=None, attention=None):
    from xai_nlp.core.result import Explanation

    return Explanation(
        segments=(text,) if names else (), tokens=tuple(names), offsets=tuple(spans), segment=(0,) * len(names),
        scores=tuple(scores), unit=unit, target=title, value=0.0, baseline_value=0.0, outputs={}, method="", baseline="none",
        complete=False, task="", picture=image, attention={} if attention is None else {"self": attention},
    )  # fmt: skip


def plain_image(data, size, boxes, scores, grid, shapes):
    from xai_nlp.core.image import ImageAttribution

    return ImageAttribution(image=data, size=size, boxes=tuple(boxes), scores=scores, grid=grid, shapes=shapes)
