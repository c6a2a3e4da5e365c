"""An explanation in words: the question it answers, and the few facts that say how far to trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.viz.digits import percent, signed, unsigned, with_unit

#: What the two texts of a pair are called, by task; inference is recognised by its labels.
PAIRS = {
    "question-answering": ("Question", "Context"),
    "natural-language-inference": ("Premise", "Hypothesis"),
}
#: Tasks whose answer stands in no text that was given: it is the target, or the model's own.
ANSWERING = ("visual-question-answering", "text-generation")
NO_PROMISE = "this method does not promise that scores add up"


@dataclass(frozen=True)
class Fact:
    """One number and what it means."""

    value: str
    label: str
    mood: str = ""  # "good", "fair" or "poor": how well the scores add up


def plain(name: str) -> str:
    """A registry name as prose: `integrated_gradients` is “integrated gradients”."""
    return name.replace("_", " ").replace("-", " ")


def gold_of(explanation: Explanation) -> str:
    """The right labels or answers with " / " between; "" where they are not known."""
    return " / ".join(label or "no answer" for label in explanation.gold)


def method_name(explanation: Explanation) -> str:
    """The method as prose."""
    return explanation.method.replace("_", " ")


def question(explanation: Explanation) -> tuple[str, str, str]:
    """The headline as (before, target, after), so that a page can set the middle off."""
    target = explanation.target
    name = str if target.kind in ("label", "output") else quoted
    if target.kind == "token":
        return "Why ", quoted(target.label), f" in {quoted(target.answer)}?"
    versus = "" if target.contrast is None else f" rather than {name(target.contrast)}"
    return "Why ", name(target.label), f"{versus}?"


def target_name(target: TargetSpec) -> str:
    """The target in a few words; the answer itself is in the headline.

    >>> target_name(TargetSpec(kind="start", label="Ada"))
    'start'
    """
    if target.kind in ("start", "end", "span"):
        versus = "" if target.contrast is None else f" of {quoted(target.label)} rather than {quoted(target.contrast)}"
        return f"{target.kind}{versus}"
    return target.label if target.kind == "token" else str(target)


def labels_of(target: TargetSpec) -> tuple[str, ...]:
    """The outputs that the target is about: a label or an answer, and the one it is compared with."""
    label = target.answer if target.kind == "token" else target.label
    return (label,) if target.contrast is None else (label, target.contrast)


def shortened(text: str, most: int = 80) -> str:
    """The beginning of a text, where it is long.

    >>> shortened("what colour is the star?", 12)
    'what colour…'
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def quoted(answer: str) -> str:
    """An answer in quotation marks; nothing to quote is “no answer”, without."""
    return f"“{answer}”" if answer else "no answer"


def headline(explanation: Explanation) -> str:
    """The question that the explanation answers: “Why POSITIVE rather than NEGATIVE?”."""
    return "".join(question(explanation))


def segment_names(explanation: Explanation) -> tuple[str, ...]:
    """What each text of the input is called; nothing for a single one."""
    count = len(explanation.segments)
    named = explanation.params.get("names")
    if isinstance(named, (tuple, list)) and len(named) == count:
        return tuple(map(str, named))
    if count == 1 and explanation.task in ANSWERING:
        return ("Question" if explanation.image else "Prompt",)
    if count < 2:
        return ("",) * count
    infers = any("entail" in label.lower() for label in explanation.outputs)
    names = PAIRS.get("natural-language-inference" if infers else explanation.task, ())
    return names if len(names) == count else tuple(f"Text {n}" for n in range(1, count + 1))


def are_probabilities(outputs: Mapping[str, float]) -> bool:
    """Can these be shown as percentages? A regression's single number cannot, even if it lies between 0 and 1."""
    inside = all(0 <= p <= 1 for p in outputs.values())
    return inside and (len(outputs) > 1 or sum(outputs.values()) == 1)


def gives_probabilities(explanation: Explanation) -> bool:
    """Are the outputs probabilities? Of answers they always are, also of a single one."""
    outputs = explanation.outputs
    answering = explanation.task in (*ANSWERING, "question-answering")
    answers = answering and all(0 <= p <= 1 for p in outputs.values())
    return answers or are_probabilities(outputs)


def output_text(explanation: Explanation, label: str) -> str:
    """An output as a percentage, or as the number it is."""
    number = explanation.outputs[label]
    return percent(number) if gives_probabilities(explanation) else signed(number)


def unexplained(explanation: Explanation) -> Fact | None:
    """How much the scores leave over; None if the method promises nothing.

    A share of nearly nothing says nothing: where f(x) and f(x₀) agree to a thousandth, the number itself is given.
    """
    if not explanation.complete:
        return None
    residual, explained = abs(explanation.residual), abs(explanation.explained)
    size = max(abs(explanation.value), abs(explanation.baseline_value))
    if explained <= 1e-3 * size or explained == 0:
        left, shown = residual / size if size else residual, with_unit(unsigned(residual), explanation.unit)
    else:
        left, shown = residual / explained, percent(residual / explained)
    mood = "good" if left <= 0.01 else "fair" if left <= 0.05 else "poor"
    return Fact(shown, "left unexplained", mood)


def explained_fact(explanation: Explanation) -> Fact:
    """What there was to share out; for a method that compares with nothing, the number it looked at."""
    unit = explanation.unit
    if explanation.baseline == "none":
        return Fact(with_unit(signed(explanation.value), unit), "f(x), the number looked at")
    return Fact(with_unit(signed(explanation.explained), unit), "explained: f(x) − f(x₀)")


def steps_used(explanation: Explanation) -> int | None:
    """Steps taken along the path, where the method says so."""
    return _whole(explanation, "steps_used")


def windows_used(explanation: Explanation) -> int | None:
    """How many windows a long text was read in; None if in one."""
    return _whole(explanation, "windows")


def layer_of(explanation: Explanation) -> str:
    """The layer whose output was attributed to; nothing for the embeddings."""
    layer = explanation.params.get("layer")
    return "" if layer is None else str(layer)


def _whole(explanation: Explanation, name: str) -> int | None:
    number = explanation.params.get(name)
    return number if isinstance(number, int) and not isinstance(number, bool) else None
