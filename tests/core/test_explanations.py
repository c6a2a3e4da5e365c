"""Several explanations: made when they are read, equal to any sequence of equal ones, bounded in print."""

import pickle

import pytest

from tests.core.test_result import make
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.image import ImageAttribution
from xai_nlp.errors import InvalidInput


def test_items_are_made_when_they_are_read_and_once():
    read = []

    def item(i):
        read.append(i)
        return make(value=float(i))

    several = Explanations.lazy(5, item)
    assert len(several) == 5
    part = several[1:4:2]
    assert isinstance(part, Explanations) and len(part) == 2
    words = several.words()
    assert read == []
    assert part[1].value == 3.0 and several[3] is part[1] and several[-2] is several[3]
    assert read == [3]
    assert [one.value for one in several] == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert words[2] == several[2].words()
    assert sorted(read) == [0, 1, 2, 3, 4]
    with pytest.raises(IndexError):
        several[5]
    assert several[4] in several and several.index(several[4]) == 4


def test_several_are_equal_to_any_sequence_of_equal_ones():
    items = [make(), make(value=3.0)]
    several = Explanations(items)
    assert several == items and items == several and several == tuple(items)
    assert several == Explanations.lazy(2, items.__getitem__)
    assert several != items[:1] and several != items[::-1] and several != "ab"
    assert pickle.loads(pickle.dumps(Explanations.lazy(2, items.__getitem__))) == several  # noqa: S301


def test_repr_of_many_is_one_bounded_line():
    many = Explanations.lazy(10_000, lambda i: make(text="word " * 50))
    assert len(repr(many)) < 600
    assert "10000" in repr(many) and "\n" not in repr(many)


def test_a_summary_needs_words():
    image = ImageAttribution(data=b"", size=(2, 2), boxes=((0.0, 0.0, 2.0, 2.0),), scores=(0.5,))
    picture = make(segments=(), tokens=(), offsets=(), segment=(), scores=(), image=image)
    assert list(picture) == picture.top(1) == [(image.names[0], 0.5)]
    with pytest.raises(InvalidInput, match="counts words"):
        Explanations([picture]).summary()
    assert Explanations([]).summary().empty


def test_a_summary_by_hand():
    """ "so" scores 0.5 and 1.5 in two examples, "good" 0.75 and 0: means, and their number, by label."""
    items = Explanations([make(), make(scores=(0.0, 1.5, 0.25, -0.25))])
    frame = items.summary().set_index("word")
    assert list(frame.columns) == ["label", "mean", "low", "high", "examples", "overall"]
    assert frame.loc["so", "mean"] == pytest.approx(1.0) and frame.loc["good", "mean"] == pytest.approx(0.375)
    assert set(frame["examples"]) == {2} and len(set(frame["label"])) == 1
    assert frame.loc["so", "low"] < 1.0 < frame.loc["so", "high"]
    other = make(text="so bad")
    assert set(Explanations([items[0], items[1], other]).summary()["word"]) == {"so", "good", "bad"}, "rare words count"
