"""The base of sources: its settings; examples are read as they are needed, and again from the start."""

import pytest
import torch

from tests.insights.networks import numbers
from xai_nlp.insights import Batch
from xai_nlp.insights.source import Settings

ROWS = [[3.0, 1.0], [1.0, 2.0], [5.0, 4.0]]


def test_a_generator_that_runs_dry_the_old_way_is_at_its_end():
    def endless():
        rows = iter(ROWS[:3])
        while True:
            yield Batch(torch.tensor([next(rows)]), torch.tensor([0]))

    assert len(numbers(ROWS, [0, 0, 1], dataset=endless()).visualize()) == 3

    def broken():
        yield Batch(torch.tensor([ROWS[0]]), torch.tensor([0]))
        raise RuntimeError("disc full")

    with pytest.raises(RuntimeError, match="disc full"):
        numbers(ROWS, [0, 0, 1], dataset=broken()).visualize()


def bases(source):
    return [why.segments[0].split(" ")[1] for why in source.fetch()]


def test_examples_come_round_again():
    source = numbers(ROWS, [0, 0, 1], num_examples=2)
    assert [bases(source) for _ in range(3)] == [["3.00", "1.00"], ["5.00", "3.00"], ["1.00", "5.00"]]


def test_a_request_that_fails_changes_nothing():
    source = numbers(ROWS, [0, 0, 1], num_examples=1)
    first = source.fetch()
    before = source.settings
    with pytest.raises(LookupError, match="Nope"):
        source.answer({"method": "Nope"})
    assert source.settings is before
    assert source.again() == first
    assert [why.method for why in source.answer({"method": "Saliency", "time": 5})] == ["saliency"]


def test_settings_of_a_form():
    settings = Settings(method="x", arguments={"steps": 2}).changed({"classes": ["a"], "examples": "7"})
    assert (settings.classes, settings.examples, settings.arguments) == (("a",), 7, {"steps": 2})
    assert settings.changed({"method": "y"}).arguments == {}  # they are options of x
    assert settings.to_dict()["classes"] == ["a"]


def test_examples_are_accepted_by_class_and_by_right_or_wrong():
    assert Settings(method="x").accept("a", None)
    assert not Settings(method="x", classes=("b",)).accept("a", True)
    wrong = Settings(method="x", prediction="incorrect")
    assert [wrong.accept("a", right) for right in (True, False, None)] == [False, True, True]
