"""Files of formats 1 to 3, written by the versions of their time (tests/core/saved), and their targets."""

import json
from pathlib import Path

import numpy as np
import pytest

from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import UnreadableFile

SAVED = Path(__file__).parent / "saved"
MARY = "Mary Shelley"
TARGETS = {
    "format-1": TargetSpec(kind="label", label="POSITIVE", position=1),
    "format-1-contrast": TargetSpec(kind="label", label="POSITIVE", contrast="NEGATIVE", position=1),
    "format-2": TargetSpec(kind="label", label="POSITIVE", position=1),
    "format-2-answer": TargetSpec(kind="span", label=MARY, contrast="1818"),
    "format-3-label": TargetSpec(kind="label", label="POSITIVE", position=1),
    "format-3-contrast": TargetSpec(kind="label", label="NEGATIVE", contrast="POSITIVE", position=0),
    "format-3-attention": TargetSpec(kind="label", label="POSITIVE", position=1),
    "format-3-beside": TargetSpec(kind="label", label="POSITIVE", position=1),
    "format-3-answer-contrast": TargetSpec(kind="span", label=MARY, contrast="1818"),
    "format-3-start": TargetSpec(kind="start", label=MARY),
    "format-3-end": TargetSpec(kind="end", label=MARY),
    "format-3-image": TargetSpec(kind="answer", label="square", position=7, unit=""),
    "format-3-image-contrast": TargetSpec(kind="answer", label="red", contrast="blue", position=0, unit=""),
    "format-3-written": TargetSpec(kind="answer", label="good film", unit=""),
    "format-3-written-contrast": TargetSpec(kind="answer", label="good", contrast="dull", unit=""),
    "format-3-token": TargetSpec(kind="token", label="g", answer="good film", unit="log-probability"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_old_files_are_read_with_all_that_is_in_them(name):
    file = SAVED / f"{name}.json"
    why, data = Explanation.load(file), json.loads(file.read_text())
    assert why.target == TARGETS[name]
    for field in ("scores", "tokens", "segments", "segment"):
        assert list(getattr(why, field)) == data[field]
    for field in ("value", "baseline_value", "outputs", "params", "method", "task", "model", "versions", "unit"):
        assert getattr(why, field) == data[field]
    assert why.gold == () and why.trust is None
    assert (why.image is None) == (data.get("picture") is None)
    assert (why.layers is None) == (data.get("layers") is None)
    assert set(why.attention) == set(data.get("attention", {}))
    assert Explanation.from_json(why.to_json()) == why


def test_every_saved_file_is_read():
    assert {file.stem for file in SAVED.glob("format-[123]*.json")} == set(TARGETS)
    assert {name[:8] for name in TARGETS} == {"format-1", "format-2", "format-3"}


def test_old_images_parts_and_attention_keep_their_numbers():
    image = json.loads((SAVED / "format-3-image.json").read_text())["picture"]
    why = Explanation.load(SAVED / "format-3-image.json")
    assert why.image.scores == tuple(image["scores"]) and why.image.data.startswith(b"\x89PNG")
    assert why.image.size == (64, 48) and why.image.grid == tuple(image["grid"])
    why = Explanation.load(SAVED / "format-2.json")
    assert np.sum(list(why.parts.values()), 0) == pytest.approx(why.scores)
    stack = Explanation.load(SAVED / "format-3-attention.json").attention["self"]
    assert not stack.row_stochastic and stack.heads().shape == stack.scores.shape[:2]
    beside = Explanation.load(SAVED / "format-3-beside.json").attention["self"]
    assert beside.scores._values is None and np.isfinite(beside.heads()).all()


def old(name="format-3-label", **changes):
    return json.dumps({**json.loads((SAVED / f"{name}.json").read_text()), **changes})


@pytest.mark.parametrize(
    ("task", "target", "outputs", "label", "contrast", "kind"),
    [
        ("text-classification", "non-toxic", ("non-toxic", "toxic"), "non-toxic", None, "label"),
        ("text-classification", "non-toxic-toxic", ("non-toxic", "toxic"), "non-toxic", "toxic", "label"),
        ("text-classification", "toxic-non-toxic", ("non-toxic", "toxic"), "toxic", "non-toxic", "label"),
        ("text-classification", "a-b", ("non-toxic", "toxic"), "a-b", None, "label"),
        ("text-classification", "a-b", ("a-b", "a", "b"), "a-b", None, "label"),
        ("visual-question-answering", "blue-red", ("red", "blue"), "blue", "red", "answer"),
        ("visual-question-answering", "red star-red dog", ("red star",), "red star", "red dog", "answer"),
        ("visual-question-answering", "well-known", ("well-known",), "well-known", None, "answer"),
        ("visual-question-answering", "well-known-no", ("well-known",), "well-known", "no", "answer"),
        ("visual-question-answering", "star", ("red star",), "star", None, "token"),
        ("feature attribution", "cat", ("cat", "dog"), "cat", None, "label"),
    ],
)
def test_sentences_of_labels_are_cut_at_the_right_hyphen(task, target, outputs, label, contrast, kind):
    spec = Explanation.from_json(old(task=task, target=target, outputs=dict.fromkeys(outputs, 0.5))).target
    assert (spec.kind, spec.label, spec.contrast) == (kind, label, contrast)


@pytest.mark.parametrize(
    ("target", "answer", "expected"),
    [
        ("span", [1, [28, 40]], ("span", MARY, None)),
        ("end", None, ("end", "", None)),
        ("start of “Mary Shelley” rather than “1818”", [1, [28, 40]], ("start", MARY, "1818")),
        ("span of “” rather than “1818”", None, ("span", "", "1818")),
        ("span of “A” rather than “a” rather than “b””", None, ("span", "A” rather than “a", "b”")),
        ("start+end", None, ("label", "start+end", None)),
    ],
)
def test_sentences_of_answers(target, answer, expected):
    spec = Explanation.from_json(old("format-3-start", target=target, answer=answer)).target
    assert (spec.kind, spec.label, spec.contrast) == expected


def test_an_answer_that_holds_the_sentences_own_words_is_cut_by_its_place():
    context = "x “A” rather than “B” y"
    answer = context[2:-2]
    target = f"span of “{answer}” rather than “C” rather than “D”"
    text = old("format-1", task="question-answering", segments=["a gripping film", context], target=target,
               answer=[1, [2, len(context) - 2]])  # fmt: skip
    spec = Explanation.from_json(text).target
    assert (spec.label, spec.contrast) == (answer, "C” rather than “D")


def test_right_answers_were_a_parameter():
    why = Explanation.from_json(old(params={"gold": "POSITIVE / MIXED", "steps": 9}))
    assert why.gold == ("POSITIVE", "MIXED") and why.params == {"steps": 9} and why.correct


@pytest.mark.parametrize(
    "changes",
    [{"target": 5}, {"target": {"kind": "label"}}, {"outputs": []}, {"picture": 3}, {"picture": {"image": 1}},
     {"attention": []}, {"attention": {"self": 1}}, {"params": None}, {"answer": [0]}, {"extra": 1}, {"segments": 3},
     {"answer": [9, [0, 1]]}, {"task": None}],
)  # fmt: skip
def test_old_files_that_were_changed_are_refused(changes):
    with pytest.raises(UnreadableFile):
        Explanation.from_json(old(**changes))
