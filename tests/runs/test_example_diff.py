"""Two explanations of one input: agreement by hand, and where it has no value."""

import pytest
from scipy import stats

from tests.viz.images import small
from tests.viz.samples import label, made
from xai_nlp.core.word_alignment import REST
from xai_nlp.errors import InvalidInput
from xai_nlp.runs.example_diff import compare

TEXT = "a long but good film"


def scored(*scores, text=TEXT, **more):
    return made(text, scores=[5.0, *scores, -5.0], **more)


def test_agreement_is_of_the_words_without_special_tokens():
    a, b = (3.0, -1.0, 0.5, 4.0, 0.0), (-0.2, -0.3, 0.4, 0.1, 0.05)
    one = compare(scored(*a), scored(*b), index=7, top=2)
    assert one.index == 7
    assert one.before.tokens == (*TEXT.split(), REST)
    assert one.rank_correlation == pytest.approx(stats.spearmanr(a, b).statistic)
    assert one.sign_flips == 1 / 5  # “a”
    assert one.top_overlap == 0.0  # a and good; but and long
    assert compare(scored(*a), scored(*b), top=9).top_overlap == 1.0


def test_a_score_near_zero_has_no_sign():
    assert compare(scored(1.0, 0.001, 0.0, 0.0, 0.0), scored(1.0, -0.001, 0.0, 0.0, 0.0)).sign_flips == 0.0
    assert compare(scored(1.0, 0.1, 0.0, 0.0, 0.0), scored(1.0, -0.1, 0.0, 0.0, 0.0)).sign_flips == 0.2


def test_one_word_has_no_rank():
    one = compare(scored(1.0, text="film"), scored(-1.0, text="film"))
    assert (one.rank_correlation, one.sign_flips, one.top_overlap, one.moved) == (None, 1.0, 1.0, 1.0)


def test_two_targets_have_no_agreement():
    one = compare(made(), made(target=label("NEGATIVE")))
    assert (one.rank_correlation, one.sign_flips, one.top_overlap, one.moved) == (None,) * 4


def test_regions_count_as_words_do():
    one = compare(small((1.0, 0.0, 0.0, 0.0)), small((0.0, 1.0, 0.0, 0.0)))
    names = [change.word for change in one.changes[:2]]
    assert names == ["row 1, column 1", "row 1, column 2"]
    assert 0 < one.moved < 1


def test_other_texts_are_refused():
    with pytest.raises(InvalidInput, match="same text"):
        compare(made("a film"), made("the film"))
