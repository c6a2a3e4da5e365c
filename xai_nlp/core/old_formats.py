"""Formats 1 to 3 of saved explanations, read as format 4. Their target is a sentence; it is parsed only here.

Format 1 holds scores of texts; 2 adds answers, parts, layers and attention; 3 adds an image.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_QUESTION_ANSWERING = re.compile(r"(start|end|span)(?: of “(.*)” rather than “(.*)”)?", re.DOTALL)


class OldExplanation(msgspec.Struct):
    """The fields of an old file that say what its target means."""

    target: str
    outputs: dict[str, float]
    segments: tuple[str, ...]
    task: str
    unit: str
    params: dict[str, Any]
    answer: tuple[int, tuple[int, int]] | None = None


def upgrade(data: dict[str, Any]) -> dict[str, Any]:
    """The data of a file of format 1, 2 or 3 as format 4 has it. Raises msgspec.ValidationError."""
    old = msgspec.convert(data, OldExplanation, strict=True)
    picture = data.get("picture")
    data = {name: value for name, value in data.items() if name not in ("format", "picture")}
    params = dict(old.params)
    gold = params.pop("gold", "")
    data |= {
        "target": {**_target(old), "unit": old.unit},
        "params": params,
        "gold": gold.split(" / ") if isinstance(gold, str) and gold else [],
        "image": _renamed(picture, "image", "data"),
    }
    if isinstance(attention := data.get("attention"), dict):
        data["attention"] = {name: _renamed(one, "weights", "row_stochastic") for name, one in attention.items()}
    return data


def _renamed(value: Any, old: str, new: str) -> Any:
    return {new if name == old else name: part for name, part in value.items()} if isinstance(value, dict) else value


def _target(old: OldExplanation) -> dict[str, Any]:
    """The fields of a TargetSpec that an old target's sentence means."""
    if old.task == "question-answering":
        return _answer_in_context(old)
    answers = old.task in ("visual-question-answering", "text-generation")
    kind = "answer" if answers else "label"
    labels = list(old.outputs)
    if old.target in labels:
        return {"kind": kind, "label": old.target, "position": labels.index(old.target) if len(labels) > 1 else None}
    cuts = [(old.target[:i], old.target[i + 1 :]) for i, character in enumerate(old.target) if character == "-"]
    for label, contrast in cuts:
        if label in labels and contrast in labels:
            return {"kind": kind, "label": label, "contrast": contrast, "position": labels.index(label)}
    if answers and len(labels) == 1:  # a written answer: its outputs name it alone
        (answer,) = labels
        if old.target.startswith(f"{answer}-"):
            return {"kind": "answer", "label": answer, "contrast": old.target[len(answer) + 1 :]}
        return {"kind": "token", "label": old.target, "answer": answer}
    return {"kind": kind, "label": old.target}


def _answer_in_context(old: OldExplanation) -> dict[str, Any]:
    """Start, end or span of an answer, which stands in the context; "" is no answer."""
    match = _QUESTION_ANSWERING.fullmatch(old.target)
    if match is None:
        return {"kind": "label", "label": old.target}
    kind, label, contrast = match.groups()
    text = ""
    if old.answer is not None and 0 <= old.answer[0] < len(old.segments):
        text = old.segments[old.answer[0]][slice(*old.answer[1])]
    beginning = f"{kind} of “{text}” rather than “"  # splits at the right place also where an answer has such words
    if contrast is not None and old.target.startswith(beginning):
        label, contrast = text, old.target[len(beginning) : -1]
    return {"kind": kind, "label": text if label is None else label, "contrast": contrast}
