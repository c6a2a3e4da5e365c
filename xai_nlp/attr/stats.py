"""Running statistics of tensors that come one after the other, under Captum's names.

Count, mean, squares, variance and deviation are read from one `core.moments.Moments`, which a summarizer updates once.
Where Captum's summaries of classes key tensor labels by their identity, ours key them by their numbers; deviations of
order 2 and above are called `std_dev(2)`, not `std_dev2)`.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from xai_nlp.core.moments import Moments

StatValue = Tensor | int | float
Summary = dict[str, StatValue | None]
Key = TypeVar("Key", bound=Hashable)


class Mismatch(ValueError, AssertionError):
    """What is added does not fit what was added before, or its labels."""


class Stat:
    """A statistic that can be updated with a tensor, and asked for its value; None before the first.

    Two of a class with the same parameters are one and the same to a summarizer.
    """

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        self.params = kwargs
        self._name = name

    def init(self) -> None:
        """Called when a summarizer takes the statistic over."""

    def update(self, x: Tensor) -> None:
        raise NotImplementedError

    def get(self) -> StatValue | None:
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Stat) and self.params == other.params

    def __hash__(self) -> int:
        return hash((type(self), frozenset(self.params.items())))

    @property
    def name(self) -> str:
        """Its key in a summary."""
        return self._name or type(self).__name__.lower() + (f"({self.params})" if self.params else "")


class _OfMoments(Stat):
    """A statistic that is read from moments: its own, or those of the summarizer."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self.moments = Moments()

    def update(self, x: Tensor) -> None:
        self.moments.update(x)


class Count(_OfMoments):
    """How many tensors there were."""

    def get(self) -> int | None:
        return self.moments.count or None


class Mean(_OfMoments):
    """The mean over the tensors."""

    def get(self) -> Tensor | None:
        return self.moments.mean.to(self.moments.dtype) if self.moments.count else None


class MSE(_OfMoments):
    """The sum of squared distances from the mean, as Captum has it: not divided by their number."""

    def get(self) -> Tensor | None:
        return self.moments.squares.to(self.moments.dtype) if self.moments.count else None


class Var(_OfMoments):
    """The variance: squared distances from the mean over their number less `order`, in float64; zero for too few."""

    _measure = "variance"

    def __init__(self, name: str | None = None, order: int = 0) -> None:
        named = {0: self._measure, 1: f"sample_{self._measure}"}.get(order, f"{self._measure}({order})")
        super().__init__(name or named)
        self.order, self.params = order, {"order": order}

    def get(self) -> Tensor | None:
        count, squares = self.moments.count, self.moments.squares
        if count > max(self.order, 0):
            return squares.double() / (count - self.order)
        return torch.zeros_like(squares, dtype=self.moments.dtype) if count else None


class StdDev(Var):
    """The square root of the variance of that order."""

    _measure = "std_dev"

    def get(self) -> Tensor | None:
        variance = super().get()
        return None if variance is None else variance.sqrt()


class GeneralAccumFn(Stat):
    """What a function makes of the result so far and each further tensor."""

    def __init__(self, fn: Callable[[Tensor, Tensor], Tensor], name: str | None = None) -> None:
        super().__init__(name)
        self.fn = fn
        self.result: Tensor | None = None

    def update(self, x: Tensor) -> None:
        self.result = x.clone() if self.result is None else self.fn(self.result, x)

    def get(self) -> Tensor | None:
        return self.result


class Min(GeneralAccumFn):
    """The smallest of each entry."""

    def __init__(self, name: str | None = None, min_fn: Callable[[Tensor, Tensor], Tensor] = torch.min) -> None:
        super().__init__(min_fn, name)


class Max(GeneralAccumFn):
    """The largest of each entry."""

    def __init__(self, name: str | None = None, max_fn: Callable[[Tensor, Tensor], Tensor] = torch.max) -> None:
        super().__init__(max_fn, name)


class Sum(GeneralAccumFn):
    """The sum of each entry."""

    def __init__(self, name: str | None = None, add_fn: Callable[[Tensor, Tensor], Tensor] = torch.add) -> None:
        super().__init__(add_fn, name)


