"""What is said of a comparison: the verdict, its facts, and each example."""

from dataclasses import replace

import pytest

from tests.core.test_model_diff import FLIPPED, comparison, example
from tests.viz.samples import answered, label, made
from xai_nlp.core.model_diff import DiffThresholds, ExampleDiff, Failure
from xai_nlp.viz.text import diff_wording

SAME = [1.0, 0.0, 0.0]


def test_the_verdict_of_a_model_and_itself():
    found = diff_wording.verdict(comparison(example(SAME, SAME)))
    assert found == "The two models say the same for the same reasons: nothing changes in 1\u00a0example."


def test_the_verdict_names_counts_and_the_word_that_moved_most():
    found = comparison(example(SAME, SAME, other=FLIPPED), example([1.0, 1.0, 0.0], [1.0, 0.0, 0.0], index=1))
    assert diff_wording.verdict(found) == (
        "The two models differ: 1 of 2 predictions changes, and 1 of 2 explanations changes beyond the thresholds. "
        "“a” moves most."
    )


def test_the_verdict_within_the_thresholds():
    found = comparison(example([1.0, 1.0, 0.0], [1.0, 0.9, 0.0]))
    assert diff_wording.verdict(found).startswith("The two models agree within the thresholds: 0 of 1 predictions")


def test_what_one_model_alone_explains_is_in_the_verdict():
    found = comparison(example(SAME, SAME), failures=(Failure(1, "A", "x"), Failure(2, "both", "y")))
    assert "1\u00a0example is explained by one model alone" in diff_wording.verdict(found)


def test_facts_have_intervals():
    examples = [example(SAME, SAME, rank_correlation=1.0), example(SAME, SAME, rank_correlation=-0.5)]
    flips, moved, ranks = diff_wording.facts(comparison(*examples))
    assert (flips.value, flips.label) == ("0 of 2", "predictions changed: 0\u00a0% to 66\u00a0%")
    assert moved.value == "0\u00a0%"
    assert (ranks.value, ranks.label) == ("0.25", "rank correlation of the words: −0.50 to 1.00")
    assert diff_wording.facts(comparison(examples[0]))[1].label.endswith(": one example")


@pytest.mark.parametrize(
    ("why", "other", "told"),
    [
        (made(), made(), "POSITIVE 75\u00a0% → 75\u00a0%"),
        (made(), made(**FLIPPED), "POSITIVE 75\u00a0% → NEGATIVE 90\u00a0%"),
        (answered("span"), answered("span", outputs={"Ada": 0.5}), "“Ada Lovelace” 75\u00a0% → “Ada” 50\u00a0%"),
        (made(outputs={}), made(outputs={}), "nothing → nothing"),
        (
            made(target=label("score", kind="output"), outputs={"score": 1.5}),
            made(target=label("score", kind="output"), outputs={"score": -2.0}, value=-2.0),
            "+1.50 → −2.00",
        ),
    ],
)
def test_what_became_of_a_prediction(why, other, told):
    assert diff_wording.outcome(ExampleDiff(index=0, before=why, after=other)) == told


def test_agreement_of_an_example_in_words():
    one = example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], rank_correlation=0.5, sign_flips=0.25, top_overlap=1.0)
    assert " · ".join(diff_wording.agreement_text(one)) == (
        "50\u00a0% moved · rank correlation 0.50 · 25\u00a0% changed sign · 100\u00a0% of the strongest words shared"
    )
    negative = replace(one.before, target=label("NEGATIVE"))
    assert next(diff_wording.agreement_text(ExampleDiff(index=0, before=negative, after=negative))) == (
        "explained is NEGATIVE"
    )
    other = ExampleDiff(index=0, before=one.before, after=negative)
    assert list(diff_wording.agreement_text(other)) == ["the two explain different targets, POSITIVE and NEGATIVE"]


def test_a_word_with_how_often_it_occurs():
    twice, once = example([1.0, 1.0, 2.0], [2.0, 1.0, 1.0], text="Film film good").changes
    assert {diff_wording.word_text(twice), diff_wording.word_text(once)} == {"Film ×2", "good"}


def test_two_targets_show_the_strongest_words_of_each():
    one = example([3.0, -1.0, 0.0], [0.0, 0.0, 2.0], other={"target": label("NEGATIVE")})
    assert list(diff_wording.strongest_of_both(one, 2)) == [
        "for POSITIVE: a +75.0\u00a0%, fine −25.0\u00a0%",
        "for NEGATIVE: film +100.0\u00a0%",
    ]


def test_thresholds_in_words():
    every = DiffThresholds(least_correlation=0.5, most_sign_flips=0.25, least_overlap=0.75, most_changed=0.05)
    assert diff_wording.thresholds_text(comparison(example(SAME, SAME), thresholds=every)) == [
        "predictions that may change: 0\u00a0%",
        "explanations that may change: 5.0\u00a0%",
        "an explanation is changed if more than 10\u00a0% of it moved or more than 25\u00a0% of its words changed sign "
        "or its rank correlation is below 0.50 or fewer than 75\u00a0% of its strongest words are shared",
    ]
    none = comparison(example(SAME, SAME), thresholds=DiffThresholds(most_moved=None))
    assert diff_wording.thresholds_text(none)[-1] == "no explanation counts as changed"
