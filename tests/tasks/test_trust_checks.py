"""Levels and sentences of the checks, at their thresholds, from numbers that were made by hand."""

import math

import pytest
import torch

from tests.viz.samples import label, made
from xai_nlp.metrics.removal_drops import RemovalDrops
from xai_nlp.tasks.flips import Flip
from xai_nlp.tasks.trust_checks import (
    agreement_check,
    effect_check,
    flip_check,
    inputs_check,
    removal_check,
    residual_check,
    weights_check,
)


def drops(gap=2.0, random_gaps=(1.0, -1.0, 1.0, -1.0), correlation=0.8, largest=3.0):
    """What removals did: the gap of the explanation's own order, and those of random ones."""
    random = torch.tensor([[one, 0.0] for one in random_gaps], dtype=torch.float64)
    own = torch.tensor([[gap, 0.0]], dtype=torch.float64)
    return RemovalDrops(
        own=own,
        random=random,
        correlation=torch.tensor([correlation], dtype=torch.float64),
        best=5.0,
        worst=-5.0,
        largest=largest,
    )


def removal(**numbers):
    return removal_check({"pad": drops(**numbers)}, 0, 9, "word")


@pytest.mark.parametrize(
    ("gap", "correlation", "level"),
    [
        (1.9, 0.66, "holds"),
        (1.89, 0.66, "holds in part"),
        (1.9, 0.65, "holds in part"),
        (0.0, 0.9, "holds"),
        (1.0, 0.3, "holds in part"),
        (0.99, 0.89, "do not rely on it"),
        (5.0, 0.29, "do not rely on it"),
        (-3.0, -0.9, "do not rely on it"),
    ],
)
def test_levels_of_removal(gap, correlation, level):
    check = removal(gap=gap, correlation=correlation)
    assert check.numbers["distance"] == pytest.approx(gap)  # random gaps have the size 1
    assert check.level == level


def test_a_random_order_and_its_reverse_are_two():
    assert removal(gap=2.0, random_gaps=(1.0, -3.0, 1.5)).numbers["of them worse"] == 5  # all but the 3 of ±3
    assert removal(gap=-2.0, random_gaps=(1.0, -3.0, 1.5)).numbers["of them worse"] == 1
    assert removal(gap=0.0, random_gaps=(1.0, -3.0)).numbers["of them worse"] == 2
    assert removal().numbers["random orders"] == 8


def test_ways_to_remove_are_averaged():
    ways = {"pad": drops(gap=1.0, correlation=0.2), "mask": drops(gap=3.0, correlation=0.6)}
    check = removal_check(ways, 0, 9, "word")
    assert check.numbers["distance"] == pytest.approx(2.0)
    assert check.numbers["correlation"] == pytest.approx(0.4)
    assert {"pad: deletion", "mask: deletion"} <= set(check.numbers)


def test_the_distance_is_in_standard_deviations_of_random_gaps_around_zero():
    assert removal(gap=5.0, random_gaps=(1.0, -7.0)).numbers["distance"] == pytest.approx(1.0)  # √((1 + 49)/2) is 5
    assert removal(gap=2.0, random_gaps=(0.0, 0.0)).numbers["distance"] == 0


def test_the_effect_of_a_number_without_a_unit_is_a_share_of_it():
    item = made(target=label("score", kind="output", unit="output"), value=50.0, baseline_value=10.0)
    assert effect_check(item, [drops(largest=0.99)], "word").level == "holds in part"  # below 2 % of 50
    assert effect_check(item, [drops(largest=1.01)], "word").level == "holds"


def test_sentences_of_removal():
    assert removal().sentence == (
        "Its scores predict how the output changes when words are removed (correlation 0.80). "
        "Removing its top words first lowers the output faster than all 8 random orders."
    )
    assert removal(gap=1.5, correlation=0.5).sentence.endswith("than all 8 random orders, but not by much.")
    assert removal(gap=1.5, correlation=0.5).sentence.startswith("Its scores predict roughly")
    assert removal(gap=-1.5, correlation=0.1).sentence.startswith("Its scores do not predict")
    assert "0 of 8 random orders." in removal(gap=-1.5, correlation=0.1).sentence
    few = removal_check({"pad": drops(gap=9.0, correlation=1.0)}, 0, 3, "region")
    assert (few.level, few.sentence) == (
        "holds in part", "It has 3 regions, too few to tell its scores from random ones.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("largest", "level"), [(0.0, "do not rely on it"), (0.09, "holds in part"), (0.1, "holds"), (3.0, "holds")]
)
def test_levels_of_the_effect(largest, level):
    check = effect_check(made(), [drops(largest=0.0), drops(largest=largest)], "word")
    assert (check.level, check.numbers) == (level, {"largest change": largest})


@pytest.mark.parametrize(
    ("left", "level"), [(0.04, "holds"), (0.06, "holds in part"), (0.19, "holds in part"), (0.21, "do not rely on it")]
)
def test_levels_of_the_residual(left, level):
    item = made(scores=[0.0, 1 - left, 0.0, 0.0, 0.0])  # f(x) − f(x₀) is 1
    check = residual_check(item)
    assert check.level == level
    assert check.numbers["share"] == pytest.approx(left)
    assert check.sentence == f"The scores leave {100 * left:.0f} % of the change unexplained."
    assert residual_check(made(complete=False)) is None


def test_others_agree_from_a_rank_correlation_of_one_half_on():
    (sure,) = agreement_check("seed", 0.5, "Now they have", worst="do not rely on it")
    (doubt,) = agreement_check("seed", 0.49, "Now they have", worst="do not rely on it")
    assert (sure.level, doubt.level) == ("holds", "do not rely on it")
    assert doubt.sentence == "Now they have another order (rank correlation 0.49)."
    assert [check.level for check in agreement_check("method", -1.0, "Now they have")] == ["holds in part"]


def test_scores_without_an_order_are_not_compared():
    assert not list(agreement_check("method", math.nan, "Now they have"))


def test_scores_that_do_not_depend_on_the_weights_hold_in_part():
    assert weights_check(0.49).level == "holds"
    assert weights_check(0.5).level == "holds in part"
    assert "much the same order" in weights_check(0.9).sentence


def test_unusual_inputs_warn_and_lower_no_level():
    assert inputs_check({"pad": 0.5, "mask": 0.2}).sentence == (
        "Up to 50 % of the removals leave an input unlike the other examples."
    )
    warning = inputs_check({"pad": 1.0})
    assert warning.level == "holds"
    assert warning.sentence.endswith("so that the removal check says less.")


def test_the_words_that_decide_are_listed_in_the_order_of_the_text():
    words = made(scores=[0.0, 3.0, 1.0, 2.0, 0.0])  # [CLS] a fine film [SEP]
    check = flip_check(words, Flip((3, 1), "NEGATIVE"), searched=True)
    assert check.sentence == "Without “a” and “film” the model says NEGATIVE. The explanation ranks 2 of 2 on top."
    assert flip_check(words, Flip((2,), "NEGATIVE"), searched=True).numbers == {"words": 1, "of them on top": 0}
    assert flip_check(words, Flip((2,), "NEGATIVE"), searched=False).sentence == (
        "Without “fine” the model says NEGATIVE."
    )
    assert "No set of up to 6 words" in flip_check(words, None, searched=True).sentence
    assert "stays POSITIVE" in flip_check(words, None, searched=False).sentence
