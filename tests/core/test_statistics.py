"""What many explanations say together, against values worked out by hand."""

import math

import numpy as np
import pytest

from tests.viz.images import asked
from tests.viz.samples import answered, label, made, matrices
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.statistics import (
    Estimate,
    confusion,
    head_sizes,
    label_of,
    mean_of,
    modality_shares,
    proportion,
    spread_of,
    strongest_entries,
    word_effects,
    word_sums,
)

Z2 = 1.959963984540054**2


def test_a_share_of_none_and_of_all():
    """Wilson's interval of 0 of n ends at z²/(n + z²), of n of n it starts at n/(n + z²)."""
    low, high = proportion(0, 7).interval
    assert (low, high) == (0.0, pytest.approx(Z2 / (7 + Z2), abs=1e-12))
    assert proportion(7, 7).interval == (pytest.approx(7 / (7 + Z2), abs=1e-12), 1.0)


def test_a_share_solves_its_equation():
    """Both ends p fulfil (share − p)² = z² p (1 − p) / n."""
    found = proportion(13, 40)
    for p in found.interval:
        assert (found.mean - p) ** 2 == pytest.approx(Z2 * p * (1 - p) / 40, abs=1e-12)
    assert found.count == 40


def test_the_mean_of_two_values_and_of_one():
    """Of two values at distance d, t with one degree of freedom is tan(π · 0.475): the half width is d/2 · that."""
    found = mean_of([1.0, 2.0])
    half = 0.5 * math.tan(math.pi * 0.475)
    assert found.mean == 1.5
    assert found.interval == (pytest.approx(1.5 - half, abs=1e-9), pytest.approx(1.5 + half, abs=1e-9))
    assert mean_of([4.0]) == Estimate(4.0, 1, None)
    assert mean_of([2.0, 2.0, 2.0]).interval == (2.0, 2.0)


def test_confusions_count_each_pair_once():
    pairs = [("b", "a"), ("a", "a"), ("a", "c"), ("b", "a")]
    found = confusion(pairs)
    assert found.labels == ("a", "b", "c")
    assert found.counts == ((1, 0, 1), (2, 0, 0), (0, 0, 0))
    assert confusion([]) is None
    assert confusion([(str(n), "x") for n in range(20)]) is None


def test_words_of_an_example_add_up():
    why = made("Fine, fine film", tokens=("[CLS]", "Fine", ",", "fine", "film", "[SEP]"),
               offsets=((0, 0), (0, 4), (4, 5), (6, 10), (11, 15), (0, 0)), segment=(-1, 0, 0, 0, 0, -1),
               scores=(9.0, 1.0, 5.0, 0.5, -2.0, 9.0))  # fmt: skip
    assert word_sums(why) == {"fine": 1.5, "film": -2.0}


def scored(text, *scores, **more):
    return made(text, scores=[0.0, *scores, 0.0], **more)


def test_words_are_ranked_by_what_they_brought_over_all_examples():
    items = [scored("good old film", 2.0, 0.0, -1.0), scored("good film", 1.0, 0.0), scored("rare good", 9.0, 3.0)]
    ((label, found),) = word_effects(items).items()
    effects = found.effects
    assert label == "POSITIVE"
    assert [effect.word for effect in effects] == ["good", "film"]  # `rare` and `old` are in one example only
    good, film = effects
    assert good.present == mean_of([2.0, 1.0, 3.0])
    assert good.overall == pytest.approx(2.0)
    assert film.overall == pytest.approx(-1 / 3)
    assert [effect.word for effect in word_effects(items, least=1)["POSITIVE"].effects] == [
        "rare",
        "good",
        "film",
        "old",
    ]


def test_labels_are_kept_apart_and_one_example_is_enough_where_there_is_one():
    items = [scored("good", 2.0), scored("good", 3.0, target=label("NEGATIVE")), scored("good", 4.0)]
    effects = word_effects(items)
    assert effects["POSITIVE"].effects[0].present.mean == 3.0
    assert effects["NEGATIVE"].effects[0].present == Estimate(3.0, 1, None)
    assert (effects["POSITIVE"].examples, effects["NEGATIVE"].examples) == (2, 1)


@pytest.mark.parametrize(
    ("why", "name"),
    [
        (made(), "POSITIVE"),
        (answered("start"), "start"),
        (answered("end", "x"), "end"),
        (answered("span"), "the answer"),
        (asked(), "red"),
        (made(target=label("POSITIVE", "NEGATIVE")), "POSITIVE-NEGATIVE"),
    ],
)
def test_what_words_are_listed_under(why, name):
    assert label_of(why) == name


def test_modalities_are_averaged():
    items = [asked(), made()]
    found = modality_shares(items)
    assert found["text"].count == 1
    assert found["text"].mean + found["image"].mean == pytest.approx(1)
    assert found["image"].mean == items[0].shares["image"]
    assert modality_shares([made()]) == {}


def test_heads_by_the_size_of_what_they_carry():
    def stack(*heads):
        scores = np.zeros((1, 2, 12, 12))
        scores[0, :, 0, 0] = heads
        return {"self": AttentionAttribution(scores=Array(scores), layers=("layer 0",), method="m", unit="logit")}

    found = head_sizes([answered(attention=stack(1.0, -4.0)), answered(attention=stack(-3.0, 2.0))])
    np.testing.assert_allclose(found["self", "m", ("layer 0",)], [[2.0, 3.0]])
    both = head_sizes([answered(attention={"self": matrices()}), answered(attention=stack(1.0, 1.0))])
    assert len(both) == 2  # other layers or another method: no mean over what cannot be compared


def test_strongest_entries_by_brute_force():
    stack = matrices()
    scores = stack.scores.numpy()
    expected = sorted(np.ndindex(scores.shape), key=lambda place: -abs(scores[place]))[:5]
    assert [tuple(place) for *place, _ in strongest_entries(stack, 5)] == expected
    assert all(number == scores[tuple(place)] for *place, number in strongest_entries(stack, 5))


def test_a_bootstrap_interval_is_scipys():
    """The same method by another package, up to the draws; the mean and the quartiles are exact."""
    from scipy import stats

    values = np.random.default_rng(3).beta(2, 5, size=60)
    found = spread_of(values.tolist())
    low, high = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", random_state=np.random.default_rng(5)
    ).confidence_interval
    assert found.mean.interval == pytest.approx((low, high), abs=0.004)
    assert found.quartiles == pytest.approx(np.quantile(values, [0, 0.25, 0.5, 0.75, 1]).tolist())
    assert found == spread_of(values.tolist())
    assert spread_of(values.tolist(), seed=1).mean.interval != found.mean.interval


def test_one_value_has_no_interval():
    assert spread_of([0.5]).mean == Estimate(0.5, 1, None)
