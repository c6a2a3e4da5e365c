"""The best and the worst order against all orders, random orders, and NAOPC between them."""

import itertools

import pytest
import torch

from tests.metrics.functions import additive, subject_of, tangled
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics import aopc, best_and_worst_order, naopc, random_orders
from xai_nlp.metrics.orders import _widened, random_scores


def brute_force(f, x, x0, counts):
    """The mean drop of every order (m!, T) over these sizes, one pass for each order and size."""
    totals = []
    for order in itertools.permutations(range(len(x))):
        rows = torch.stack([x, *[x.scatter(0, torch.tensor(order[:k]), x0[list(order[:k])]) for k in counts]])
        values = f(rows)
        totals.append((values[:1] - values[1:]).mean(0))
    return torch.stack(totals)


@pytest.mark.parametrize("search", [{}, {"exact": 0, "beam": 5000}])
@pytest.mark.parametrize(("sizes", "counts"), [(None, range(1, 7)), ([0.2, 0.5], [2, 3])])
def test_bounds_are_those_of_all_orders(search, sizes, counts):
    f, x, x0 = tangled(features=6, examples=2)
    subject = subject_of(f, x, x0)
    bounds = best_and_worst_order(subject, sizes=sizes, **search)
    for b in range(2):
        every = brute_force(f, x[b], x0[b], counts)
        if sizes is None or not search:  # a beam goes by the mean over all sizes
            torch.testing.assert_close(bounds.best[b], every.max(0).values)
            torch.testing.assert_close(bounds.worst[b], every.min(0).values)
    for t in range(2):  # the orders that come with them have these numbers
        torch.testing.assert_close(aopc(subject, bounds.best_scores[:, t], sizes=sizes)[:, t], bounds.best[:, t])
        torch.testing.assert_close(aopc(subject, bounds.worst_scores[:, t], sizes=sizes)[:, t], bounds.worst[:, t])
    assert bounds.exact.tolist() == [not search] * 2


def test_naopc_of_eight_words_is_brute_force():
    f, x, x0 = tangled(features=8, examples=1, seed=3)
    scores = torch.rand(1, 8)
    every = brute_force(f, x[0], x0[0], range(1, 9))
    order = tuple(sorted(range(8), key=lambda i: -scores[0, i]))
    own = every[list(itertools.permutations(range(8))).index(order)]
    expected = (own - every.min(0).values) / (every.max(0).values - every.min(0).values)
    torch.testing.assert_close(naopc(subject_of(f, x, x0), scores).value[0], expected)


def test_of_an_additive_function_the_order_of_its_terms_is_best():
    f, x, x0 = additive([[4.0, 2.0, -1.0, 3.0], [0.5, 2.5, 1.0, 8.0]])
    for search in ({}, {"exact": 0, "beam": 1}):
        result = naopc(subject_of(f, x, x0), x, **search)
        torch.testing.assert_close(result.value, torch.ones(2, 1))
        torch.testing.assert_close(naopc(subject_of(f, x, x0), -x, **search).value, torch.zeros(2, 1))
        assert (result.position == 1).all()
        assert (result.position_interval == 1).all()


def test_a_narrow_beam_misses_what_a_wider_one_finds():
    def pair(z):  # 10 are lost where the first two are gone, and a little by each of the others
        return ((z[:, 0] + z[:, 1]).clamp_max(1) * 10 + z[:, 2:].sum(1))[:, None]

    x = torch.ones(1, 10)
    x[:, 2:] = 0.1
    subject = subject_of(pair, x, torch.zeros(1, 10))
    narrow, wide = (best_and_worst_order(subject, beam=n) for n in (1, 60))
    exact = best_and_worst_order(subject, exact=10)
    assert narrow.best < wide.best - 1
    torch.testing.assert_close(wide.best, exact.best)
    assert (wide.exact.item(), exact.exact.item()) == (False, True)
    both_first = x.clone()
    both_first[:, :2] = 9
    result = naopc(subject, both_first, beam=1)  # it is better than what the search finds
    assert result.value == 1
    torch.testing.assert_close(result.best, exact.best.float())


def test_beams_hold_each_set_once():
    sets = torch.eye(3, dtype=torch.bool)[:, None] | torch.eye(3, dtype=torch.bool)
    gained = torch.tensor([0.0, 5, 1, 4, 0, 2, 1, 3, 0])  # {0, 1} is the best and the second best
    orders, drops = _widened(torch.tensor([[0], [1], [2]]), torch.zeros(3, 1), sets, gained, 3)
    assert orders.tolist() == [[0, 1], [2, 1], [0, 2]]
    assert drops.tolist() == [[0, 5], [0, 3], [0, 1]]


def test_examples_with_fewer_features():
    f, x, x0 = additive([[4.0, 2.0, 1.0], [5.0, 7.0, 9.0]])
    subject = subject_of(f, x, x0, torch.tensor([[0, 1, 2], [0, 1, -1]]))
    bounds = best_and_worst_order(subject)
    torch.testing.assert_close(bounds.best[:, 0], torch.tensor([(4 + 6 + 7) / 3, (7 + 12) / 2]).double())
    assert (bounds.best_scores[1, 0, 2]) == 0


def test_a_constant_function_has_no_best_order():
    _, x, x0 = additive([[4.0, 2.0, 1.0]])
    result = naopc(subject_of(lambda z: torch.ones(len(z), 1), x, x0), x)
    assert result.value.isnan().all()
    assert result.best.item() == result.worst.item() == 0


def test_random_orders():
    f, x, x0 = additive([[4.0, 2.0, 1.0, 0.0, 0.0]] * 2)
    subject = subject_of(f, x, x0, torch.tensor([[0, 1, 2, 3, 4], [0, 1, 2, -1, -1]]))
    random = random_orders(subject, orders=200, seed=1)
    assert random.aopc.shape == (2, 200, 1)
    # features that change nothing do not count, so each of three places is as likely for each term
    torch.testing.assert_close(random.mean, torch.full((2, 1), 7 * (1 + 2 / 3 + 1 / 3) / 3), atol=0.2, rtol=0)
    low, high = random.interval[0, 0]
    assert low < random.mean[0, 0] < high
    low, high = random.range[0, 0]
    assert (random.aopc[0, :, 0] >= low).double().mean() >= 0.95
    assert (random.aopc[0, :, 0] <= high).double().mean() >= 0.95
    best = aopc(subject, x)
    assert random.share_below(best)[0].item() == pytest.approx((random.aopc[0] < best[0]).double().mean().item())
    assert random_scores(subject, orders=3, seed=1).equal(random_scores(subject, orders=3, seed=1))
    assert not random_scores(subject, orders=3, seed=1).equal(random_scores(subject, orders=3, seed=2))
    alone = subject_of(f, x[1:], x0[1:], torch.tensor([[0, 1, 2, -1, -1]]))
    assert random_scores(alone, orders=3)[0, :, :3].equal(random_scores(subject, orders=3)[1, :, :3])


def test_wrong_input():
    f, x, x0 = additive([[4.0, 2.0]])
    with pytest.raises(InvalidInput, match="at least 2"):
        random_orders(subject_of(f, x, x0), orders=1)
    with pytest.raises(InvalidInput, match="beam"):
        best_and_worst_order(subject_of(f, x, x0), beam=0)
