"""Options read from text, as the command line and forms send it."""

import pytest

from xai_nlp.core.fields import OptionField, list_items
from xai_nlp.errors import InvalidInput, UnknownName


@pytest.mark.parametrize(
    ("kind", "choices", "value", "parsed"),
    [
        (int, (), "3", 3),
        (int, (), 3.0, 3),
        (int, ("auto",), "auto", "auto"),
        (float, (), "0.5", 0.5),
        (bool, (), "true", True),
        (bool, (), False, False),
        (str, (), "a text", "a text"),
        (str, ("a", "b"), "b", "b"),
        (str, (), None, None),
    ],
)
def test_values_are_read(kind, choices, value, parsed):
    found = OptionField(name="x", type=kind, help="", choices=choices).parse(value)
    assert found == parsed
    assert type(found) is type(parsed)


@pytest.mark.parametrize(
    ("kind", "choices", "value"),
    [
        (int, (), "3.5"),
        (int, ("auto",), "no"),
        (int, (), True),
        (float, (), "x"),
        (bool, (), 1),
        (str, (), 3),
        (int, (), [1]),
    ],
)
def test_other_values_are_refused(kind, choices, value):
    with pytest.raises(InvalidInput, match=r"^x is .*; got "):
        OptionField(name="x", type=kind, help="", choices=choices).parse(value)


def test_a_word_that_is_no_choice_gets_its_near_miss():
    with pytest.raises(UnknownName, match="Did you mean 'start'"):
        OptionField(name="target", type=str, help="", choices=("start", "end")).parse("strat")


def test_a_list_is_a_list_or_a_line():
    assert list_items("a b, c,", "labels") == list_items(["a b", " c "], "labels") == ["a b", "c"]
    for value in (3, ["a", 3], {"a": "b"}):
        with pytest.raises(InvalidInput, match="labels is a list of texts"):
            list_items(value, "labels")
