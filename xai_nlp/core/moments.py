"""Mean and spread of samples that come one after the other, or in batches."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Moments:
    """The running mean and the sum of squared distances from it, for each entry of tensors of one shape.

    Sums are kept in float32 or wider, those of integers in float64. No two nearly equal numbers are subtracted.
    Source: Chan, Golub & LeVeque 1979, eq. 2.1; for single samples it is Welford 1962.

    >>> moments = Moments()
    >>> moments.update(torch.tensor([1.0, 2.0]))
    >>> moments.add(torch.tensor([[3.0, 6.0], [5.0, 10.0]]))
    >>> moments.count, moments.mean.tolist(), moments.variance.tolist()
    (3, [3.0, 6.0], [2.6666667461395264, 10.666666984558105])
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.squares = torch.zeros(())  # Σ (sample − mean)²
        self.dtype = torch.float64  # of the last samples; float64 if they were integers

    def update(self, sample: Tensor) -> None:
        """Adds one sample (…)."""
        self.add(sample[None])

    def add(self, samples: Tensor) -> None:
        """Adds N samples (N, …)."""
        self.dtype = samples.dtype if samples.is_floating_point() else torch.float64
        samples = samples.to(torch.promote_types(self.dtype, torch.float32))
        count, mean = len(samples), samples.mean(0)
        squares = (samples - mean).square().sum(0)
        total = self.count + count
        if self.count:
            distance = mean - self.mean
            squares = self.squares + squares + distance.square() * (self.count * count / total)
            mean = self.mean + distance * (count / total)
        self.count, self.mean, self.squares = total, mean, squares

    @property
    def variance(self) -> Tensor:
        """The mean squared distance of the samples from their mean."""
        return self.squares / self.count

    @property
    def mean_square(self) -> Tensor:
        """The mean of the squared samples."""
        return self.variance + self.mean.square()


def moments_of(batches: Iterable[tuple[Tensor, ...]]) -> tuple[Moments, ...]:
    """The moments of several tensors, whose samples come in batches: (N, …) each."""
    moments: tuple[Moments, ...] = ()
    for batch in batches:
        moments = moments or tuple(Moments() for _ in batch)
        for of_tensor, samples in zip(moments, batch, strict=True):
            of_tensor.add(samples)
    return moments
