"""A comparison of methods in words: what it claims, it has measured."""

import pytest

from tests.viz.comparisons import compared
from xai_nlp.core.method_comparison import MethodFailure
from xai_nlp.viz.text.method_comparison import (
    COST,
    columns,
    cost_cells,
    failures,
    faithfulness_cells,
    sentences,
    settings,
)


@pytest.mark.parametrize(
    ("drops", "examples", "said"),
    [
        (
            {"shapley": 2.0, "lime": 1.0, "random": 0.0},
            30,
            "Shapley explains zoo/sentiment best, and its lead over lime is more",
        ),
        ({"shapley": 1.0, "lime": 1.0, "random": 0.0}, 30, "explains zoo/sentiment best, but its lead over"),
        ({"shapley": 1.0, "random": 0.0}, 30, "its lead over random scores is more than chance."),
        ({"shapley": -1.0, "random": -2.0}, 30, "No method explains zoo/sentiment better than random scores."),
        ({"shapley": -1.0, "random": 2.0}, 30, "No method explains"),
        ({"shapley": 1.0, "random": 0.0}, 1, "One example does not tell which method explains zoo/sentiment best."),
        ({}, 1, "Nothing was measured."),
    ],
)
def test_the_headline_says_which_is_best_and_whether_that_is_chance(drops, examples, said):
    assert said in sentences(compared(drops, examples))[0]


def test_the_second_sentence_has_the_numbers():
    comparison = compared({"shapley": 2.0, "lime": 1.0, "random": 0.0}, part="region", unit="logit")
    rest = sentences(comparison)[1]
    assert "Removing its top regions first" in rest
    assert f"{comparison.estimate('shapley').mean:.2f}" in rest
    low, high = comparison.difference("shapley", "lime").interval
    assert f"{low:+.2f} to {high:+.2f}" in rest
    assert "paired over 30" in rest


def test_cells_are_means_with_half_an_interval():
    comparison = compared()
    assert list(columns(comparison)) == ["deletion", "insertion", "beaten", "comprehensiveness", "sufficiency"]
    estimate = comparison.estimate("shapley")
    mean, half = faithfulness_cells(comparison, "shapley")[0]
    assert mean == f"{estimate.mean:+.2f}"
    assert half == f"±{(estimate.interval[1] - estimate.interval[0]) / 2:.2f}"
    assert faithfulness_cells(compared(examples=1), "shapley")[0][1] == ""
    cells = dict(zip(COST, cost_cells(comparison, "saliency"), strict=True))
    assert (cells["holds"], cells["flips"], cells["residual"]) == ("33\xa0%", "50\xa0%", "–")
    assert (cells["passes"], cells["milliseconds"]) == ("1,234", "6")


def test_settings_and_failures_are_said():
    assert ("examples", "30 of 31") in settings(compared())
    assert failures(compared()) == ["row 7: the text is empty."]
    many = [MethodFailure(row=row, method="lime", message="it cannot") for row in (2, 4)]
    assert failures(compared(failures=many)) == ["2 rows, the first is 2, lime: it cannot"]
