"""Deletion, insertion, AOPC, ERASER's two: closed forms, and a loop over the sizes."""

import math

import pytest
import torch

from tests.metrics import quantus_case
from tests.metrics.functions import additive, subject_of, tangled
from xai_nlp.errors import InvalidInput
from xai_nlp.metrics import aopc, comprehensiveness, deletion_curve, insertion_curve, sufficiency
from xai_nlp.metrics.deletion import size_table


def looped(f, x, x0, order, counts, *, insert=False):
    """f with the first features of an order at the baseline, or with only them at x, one pass each."""
    values = []
    for count in counts:
        z = (x0 if insert else x).clone()
        for feature in order[:count]:
            z[feature] = (x if insert else x0)[feature]
        values.append(f(z[None])[0])
    return torch.stack(values, 1)


@pytest.mark.parametrize("insert", [False, True])
def test_curves_are_a_loop(insert):
    f, x, x0 = tangled(features=7, examples=3)
    scores = torch.rand(3, 7, dtype=torch.float64)
    curve = (insertion_curve if insert else deletion_curve)(subject_of(f, x, x0), scores)
    assert curve.values.shape == (3, 2, 8)
    for b in range(3):
        order = sorted(range(7), key=lambda i: -scores[b, i])
        torch.testing.assert_close(curve.values[b], looped(f, x[b], x0[b], order, range(8), insert=insert))
        torch.testing.assert_close(curve.values[b, :, 7 if insert else 0], f(x[b : b + 1])[0])


def test_curves_are_those_of_quantus():
    model, x = quantus_case.net(), quantus_case.inputs()
    curve = deletion_curve(subject_of(model, x, 0 * x), quantus_case.scores())
    for b, known in enumerate(quantus_case.CURVES):
        assert curve.values[b, b, 1:].tolist() == pytest.approx(known, abs=1e-6)


def test_several_orders_share_passes():
    calls = []
    f, x, x0 = tangled(features=5, examples=2)
    counted = lambda z: calls.append(len(z)) or f(z)  # noqa: E731
    scores = torch.rand(2, 6, 5, dtype=torch.float64)
    scores[:, 1] = scores[:, 0]
    curve = deletion_curve(subject_of(counted, x, x0), scores)
    assert curve.values.shape == (2, 6, 2, 6)
    assert sum(calls) <= 2 * (2 + 5 * 4)  # all and none once, and the equal order costs nothing
    for o in range(6):
        torch.testing.assert_close(curve.values[:, o], deletion_curve(subject_of(f, x, x0), scores[:, o]).values)


def test_of_an_additive_function_everything_is_a_sum():
    f, x, x0 = additive([[4.0, 2.0, 1.0, 3.0]])
    scores = torch.tensor([[4.0, 2.0, 1.0, 3.0]])
    subject = subject_of(f, x, x0)
    assert deletion_curve(subject, scores).values.tolist() == [[[10, 6, 3, 1, 0]]]
    assert insertion_curve(subject, scores).values.tolist() == [[[0, 4, 7, 9, 10]]]
    assert aopc(subject, scores).item() == pytest.approx((4 + 7 + 9 + 10) / 4)
    assert aopc(subject, -scores).item() == pytest.approx((1 + 3 + 6 + 10) / 4)
    # 1, 5, 10, 20 % of four words are one word, 50 % are two
    assert comprehensiveness(subject, scores).item() == pytest.approx((4 * 4 + 7) / 5)
    assert sufficiency(subject, scores).item() == pytest.approx((4 * 6 + 3) / 5)


def test_sizes_are_shares_rounded_up():
    f, x, x0 = additive([[3.0, 2.0, 1.0] + [0.5] * 27])
    assert size_table(torch.tensor([100]), [0.07])[0].item() == 7
    curve = deletion_curve(subject_of(f, x, x0), x, sizes=[0, 0.1, 0.11, 0.5, 1])
    assert curve.counts.tolist() == [[0, 3, 4, 15, 30]]
    assert curve.values.tolist() == [[[19.5, 13.5, 13.0, 7.5, 0.0]]]
    assert curve.mean.item() == pytest.approx((19.5 + 13.5 + 13.0 + 7.5) / 5)


def test_features_that_an_example_lacks_are_never_removed():
    f, x, x0 = additive([[4.0, 2.0, 1.0], [5.0, 7.0, 0.0]])
    features = torch.tensor([[0, 1, 2], [0, 1, -1]])
    subject = subject_of(f, x, x0, features)
    scores = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 9.0]])
    assert deletion_curve(subject, scores).values.tolist() == [[[7, 6, 4, 0]], [[12, 5, 0, 0]]]
    scores[1, 2] = math.nan  # it is no score
    curve = deletion_curve(subject, scores)
    assert curve.values.tolist() == [[[7, 6, 4, 0]], [[12, 5, 0, 0]]]
    torch.testing.assert_close(aopc(subject, scores)[:, 0], torch.tensor([(1 + 3 + 7) / 3, (7 + 12) / 2]))
    assert deletion_curve(subject, scores, sizes=[0.5]).counts.tolist() == [[2], [1]]


def test_a_batch_is_its_examples():
    f, x, x0 = tangled(features=6, examples=4)
    scores = torch.rand(4, 6)
    together = aopc(subject_of(f, x, x0), scores)
    for b in range(4):
        alone = aopc(subject_of(lambda z, b=b: f(z), x[b : b + 1], x0[b : b + 1]), scores[b : b + 1])
        torch.testing.assert_close(alone[0], together[b])


def test_values_are_summed_in_float32():
    f, x, x0 = additive([[1.0, 2.0, 3.0]])
    subject = subject_of(lambda z: f(z).half(), x, x0)
    assert aopc(subject, x).dtype.itemsize >= 4


@pytest.mark.parametrize(
    ("scores", "sizes", "message"),
    [
        ([[1.0, 2.0]], None, "3 features of 1 examples"),
        ([1.0, 2.0, 3.0], None, r"got \(3,\)"),
        ([[1.0, math.nan, 0.0]], None, "NaN or infinite"),
        ([[1.0, 2.0, 3.0]], [], "at least one"),
        ([[1.0, 2.0, 3.0]], [1.5], "from 0 to 1"),
    ],
)
def test_wrong_input(scores, sizes, message):
    f, x, x0 = additive([[3.0, 2.0, 1.0]])
    with pytest.raises(InvalidInput, match=message):
        deletion_curve(subject_of(f, x, x0), scores, sizes=sizes)