def CommonStats() -> list[Stat]:
    """Mean, sample variance, sample standard deviation, smallest and largest."""
    return [Mean(), Var(order=1), StdDev(order=1), Min(), Max()]


class SummarizerSingleTensor:
    """Statistics of one tensor; those at `summary_stats_indices` are in the summary."""

    def __init__(self, stats: list[Stat], summary_stats_indices: list[int]) -> None:
        self._stats = {stat: stat for stat in stats}
        self._shown = [stats[i] for i in summary_stats_indices]
        moments = Moments()
        self._updated: list[Moments | Stat] = [moments]
        for stat in stats:
            if isinstance(stat, _OfMoments):
                stat.moments = moments
            else:
                self._updated.append(stat)
            stat.init()

    def update(self, x: Tensor) -> None:
        """Add a tensor."""
        for one in self._updated:
            one.update(x)

    def get(self, stat: Stat) -> Stat | None:
        """Our own statistic that equals this one, if there is one."""
        return self._stats.get(stat)

    @property
    def summary(self) -> Summary:
        """Each statistic's value by its name."""
        return {stat.name: stat.get() for stat in self._shown}


class Summarizer:
    """Statistics of a tensor, or of each tensor of a tuple, that come one after the other.

    >>> summarizer = Summarizer([Mean(), Max()])
    >>> for x in (1.0, 5.0): summarizer.update(torch.tensor([x, -x]))
    >>> summarizer.summary
    {'mean': tensor([ 3., -3.]), 'max': tensor([ 5., -1.])}
    """

    def __init__(self, stats: list[Stat]) -> None:
        self._stats = list(dict.fromkeys(stats))
        self._summarizers: list[SummarizerSingleTensor] = []
        self._of_tuples: bool | None = None

    def update(self, x: float | Tensor | tuple[float | Tensor, ...]) -> None:
        """Add a tensor or a number, or a tuple of them. Raises Mismatch for one where the other came before."""
        if self._of_tuples not in (None, isinstance(x, tuple)):
            raise Mismatch("a summarizer takes tensors or tuples of tensors, not one after the other.")
        self._of_tuples = isinstance(x, tuple)
        for i, item in enumerate(x if isinstance(x, tuple) else (x,)):
            if not isinstance(item, (Tensor, int, float)):
                raise Mismatch(f"a summarizer takes tensors or numbers; got {type(item).__name__}.")
            if i == len(self._summarizers):
                own = copy.deepcopy(self._stats)
                self._summarizers.append(SummarizerSingleTensor(own, list(range(len(own)))))
            self._summarizers[i].update(item if isinstance(item, Tensor) else torch.tensor(float(item)))

    @property
    def summary(self) -> Summary | list[Summary] | None:
        """The statistics by name, for each tensor of a tuple; None before the first update."""
        found = [summarizer.summary for summarizer in self._summarizers]
        return None if not found else found if self._of_tuples else found[0]


class ClassSummarizer(Summarizer, Generic[Key]):
    """Statistics over examples, of all and of each class; with labels, tensors count as tuples of one."""

    def __init__(self, stats: list[Stat]) -> None:
        super().__init__(stats)
        self.summaries: dict[Key, Summarizer] = defaultdict(lambda: Summarizer(stats))

    def update(self, x: Any, labels: Any = None) -> None:
        """Add a batch whose examples have these labels, or all the same one; without labels, as one value.

        Raises Mismatch where there are neither one label nor as many as examples.
        """
        if labels is None:
            super().update(x)
            return
        tensors = x if isinstance(x, tuple) else (x,)
        each: Sequence[Any] = labels.tolist() if isinstance(labels, Tensor) else labels
        each = each if isinstance(each, list) else [each]
        if len(each) > 1 and any(len(tensor) != len(each) for tensor in tensors):
            raise Mismatch(f"{len(tensors[0])} examples need as many labels, or one for all; got {len(each)}.")
        for i in range(len(tensors[0])):
            example = tuple(tensor[i].clone() for tensor in tensors)
            self.summaries[each[i] if len(each) > 1 else each[0]].update(example)
            super().update(example)

    @property
    def class_summaries(self) -> dict[Key, Summary | list[Summary] | None]:
        """The statistics of each class."""
        return {label: summarizer.summary for label, summarizer in self.summaries.items()}
