"""When two answers are the same; `tests/metrics/test_squad.py` compares with the official script."""

import pytest

from xai_nlp.core.answers import exact_match, normalize_answer


def test_case_articles_punctuation_and_spaces_do_not_count():
    assert normalize_answer("  The Cat's  pyjamas, a hat!") == "cats pyjamas hat"


@pytest.mark.parametrize(
    ("answer", "golds", "same"),
    [("the Normans", ["Normans."], 1), ("Normans", ["1066", "the normans"], 1), ("Norman", ["Normans"], 0),
     ("", [], 1), ("Normans", [], 0), ("the", [""], 1)],
)  # fmt: skip
def test_one_of_the_right_ones_is_enough(answer, golds, same):
    assert exact_match(answer, golds) == same
