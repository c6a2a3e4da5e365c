"""Scenes: answers derived again from the question's words and the shapes, boxes from the pixels."""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from xai_nlp.data.scenes import ANSWERS, BACKGROUNDS, COLOURS, KINDS, SIZE, TYPES, scenes
from xai_nlp.errors import InvalidInput, UnknownName


@pytest.fixture(scope="module")
def examples():
    return list(scenes(700, seed=11))


def single(word):
    return {"crosses": "cross"}.get(word, word.removesuffix("s"))


def answered(text, shapes):
    """The answer, by rules written apart from the generator's: from the words, and one shape at a time."""
    words = re.findall(r"[a-z]+", text)
    named = [w for w in map(single, words) if w in KINDS] + [w for w in words if w == "cross"]
    colours = [w for w in words if w in COLOURS]
    if words[:2] in (["are", "there"], ["do", "you"]) and "more" in words:
        kinds = [single(w) for w in words if single(w) in KINDS or w == "cross"]
        first, second = (sum(s.kind == kind for s in shapes) for kind in kinds)
        return "yes" if first > second else "no"
    if words[0] in ("is", "do"):
        return "yes" if any(s.kind == named[0] and s.colour == colours[0] for s in shapes) else "no"
    if words[:2] == ["how", "many"] or words[0] == "count":
        return str(sum(s.colour == colours[0] if colours else s.kind == named[0] for s in shapes))
    if "largest" in words or "biggest" in words:
        return max(shapes, key=lambda s: s.radius).colour
    if "colour" in words:
        (one,) = [s for s in shapes if s.kind == named[0]]
        return one.colour
    if colours:
        (one,) = [s for s in shapes if s.colour == colours[0]]
        return one.kind
    (anchor,) = [s for s in shapes if s.kind == named[-1]]
    beyond = {
        "left": [s for s in shapes if s.x < anchor.x], "right": [s for s in shapes if s.x > anchor.x],
        "above": [s for s in shapes if s.y < anchor.y], "below": [s for s in shapes if s.y > anchor.y],
    }  # fmt: skip
    (one,) = next(beyond[w] for w in words if w in beyond)
    return one.kind


def test_answers_are_right(examples):
    for example in examples:
        assert answered(example.question.text, example.scene.shapes) == example.question.answer
        assert example.question.answer in TYPES[example.question.type][0]


def test_evidence_is_what_the_answer_depends_on(examples):
    """Without the other shapes the answer stays; of the others none is named."""
    for example in examples:
        if example.question.evidence:
            kept = [example.scene.shapes[i] for i in sorted(set(example.question.evidence))]
            assert answered(example.question.text, kept) == example.question.answer
        else:
            assert example.question.answer in ("0", "no")


def test_shapes_do_not_overlap_and_stay_inside(examples):
    for example in examples:
        boxes = [shape.box for shape in example.scene.shapes]
        assert 1 <= len(boxes) <= 5
        for i, (left, top, right, bottom) in enumerate(boxes):
            assert 0 <= left < right <= SIZE and 0 <= top < bottom <= SIZE
            for a, b, c, d in boxes[:i]:
                assert right <= a or c <= left or bottom <= b or d <= top


def test_boxes_hold_exactly_the_pixels_that_a_shape_changes(examples):
    for example in examples[:60]:
        whole = np.asarray(example.scene.image(), dtype=int)
        for i, shape in enumerate(example.scene.shapes):
            others = tuple(s for j, s in enumerate(example.scene.shapes) if j != i)
            without = np.asarray(replace(example.scene, shapes=others).image(), dtype=int)
            down, across = np.nonzero(np.abs(whole - without).sum(2))
            left, top, right, bottom = shape.box
            assert left <= across.min() and across.max() < right and top <= down.min() and down.max() < bottom
            assert across.max() - across.min() >= 1.5 * shape.radius  # and the box is no larger than need be


def test_drawn_in_the_colours_told(examples):
    for example in examples[:60]:
        pixels = np.asarray(example.scene.image(), dtype=int)
        assert pixels.shape == (SIZE, SIZE, 3)
        for shape in example.scene.shapes:
            assert np.abs(pixels[shape.y, shape.x] - COLOURS[shape.colour]).max() <= 2


def test_types_and_answers_are_drawn_evenly(examples):
    types = Counter(example.question.type for example in examples)
    assert set(types) == set(TYPES) and min(types.values()) > 60
    for name, (answers, _) in TYPES.items():
        counts = Counter(e.question.answer for e in examples if e.question.type == name)
        assert set(counts) == set(answers)
        assert max(counts.values()) < 2.5 * types[name] / len(answers)  # a guesser of the most frequent does poorly
    assert {e.scene.background for e in examples} == set(BACKGROUNDS)
    assert set(ANSWERS) == {answer for answers, _ in TYPES.values() for answer in answers}


def test_the_same_seed_gives_the_same_scenes():
    one, other = list(scenes(5, seed=4)), list(scenes(5, seed=4))
    assert one == other
    assert [e.scene.image().tobytes() for e in one] == [e.scene.image().tobytes() for e in other]
    assert one != list(scenes(5, seed=5))
    assert {e.question.type for e in scenes(20, types=["count"])} == {"count"}


def test_mistakes_are_told():
    with pytest.raises(UnknownName, match="Did you mean 'count'"):
        list(scenes(1, types=["counts"]))
    with pytest.raises(InvalidInput, match="at least 0"):
        list(scenes(-1))
