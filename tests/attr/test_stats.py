"""Running statistics against Captum's."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import xai_nlp.attr as ours
from tests.attr.gradient_cases import quick
from tests.attr.helper_cases import BOTH, drawn, seeds

REFUSED_STATS = {
    "other kind of update": lambda lib: summarized(lib, [torch.ones(2), (torch.ones(2),)]),
    "text to summarize": lambda lib: summarized(lib, ["text"]),
    "too few labels": lambda lib: lib.ClassSummarizer([lib.Mean()]).update(torch.ones(3, 2), [0, 1]),
}


@pytest.mark.parametrize("why", sorted(REFUSED_STATS))
def test_stats_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_STATS[why](lib)


STATS = {
    "Count": {},
    "Mean": {},
    "MSE": {},
    "Var": {"order": 1},
    "StdDev": {"order": 0},
    "Min": {},
    "Max": {},
    "Sum": {},
}


def chosen(lib: Any, names: list[str], named: bool) -> list[Any]:
    stats = [getattr(lib, name)(**STATS[name]) for name in names]
    if named:
        stats += [lib.Var("of mine", 2), lib.StdDev("of mine too", 1)]
    return stats + (lib.CommonStats() if not names else [])


def summarized(lib: Any, updates: list[Any], names: tuple[str, ...] = ("Mean",), named: bool = False) -> Any:
    summarizer = lib.Summarizer(chosen(lib, list(names), named))
    for update in updates:
        summarizer.update(update)
    return summarizer.summary


def alike(got: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert got.dtype == expected.dtype
        torch.testing.assert_close(got, expected, atol=2e-6, rtol=2e-5)
    elif isinstance(expected, dict):
        assert got.keys() == expected.keys()
        for key in expected:
            alike(got[key], expected[key])
    elif isinstance(expected, list):
        for mine, theirs in zip(got, expected, strict=True):
            alike(mine, theirs)
    else:
        assert got == expected


@given(seeds, st.lists(st.sampled_from(sorted(STATS)), max_size=5), st.booleans())
@quick
def test_statistics(seed, names, named):
    dice = drawn(seed)
    shapes = [tuple(dice.randint(1, 3) for _ in range(dice.randint(0, 3))) for _ in range(dice.randint(1, 2))]
    dtype = dice.choice([torch.float32, torch.float64, torch.int64])
    updates: list[Any] = [
        tuple((torch.randn(shape) * 9 + 5).to(dtype) for shape in shapes) for _ in range(dice.randint(0, 6))
    ]
    if dice.random() < 0.5:
        updates = [update[0] for update in updates]
    elif dice.random() < 0.3:
        updates = [dice.random() for _ in updates]
    theirs, mine = (summarized(lib, updates, tuple(names), named) for lib in BOTH)
    alike(mine, theirs)


@given(seeds)
@quick
def test_statistics_of_classes(seed):
    dice = drawn(seed)
    summarizers = [lib.ClassSummarizer([*lib.CommonStats(), lib.Count(), lib.Sum()]) for lib in BOTH]
    for _ in range(dice.randint(1, 4)):
        rows = dice.randint(1, 4)
        x: Any = (torch.randn(rows, 2), torch.randn(rows, 3, 1))
        labels = dice.choice([[dice.choice("abc") for _ in range(rows)], "b", 3, [("x", 1)]])
        for summarizer in summarizers:
            summarizer.update(x, labels)
    theirs, mine = summarizers
    alike(mine.summary, theirs.summary)
    alike(mine.class_summaries, theirs.class_summaries)


def test_classes_may_be_numbers_in_a_tensor():
    summarizer = ours.ClassSummarizer([ours.Count()])
    summarizer.update(torch.ones(3, 2), torch.tensor([4, 7, 4]))
    assert summarizer.class_summaries == {4: [{"count": 2}], 7: [{"count": 1}]}
    assert summarizer.summary == [{"count": 3}]


def test_without_labels_a_batch_is_one_value():
    for lib in BOTH:
        summarizer = lib.ClassSummarizer([lib.Count(), lib.Sum()])
        summarizer.update(torch.ones(3, 2))
        assert summarizer.summary["count"] == 1
        assert summarizer.class_summaries == {}


@given(seeds)
@quick
def test_a_summarizer_of_one_tensor(seed):
    dice = drawn(seed)
    values = [torch.randn(2, 2) for _ in range(dice.randint(1, 5))]
    found = []
    for lib in BOTH:
        stats = [lib.Count(), lib.Mean(), lib.MSE(), lib.Var(), lib.StdDev(), lib.Max()]
        shown = [stats.index(stat) for stat in (lib.Var(), lib.Mean(), lib.Max())]
        one = lib.SummarizerSingleTensor(stats, shown)
        for value in values:
            one.update(value)
        assert one.get(lib.Count()).get() == len(values)
        assert one.get(lib.Min()) is None
        found.append(one.summary)
    alike(found[1], found[0])


def test_variance_does_not_cancel():
    values = [torch.tensor([1e8 + k], dtype=torch.float64) for k in range(4)]
    assert summarized(ours, values, ("Var",)) == {"sample_variance": torch.tensor([5 / 3], dtype=torch.float64)}


def test_statistics_alone_and_of_ones_own():
    alone = ours.Var(order=1)
    for k in range(3):
        alone.update(torch.tensor(float(k)))
    assert alone.get() == 1
    assert ours.Mean().get() is None

    class Last(type(ours.Mean()).__mro__[2]):  # Stat
        def update(self, x):
            self.x = x

        def get(self):
            return self.x

    summarizer = ours.Summarizer([Last(digits=3), Last(digits=3), ours.Mean("average")])
    summarizer.update(torch.tensor(2.0))
    assert summarizer.summary == {"last({'digits': 3})": torch.tensor(2.0), "average": torch.tensor(2.0)}
    assert Last() != Last(digits=3)


def test_what_is_summed_is_a_copy():
    x = torch.ones(2)
    summarizer = ours.Summarizer([ours.Min(), ours.Mean()])
    summarizer.update(x)
    x.fill_(5)
    assert summarizer.summary["min"].tolist() == summarizer.summary["mean"].tolist() == [1, 1]
