"""Numbers as text: signs, digits, percentages, counts."""

import pytest

from xai_nlp.viz.text.number_format import brief, count, percent, signed, unsigned, with_unit


@pytest.mark.parametrize(
    ("number", "peak", "text"),
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
def test_numbers_have_a_sign_and_three_digits(number, peak, text):
    assert signed(number, peak) == text
    assert unsigned(abs(number), peak) == text.lstrip("+−")


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.5, "50"), (0.998, "99.8"), (0.99996, ">99.9"), (0.062, "6.2"), (0.0004, "0.04"),
     (0.00004, "<0.01"), (3.4, "340")],
)  # fmt: skip
def test_shares_are_never_falsely_0_or_100(share, text):
    assert percent(share) == f"{text}\u00a0%"


def test_units_and_counts_stay_on_one_line():
    assert with_unit("+1.00", "logit") == "+1.00\u00a0logit"
    assert with_unit("+1.00", "") == "+1.00"
    assert (count(1, "token"), count(2000, "token")) == ("1\u00a0token", "2,000\u00a0tokens")


def test_dense_tables_get_few_characters():
    assert [brief(n, 0.9) for n in (0.237, -0.04, 0.0, 0.9)] == [".24", "−.04", "0", ".90"]
    assert brief(12.0, 12.0) == "12.0"
