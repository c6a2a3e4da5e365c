"""Running moments against those of all samples at once."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_nlp.core.moments import Moments, moments_of

seeds = st.integers(0, 10_000)
quick = settings(max_examples=25, deadline=None)


@given(seeds, st.integers(1, 40), st.integers(1, 9))
@quick
def test_moments_are_those_of_all_samples_at_once(seed, count, size):
    samples = torch.randn(count, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 100
    moments = Moments()
    for batch in samples.split(size):
        moments.add(batch)
    torch.testing.assert_close(moments.mean, samples.mean(0))
    torch.testing.assert_close(moments.variance, samples.var(0, correction=0), atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(moments.mean_square, samples.square().mean(0))


def test_moments_of_half_precision_are_kept_in_single():
    moments = Moments()
    moments.add(torch.ones(300, 1).bfloat16())
    moments.add(torch.full((300, 1), 2.0).bfloat16())
    assert moments.mean.dtype == torch.float32
    assert moments.mean.item() == 1.5 and moments.variance.item() == 0.25


@given(seeds, st.integers(1, 20))
@quick
def test_single_samples_are_batches_of_one(seed, count):
    samples = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)).double() + 100
    moments = Moments()
    for sample in samples:
        moments.update(sample)
    assert moments.count == count
    torch.testing.assert_close(moments.mean, samples.mean(0))
    torch.testing.assert_close(moments.variance, samples.var(0, correction=0), atol=1e-12, rtol=1e-9)


def test_whole_numbers_are_summed_in_double():
    moments = Moments()
    for number in (2**24 + 1, 2**24 + 3):
        moments.update(torch.tensor([number]))
    assert moments.mean.dtype == moments.dtype == torch.float64
    assert moments.mean.item() == 2**24 + 2 and moments.squares.item() == 2


def test_a_sample_that_changes_later_does_not_change_the_mean():
    sample, moments = torch.ones(2), Moments()
    moments.update(sample)
    sample += 1
    assert moments.mean.tolist() == [1, 1] and moments.dtype == torch.float32


def test_moments_of_several_tensors():
    first, second = moments_of((torch.full((2, 3), float(i)), torch.full((2, 1), 10.0 * i)) for i in range(3))
    assert first.mean.tolist() == [1, 1, 1] and second.mean.tolist() == [10]
    assert first.count == 6 and moments_of(iter(())) == ()
