"""A comparison of methods: its ranking and statistics, and its file."""

import json

import pytest

from tests.viz.comparisons import compared
from xai_nlp.core.method_comparison import MethodComparison
from xai_nlp.core.statistics import mean_of, proportion
from xai_nlp.errors import UnreadableFile


def test_the_ranking_goes_by_deletion_and_leaves_out_what_was_not_measured():
    comparison = compared({"saliency": 0.2, "lrp": 2.0, "random": 0.0}, methods=("saliency", "lrp", "lime", "random"))
    assert comparison.ranking == ["lrp", "saliency", "random"]
    assert comparison.estimate("lime") is None
    assert comparison.flips("lime") is None
    assert comparison.levels("lime") == {}


def test_means_and_shares():
    comparison = compared(examples=6)
    drops = [one.deletion for one in comparison.of("shapley")]
    assert comparison.estimate("shapley") == mean_of(drops)
    assert comparison.levels("shapley")["holds"] == proportion(2, 6)
    assert comparison.flips("shapley") == proportion(3, 6)
    assert comparison.estimate("saliency", "residual") is None
    assert comparison.estimate("saliency", "naopc") is None
    others = [one.deletion for one in comparison.of("saliency")]
    assert comparison.difference("shapley", "saliency") == mean_of([a - b for a, b in zip(drops, others, strict=True)])


def test_only_examples_that_both_explain_are_paired():
    comparison = compared(examples=6)
    kept = [one for one in comparison.measurements if (one.method, one.row) != ("shapley", 2)]
    assert (
        MethodComparison(**{**vars(comparison), "measurements": tuple(kept)}).difference("shapley", "saliency").count
        == 5
    )


def test_its_file_holds_the_measurements_and_the_means():
    comparison = compared(examples=4)
    data = json.loads(comparison.to_json())
    assert data["summary"]["shapley"]["deletion"]["mean"] == comparison.estimate("shapley").mean
    assert len(data["measurements"]) == 16
    assert MethodComparison.from_json(comparison.to_json()) == comparison


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "no comparison"),
        ("[1]", "no comparison"),
        ('{"format": 99}', "format 99"),
        ('{"format": 1, "task": 3}', "task"),
    ],
)
def test_another_file_is_refused(content, match):
    with pytest.raises(UnreadableFile, match=match):
        MethodComparison.from_json(content)


def test_it_says_of_itself_what_it_is():
    comparison = compared({"shapley": 1.0, "random": 0.0})
    assert repr(comparison) == "<MethodComparison zoo/sentiment: 2 methods, 30 examples; best: shapley>"
