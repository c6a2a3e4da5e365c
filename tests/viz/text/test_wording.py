"""What is said about an explanation: numbers, the question, the facts."""

import pytest

from tests.viz.samples import made
from xai_nlp.viz.text.number_format import percent, signed, unsigned
from xai_nlp.viz.text.wording import (
    are_probabilities,
    explained_fact,
    headline,
    labels_of,
    output_text,
    segment_names,
    steps_used,
    target_name,
    unexplained,
)


@pytest.mark.parametrize(
    ("number", "peak", "shown"),
    [
        (1.0, None, "+1.00"),
        (-0.5, 1.0, "−0.50"),
        (0.0, 5.0, "0"),
        (0.004, 2.31, "+0.00"),
        (0.0213, None, "+0.0213"),
        (12.34, None, "+12.3"),
        (478.2, None, "+478.2"),
        (-123456.7, None, "−123457"),
        (3e-9, None, "+3.00e−9"),
        (2e7, None, "+2.00e7"),
    ],
)
def test_numbers_have_a_sign_and_three_digits(number, peak, shown):
    assert signed(number, peak) == shown
    assert unsigned(abs(number), peak) == shown.lstrip("+−")


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0"), (1, "100"), (0.5, "50"), (0.998, "99.8"), (0.99996, ">99.9"), (0.062, "6.2"), (0.0004, "0.04"),
     (0.00004, "<0.01"), (3.4, "340")],
)  # fmt: skip
def test_shares_are_never_falsely_0_or_100(share, shown):
    assert percent(share) == f"{shown}\u00a0%"


def test_the_question_is_about_the_target():
    assert headline(made()) == "Why POSITIVE?"
    assert headline(made(target=label("NEGATIVE"))) == "Why NEGATIVE?"
    assert headline(made(target=label("POSITIVE", "NEGATIVE"))) == "Why POSITIVE rather than NEGATIVE?"


def test_a_hyphen_in_a_label_is_no_contrast():
    assert headline(made(target=label("non-toxic"))) == "Why non-toxic?"
    assert headline(made(target=label("non-toxic", "toxic"))) == "Why non-toxic rather than toxic?"
    assert labels_of(label("toxic", "non-toxic")) == ("toxic", "non-toxic")
    assert labels_of(label("a-b")) == ("a-b",)
    assert labels_of(label("red", kind="token", answer="two red")) == ("two red",)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        (label("POSITIVE"), "POSITIVE"),
        (label("POSITIVE", "NEGATIVE"), "POSITIVE-NEGATIVE"),
        (label("Ada", kind="start"), "start"),
        (label("Ada", "it", "span"), "span of “Ada” rather than “it”"),
        (label("", "it", "span"), "span of no answer rather than “it”"),
        (label("red", kind="token", answer="two red", position=1), "red"),
    ],
)
def test_a_target_has_a_short_name(target, name):
    assert target_name(target) == name


def test_an_answer_is_asked_about_in_its_own_words():
    why = made(
        "Who?", pair="Ada", task="question-answering", target=label("Ada", kind="span"), outputs={"Ada": 0.9, "": 0.1}
    )
    assert headline(why) == "Why “Ada”?"
    assert segment_names(why) == ("Question", "Context")


def test_pairs_are_named_by_what_they_are():
    labels = {"ENTAILMENT": 0.7, "contradiction": 0.3}
    assert segment_names(made("a", pair="b", outputs=labels)) == ("Premise", "Hypothesis")
    assert segment_names(made("a", pair="b")) == ("Text 1", "Text 2")
    assert segment_names(made("a")) == ("",)


def test_what_is_left_is_a_share_of_what_was_to_be_explained():
    fact = unexplained(made(scores=[0.0, 1.0, -0.5, 0.375, 0.0]))  # 1 to explain, 0.875 explained
    assert (fact.value, fact.mood) == ("12\u00a0%", "poor")
    fact = unexplained(made(scores=[0.0, 1.0, 0.0, 0.0, 0.0]))
    assert (fact.value, fact.mood) == ("0\u00a0%", "good")
    fact = unexplained(made(scores=[0.0, 1.0, 0.03, 0.0, 0.0]))  # too much explained is as bad as too little
    assert (fact.value, fact.mood) == ("3.0\u00a0%", "fair")


def test_a_share_of_nothing_is_given_as_a_number():
    fact = unexplained(made(scores=[0.0, 0.25, 0.0, 0.0, 0.0], value=2.0, baseline_value=2.0))
    assert (fact.value, fact.mood) == ("0.250\u00a0logit", "poor")
    fact = unexplained(made(scores=[0.0] * 5, value=2.0, baseline_value=2 - 2**-10))  # 100 % of next to nothing
    assert (fact.value, fact.mood) == ("0.000977\u00a0logit", "good")
    fact = unexplained(made(scores=[0.0] * 5, value=0.0, baseline_value=0.0))
    assert (fact.value, fact.mood) == ("0\u00a0logit", "good")


def test_nothing_is_said_to_be_left_where_nothing_was_promised():
    assert unexplained(made(complete=False)) is None


def test_without_a_baseline_the_number_itself_is_shown():
    assert explained_fact(made()).value == "+1.00\u00a0logit"
    fact = explained_fact(made(baseline="none", unit=""))
    assert (fact.value, fact.label) == ("+1.50", "f(x), the number looked at")


def test_only_probabilities_are_percentages():
    assert are_probabilities({"a": 0.7, "b": 0.6})  # several labels may hold
    assert not are_probabilities({"stars": 0.8})
    assert not are_probabilities({"a": 1.2, "b": -0.2})
    assert output_text(made(outputs={"stars": 4.25}), "stars") == "+4.25"
    assert output_text(made(), "POSITIVE") == "75\u00a0%"


def test_steps_are_whole_numbers_or_not_known():
    assert steps_used(made()) == 17
    assert steps_used(made(params={"steps_used": True})) is None
    assert steps_used(made(params={})) is None
