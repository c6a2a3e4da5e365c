"""An explanation in words: one sentence, the question it answers, and the facts that qualify it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.statistics import completeness_verdict, residual_share
from xai_nlp.viz.text import trust_wording
from xai_nlp.viz.text.number_format import SPACE, percent, signed, unsigned, with_unit
from xai_nlp.viz.text.text_spans import strongest, strongest_words

#: Names of the two texts of a pair, by task; inference is recognised by its labels.
PAIRS = {
    "question-answering": ("Question", "Context"),
    "natural-language-inference": ("Premise", "Hypothesis"),
    "zero-shot-classification": ("Text", "Hypothesis"),
}
WRITING = ("text-generation", "text2text-generation")  # tasks whose answer is a text that the model writes
GENERATING = ("visual-question-answering", *WRITING)  # tasks whose answer stands in no input text
PLACES = {"start": "its start", "end": "its end"}  # what a sentence calls them
ANSWERS = ("answer", "start", "end", "span", "token", "word")  # kinds of target whose label is an answer
NO_ENTITY = "O"  # the label of a stretch of text that is no entity
LISTED = 4  # entities that a sentence lists
NOT_COMPLETE = "this method does not promise that scores add up"
NAMED = 0.25  # share of the largest |score| from which the sentence names a word
BASELINES = {"pad": "padding", "mask": "mask tokens", "unk": "unknown words", "zero": "zeros"}
TERMS = {
    "logit": "the model’s raw score for a label, before it becomes a probability",
    "log-probability": "the natural logarithm of a probability",
    "probability": "between 0 and 1",
    "cosine": "the cosine of the angle between the two embeddings, from −1 to 1",
    "tokenizer": "it cuts the text for the model, and adds marks such as a start and an end",
}


@dataclass(frozen=True)
class Fact:
    """A number and its label."""

    value: str
    label: str
    verdict: str = ""  # "good", "fair" or "poor"


Sentence = list[tuple[str, str]]  # (text, "em" for the answer, "p" for, "n" against, "" else)


# One sentence --------------------------------------------------------------------------------------------------------


def sentence(words: Sequence[Explanation]) -> Sentence:
    """What the model says, and the words that count most, for explanations of one input over words.

    >>> from xai_nlp.core.result import TargetSpec
    >>> why = Explanation(segments=("too long",), tokens=("too", "long"), offsets=((0, 3), (4, 8)), segment=(0, 0),
    ...     scores=(2.0, -1.0), unit="logit", target=TargetSpec(kind="label", label="NEGATIVE"), value=1.0,
    ...     baseline_value=0.0, outputs={"NEGATIVE": 0.9}, method="occlusion", baseline="pad", complete=False)
    >>> "".join(text for text, _ in sentence([why]))
    'The model says NEGATIVE (+0.900). “too” speaks for it most; “long” speaks against it.'
    """
    first = words[0]
    if not first.task:
        return _plain_sentence(first)
    kinds = [item.target.kind for item in words]
    if set(kinds) == {"label"}:  # of several labels the sentence is about the one that the model says
        words = [item for item in words if target_text(item) == item.prediction] or words
    if set(kinds) == {"entity"} and len(words) > 1:
        return _entities_read(words)
    if set(kinds) == {"token"} and len(words) > 1:
        whole = TargetSpec(kind="answer", label=first.target.answer)
        return [*_model_says(replace(first, target=whole)), (f"Its {len(words)} tokens are explained one by one.", "")]
    lead = _model_says(words[0])
    if len(words) == 1:
        return [*lead, *clause(words[0])]
    if sorted(kinds) == ["end", "start"]:
        start, end = sorted(words, key=lambda item: item.target.kind, reverse=True)
        return [*lead, *clause(start), (" ", ""), *clause(end)]
    if len({target_text(item) for item in words}) == 1 and len({item.method for item in words}) == len(words):
        return [*lead, *_agreement(words)]
    return [*lead, (f"{len(words)} explanations follow.", "")]


def full_sentence(explanation: Explanation) -> str:
    """The sentence as plain text, then the residual and the trust verdict, where they are known."""
    said = "".join(text for text, _ in sentence([explanation.words()]))
    fact = unexplained(explanation)
    residual = [f"Scores leave {fact.value} unexplained."] if fact else []
    verdict = [trust_wording.verdict_sentence(explanation.trust)] if explanation.trust else []
    return " ".join([said, *residual, *verdict]).replace(SPACE, " ")


def _agreement(words: Sequence[Explanation]) -> Sentence:
    """The words that several methods name alike."""
    first, *others = (dict(_names(item)) for item in words)
    common = [
        (name, score) for name, score in first.items() if all(score * other.get(name, 0.0) > 0 for other in others)
    ]
    if not common:
        return [(f"{len(words)} methods name no word in common.", "")]
    about = PLACES.get(words[0].target.kind, "it")
    who = "Both" if len(words) == 2 else f"All {len(words)}"
    nothing = f"nothing speaks for {about}"
    return [
        (f"{who} methods agree: ", ""),
        *_for_and_against(common, "speak", f" for {about}", f" against {about}", nothing),
    ]


def _plain_sentence(item: Explanation) -> Sentence:
    """The strongest of plain scores, which no model is known of."""
    title: Sentence = [(item_title, "em"), (": ", "")] if (item_title := item.target.label) else []
    names = _names(item)
    if not names:
        return [*title, ("every score is 0.", "")]
    if item.attention:
        received = [(name, 1.0) for name, _ in sorted(names, key=lambda named: named[1] < 0)]
        return [*title, *_for_and_against(received, "receive", " most attention")]
    (first, kind), *rest = _for_and_against(names, "count", " most", " against", "Nothing counts for")
    return [*title, (first if title else first[0].upper() + first[1:], kind), *rest]


def _for_and_against(
    names: Sequence[tuple[str, float]], verb: str, most: str, against: str = "", nothing: str = ""
) -> Sentence:
    """“a” and “b” {verb}{most}; “c” {verb}s{against}.

    nothing: the first part where no score is positive.
    """
    pro, contra = ([name for name, score in names if sign * score > 0] for sign in (1, -1))
    parts = [*_listed(pro, "p"), (f" {verb}{'s' * (len(pro) == 1)}{most}", "")] if pro else [(nothing, "")]
    if contra:
        parts += [("; ", ""), *_listed(contra, "n"), (f" {verb}{'s' * (len(contra) == 1)}{against}", "")]
    return [*parts, (".", "")]


def _model_says(item: Explanation) -> Sentence:
    """“The model says NEGATIVE (90 %).”, and the target where that is another label."""
    target, answers = item.target, item.target.kind in ANSWERS
    if target.kind == "output" and target.label in item.outputs:
        name = "score" if target.label == "LABEL_0" else target.label
        return [(f"The {name} is ", ""), (output_text(item, target.label), "em"), (". ", "")]
    quote = quoted if answers else str
    if not item.outputs:
        return [("The score of ", ""), (quote(shortened(target.label)), "em"), (f" is {value_text(item)}. ", "")]
    if target.kind == "entity":
        lead: Sentence = [("The model reads ", ""), *_entity_read(item)]
    else:
        lead = [(_verb(item), ""), (quote(shortened(item.prediction)), "em")]
        lead.append((f" ({output_text(item, item.prediction)})", ""))
    if answers and item.task.endswith("question-answering") and item.segments:
        lead.append((f" to {quoted(shortened(item.segments[0]))}", ""))
    explained = _explained_output(item)
    if explained != item.prediction or target.contrast is not None or target.kind == "token":
        end = " " if lead[-1][0].endswith("?”") else ". "
        lead += [(f"{end}Explained is ", ""), (quote(shortened(target.label)), "em")]
        if explained != item.prediction and explained in item.outputs:
            lead.append((f" ({output_text(item, explained)})", ""))
        if target.contrast is not None:
            lead += [(" rather than ", ""), (quote(shortened(target.contrast)), "em")]
    return [*lead, (" " if lead[-1][0].endswith("?”") else ". ", "")]


def _verb(item: Explanation) -> str:
    """“The model says ”, “The model writes ”, “At the mask the model expects ”: the beginning before the output."""
    if item.target.kind == "word":
        return "At the mask the model expects "
    if item.target.kind not in ANSWERS:
        return "The model says "
    if not item.prediction:
        return "The model gives "
    return "The model writes " if item.task in WRITING else "The model answers "


def _entity_read(item: Explanation) -> Sentence:
    """“Angela Merkel” as PER (99 %)."""
    kind = "no entity" if item.prediction == NO_ENTITY else shortened(item.prediction)
    return [
        (quoted(shortened(item.target.answer)), "em"), (" as ", ""), (kind, "em"),
        (f" ({output_text(item, item.prediction)})", ""),
    ]  # fmt: skip


def _entities_read(words: Sequence[Explanation]) -> Sentence:
    """The entities that are explained: “The model reads “Angela Merkel” as PER (99 %) and “Paris” as LOC (98 %).”."""
    entities = list({item.answer: item for item in words}.values())
    further = len(entities) - LISTED
    parts: Sentence = [("The model reads ", "")]
    for place, item in enumerate(entities[:LISTED]):
        last = place == len(entities) - 1
        parts += [("" if not place else " and " if last else ", ", ""), *_entity_read(item)]
    return [*parts, (f" and {further} more." if further > 0 else ".", "")]


def clause(words: Explanation) -> Sentence:
    """The words, and the region of an image, that speak for and against the target."""
    about = PLACES.get(words.target.kind, "it")
    names = _names(words)
    if not names:
        return [(f"Nothing counts for or against {about}.", "")]
    if not words.unit and all(score > 0 for _, score in names):
        return _for_and_against(names, "matter", f" most for {about}")
    return _for_and_against(names, "speak", f" for {about} most", f" against {about}", f"Nothing speaks for {about}")


def _names(words: Explanation) -> list[tuple[str, float]]:
    """The strongest words, up to three for and two against, with their scores; then the strongest region of an image.

    Without words, the strongest regions.
    """
    tokens = [quoted(shortened(" ".join(token.split()), 24)) for token in words.tokens]
    names = _strongest_names(tokens, words.scores, strongest_words(words))
    image = words.image
    if image is None:
        return names
    order = strongest(image.scores)
    if not tokens:
        return _strongest_names([name.replace(",", "") for name in image.names], image.scores, order)
    return [*names, *((f"{image.names[r].replace(',', '')} of the image", image.scores[r]) for r in order[:1])]


def _strongest_names(names: Sequence[str], scores: Sequence[float], order: Sequence[int]) -> list[tuple[str, float]]:
    chosen: dict[str, float] = {}
    for i in order:
        same_sign = sum(scores[i] * other > 0 for other in chosen.values())
        if abs(scores[i]) >= NAMED * abs(scores[order[0]]) and same_sign < (3 if scores[i] > 0 else 2):
            chosen.setdefault(names[i], scores[i])
    return list(chosen.items())


def _listed(names: Sequence[str], kind: str) -> Sentence:
    """“a”, “b” and “c”, each with its kind."""
    joints = [""] + [", "] * (len(names) - 2) + [" and "] * (len(names) > 1)
    return [part for joint, name in zip(joints, names, strict=True) for part in ((joint, ""), (name, kind)) if part[0]]


# The question --------------------------------------------------------------------------------------------------------


def headline(explanation: Explanation) -> str:
    """The question that the explanation answers: “Why POSITIVE rather than NEGATIVE?”."""
    target = explanation.target
    if not explanation.task:
        return target.label or "Scores"
    quote = quoted if target.kind in ANSWERS else str
    joint = "for" if target.kind == "entity" else "in"
    of_answer = f" {joint} {quoted(target.answer)}" if target.answer else ""
    versus = "" if target.contrast is None else f" rather than {quote(target.contrast)}"
    return f"Why {quote(target.label)}{of_answer}{versus}?"


def target_text(explanation: Explanation) -> str:
    """The target in a few words, which tells explanations of one input apart."""
    target = explanation.target
    if target.kind in ("start", "end"):
        return target.kind + (f" rather than {target.contrast}" if target.contrast else "")
    versus = "" if target.contrast is None else f" rather than {target.contrast or 'no answer'}"
    entity = f"{quoted(target.answer)} as " if target.kind == "entity" else ""
    return f"{entity}{target.label or 'no answer'}{versus}"


def explained_labels(explanation: Explanation) -> tuple[str, ...]:
    """The outputs that the target reads."""
    target = explanation.target
    return (_explained_output(explanation),) if target.contrast is None else (target.label, target.contrast)


def _explained_output(explanation: Explanation) -> str:
    """The output that the target belongs to: of a written token the whole answer."""
    target = explanation.target
    return target.answer if target.kind == "token" and target.answer else target.label


def quoted(answer: str) -> str:
    """An answer in quotation marks; “no answer”, without them, for an empty one."""
    return f"“{answer}”" if answer else "no answer"


def shortened(text: str, limit: int = 80) -> str:
    """The text, cut to `limit` characters.

    >>> shortened("what colour is the star?", 12)
    'what colour…'
    """
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# Names ---------------------------------------------------------------------------------------------------------------


def plain(name: str) -> str:
    """A registry name as prose: `integrated_gradients` is “integrated gradients”."""
    return name.replace("_", " ").replace("-", " ")


def baseline_name(explanation: Explanation) -> str:
    """The baseline in plain words; "" for a method that needs none."""
    return "" if explanation.baseline == "none" else BASELINES.get(explanation.baseline, explanation.baseline)


def segment_names(explanation: Explanation) -> tuple[str, ...]:
    """The name of each input text; "" for a single one."""
    count = len(explanation.segments)
    names = explanation.params.get("names")
    if isinstance(names, (tuple, list)) and len(names) == count:
        return tuple(map(str, names))
    if count == 1 and explanation.task in GENERATING:
        return ("Question" if explanation.image else "Prompt" if explanation.task == "text-generation" else "Text",)
    if count < 2:
        return ("",) * count
    infers = explanation.task == "text-classification" and any("entail" in name.lower() for name in explanation.outputs)
    pair = PAIRS.get("natural-language-inference" if infers else explanation.task, ())
    return pair if len(pair) == count else tuple(f"Text {n}" for n in range(1, count + 1))


# Numbers -------------------------------------------------------------------------------------------------------------


def gives_probabilities(explanation: Explanation) -> bool:
    """Can the outputs be shown as percentages? A single one only if it is the probability of an answer, or 1."""
    outputs = explanation.outputs.values()
    answering = explanation.task in (*GENERATING, "question-answering", "zero-shot-classification")
    shares = answering or len(outputs) > 1 or sum(outputs) == 1
    return explanation.target.kind != "output" and all(0 <= p <= 1 for p in outputs) and shares


def output_text(explanation: Explanation, label: str) -> str:
    """An output as a percentage, or as a raw number."""
    number = explanation.outputs[label]
    return percent(number) if gives_probabilities(explanation) else signed(number)


def explained_output_text(explanation: Explanation) -> str:
    """The output that is explained; "" for a contrast of two, a written token, and where nothing is known of it."""
    if explanation.target.kind == "token":
        return ""
    label, *others = explained_labels(explanation)
    return output_text(explanation, label) if not others and label in explanation.outputs else ""


def value_text(explanation: Explanation) -> str:
    """f(x) with its unit."""
    return with_unit(signed(explanation.value), explanation.unit)


def unexplained(explanation: Explanation) -> Fact | None:
    """The residual as a share of f(x) − f(x₀), with its verdict; None for a method that is not complete."""
    if not explanation.complete:
        return None
    share, relative = residual_share(explanation)
    text = percent(share) if relative else with_unit(unsigned(abs(explanation.residual)), explanation.unit)
    return Fact(text, "left unexplained", completeness_verdict(share))


def explained_fact(explanation: Explanation) -> Fact:
    """f(x) − f(x₀), or f(x) for a method without a baseline."""
    if explanation.baseline == "none":
        return Fact(value_text(explanation), "f(x)")
    return Fact(with_unit(signed(explanation.explained), explanation.unit), "f(x) − f(x₀)")
