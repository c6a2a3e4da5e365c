"""Agreement of explanations: against definitions written out, scipy, and cases by hand."""

import itertools
import math

import numpy as np
import pytest

from tests.metrics import quantus_case
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.metrics import agreement, rank_correlation, sign_flips, top_k_overlap


def ranks(scores):
    """1 for the lowest; equal scores share the mean of their ranks."""
    ordered = sorted(scores)
    return [(ordered.index(s) + 1 + len(ordered) - ordered[::-1].index(s)) / 2 for s in scores]


def test_spearman_is_the_correlation_of_ranks():
    draws = np.random.default_rng(0)
    for _ in range(20):
        a, b = draws.integers(0, 6, (2, 9)).tolist()  # with equal scores
        assert rank_correlation(a, b) == pytest.approx(np.corrcoef(ranks(a), ranks(b))[0, 1])


def test_kendall_counts_pairs():
    draws = np.random.default_rng(1)
    for _ in range(20):
        a, b = draws.integers(0, 6, (2, 9))
        pairs = list(itertools.combinations(range(9), 2))
        orders = [(np.sign(a[i] - a[j]), np.sign(b[i] - b[j])) for i, j in pairs]
        agree = sum(x * y for x, y in orders)
        sizes = math.sqrt(sum(x != 0 for x, _ in orders) * sum(y != 0 for _, y in orders))
        assert rank_correlation(a, b, kind="kendall") == pytest.approx(agree / sizes)


def test_orders_that_are_the_same_or_the_reverse():
    scores = [0.3, -1.0, 2.0, 0.0]
    for kind in ("spearman", "kendall"):
        assert rank_correlation(scores, [10 * s + 1 for s in scores], kind=kind) == 1
        assert rank_correlation(scores, [-s for s in scores], kind=kind) == -1
        assert rank_correlation(scores, [-s for s in scores], kind=kind, absolute=True) == 1


def test_scores_without_an_order():
    assert math.isnan(rank_correlation([1.0, 1.0], [1.0, 2.0]))
    assert math.isnan(rank_correlation([0.0], [1.0]))
    assert rank_correlation([0.0, 0.0], [0.0, 0.0]) == 1


def test_signs():
    assert sign_flips([1, -1, 2, 0], [1, 1, -2, 5]) == 0.5
    assert sign_flips([1, -0.01, 2, 0], [1, 1, -2, 5], least=0.01) == 0.25
    assert sign_flips([0, 0], [1, -1]) == 0


def test_top_features():
    a, b = [5.0, -4.0, 3.0, 0.1], [0.0, -9.0, 1.0, 8.0]
    assert top_k_overlap(a, b, k=2) == 0.5  # {0, 1} and {1, 3}
    assert top_k_overlap(a, b, k=1, absolute=False) == 0  # {0} and {3}
    assert top_k_overlap(a, b, k=2, absolute=False) == 0.5  # {0, 2} and {3, 2}
    assert top_k_overlap(a, b, k=9) == 1


def test_every_pair():
    explanations = {"pad": [3.0, 1.0, -2.0], "mask": [2.0, 1.0, -1.0], "zero": [-1.0, 2.0, 3.0]}
    result = agreement(explanations, k=1)
    assert result.names == ("pad", "mask", "zero")
    for i, a in enumerate(explanations.values()):
        for j, b in enumerate(explanations.values()):
            assert result.rank_correlation[i, j] == rank_correlation(a, b)
            assert result.sign_flips[i, j] == sign_flips(a, b)
            assert result.top_k_overlap[i, j] == top_k_overlap(a, b, k=1)
    assert result.mean("rank_correlation") == pytest.approx((1 - 1 - 1) / 3)
    assert result.mean("sign_flips") == pytest.approx((0 + 2 / 3 + 2 / 3) / 3)
    assert math.isnan(agreement({"a": [1, 1], "b": [2, 1]}).mean("rank_correlation"))


@pytest.mark.parametrize("measure", [rank_correlation, sign_flips, top_k_overlap])
@pytest.mark.parametrize(
    ("a", "b", "message"),
    [([1.0], [1.0, 2.0], "same features"), ([], [], "same features"), ([math.nan], [1.0], "NaN or infinite")],
)
def test_wrong_input(measure, a, b, message):
    with pytest.raises(InvalidInput, match=message):
        measure(a, b)


def test_wrong_options():
    with pytest.raises(UnknownName, match="spearman"):
        rank_correlation([1.0, 2.0], [1.0, 3.0], kind="spearmen")
    with pytest.raises(InvalidInput, match="at least 1"):
        top_k_overlap([1.0], [1.0], k=0)
    with pytest.raises(InvalidInput, match="at least two"):
        agreement({"pad": [1.0]})


def test_rank_correlations_are_those_of_quantus():
    first, second = quantus_case.scores().numpy()
    assert rank_correlation(first, second) == pytest.approx(quantus_case.SPEARMAN)
    assert rank_correlation(first, second, kind="kendall") == pytest.approx(quantus_case.KENDALL)
