"""Errors: each is also the built-in that it resembles, and names say what is near and what is known."""

import pytest

from xai_nlp import errors
from xai_nlp.errors import MAX_CHOICES, UnknownName


@pytest.mark.parametrize(
    ("name", "built_in"),
    [
        ("InvalidInput", ValueError),
        ("NotFinite", ValueError),
        ("UnknownName", LookupError),
        ("Unsupported", NotImplementedError),
        ("NoOffsets", NotImplementedError),
        ("NotEnoughMemory", MemoryError),
        ("UnreadableFile", ValueError),
    ],
)
def test_each_error_is_also_a_built_in_one(name, built_in):
    error = getattr(errors, name)
    assert issubclass(error, built_in) and issubclass(error, errors.XaiError)


def test_no_error_is_left_out():
    public = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert public == {
        "XaiError", "InvalidInput", "UnknownName", "Unsupported", "NoOffsets", "NotEnoughMemory", "NotFinite",
        "UnreadableFile",
    }  # fmt: skip


def test_a_near_miss_and_the_known_names_are_listed():
    message = str(UnknownName("layer", "encodr", ["decoder", "encoder"], "Count from 0."))
    assert message == "unknown layer 'encodr'. Did you mean 'encoder'? Known: decoder, encoder. Count from 0."


def test_what_is_far_from_all_gets_no_suggestion():
    assert str(UnknownName("label", "x", [])) == "unknown label 'x'. Known: none."
    assert "Did you mean" not in str(UnknownName("label", 7, ["POSITIVE", "NEGATIVE"]))


def test_many_names_are_cut():
    names = [f"name{i:02}" for i in range(40)]
    message = str(UnknownName("method", "qqq", names))
    assert f"name{MAX_CHOICES - 1:02}, … (40 in all)." in message
    assert f"name{MAX_CHOICES:02}" not in message
    assert "in all" not in str(UnknownName("method", "qqq", names[:MAX_CHOICES]))
