"""Rows of the table of all examples: text, prediction, strongest word, right answers, ids."""

from tests.viz.images import small
from tests.viz.samples import answered, made, with_gold
from xai_nlp.viz.text.index_rows import CHARACTERS, index_row


def row(*items, number=1):
    return index_row(number, items, [item.words() for item in items])


def test_a_row_says_text_prediction_and_strongest_word():
    one = row(made(scores=[0.0, 1.0, -2.5, 0.5, 0.0]))
    assert (one.text, one.prediction, one.output, one.output_value) == ("a fine film", "POSITIVE", "75\u00a0%", 0.75)
    assert (one.largest, one.size, one.strongest) == ("2.50\u00a0logit", 2.5, "fine")


def test_the_largest_score_is_that_of_any_explanation_and_region():
    assert row(made(scores=[0.0, 1.0, 0.0, 0.0, 0.0]), made(scores=[0.0, 3.0, 0.0, 0.0, 0.0])).size == 3.0
    assert row(small((0.5, -4.0, 0.0, 0.0))).size == 4.0


def test_right_and_wrong_answers():
    assert (row(made()).gold, row(made()).correct) == ("", None)
    assert (row(with_gold(made(), "POSITIVE", "MIXED")).gold, row(with_gold(made(), "POSITIVE")).correct) == (
        "POSITIVE / MIXED", True,
    )  # fmt: skip
    assert row(with_gold(made(), "NEGATIVE")).correct is False
    assert row(with_gold(answered("span"), "the Ada Lovelace")).correct is True  # SQuAD drops articles


def test_long_texts_are_cut_and_ids_follow_the_input():
    long = made("word " * 100)
    assert len(row(long).text) == CHARACTERS
    assert row(long).id == row(long).id != row(made()).id
    assert row(long, number=2).id.startswith("e2-")
    assert row(small(segments=("",), links=False)).text == "example 1"
