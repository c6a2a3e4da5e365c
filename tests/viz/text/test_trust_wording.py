"""A verdict in words, and the numbers of its checks as a table."""

from tests.recipes.saved import DOUBT
from xai_nlp.core.trust import LEVELS, TrustCheck
from xai_nlp.viz.text.trust_wording import check_name, check_numbers, level_kind, verdict_sentence


def test_the_weakest_check_speaks():
    assert verdict_sentence(DOUBT) == "This explanation holds in part. Some random orders do as well."
    assert [level_kind(level) for level in LEVELS] == ["good", "fair", "poor"]


def test_numbers_of_a_check_are_a_table_of_the_ways_to_remove():
    check = TrustCheck(
        name="removal",
        level="holds",
        sentence="",
        numbers={"distance": 2.5, "pad: a": 1.0, "mask: a": -2.0, "mask: b": 0.5},
    )
    assert check_numbers(check) == (["pad", "mask"], [("a", ["+1.00", "−2.00"]), ("b", ["", "+0.500"])])
    assert check_name(check) == "Removing words"
    assert check_name(TrustCheck(name="own_check", level="holds", sentence="")) == "Own check"
