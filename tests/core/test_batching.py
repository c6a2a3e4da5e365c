"""Memory bounds: chunks, halving, the error when nothing fits."""

import pytest
import torch

from xai_nlp.core.batching import Batching, is_out_of_memory
from xai_nlp.core.problem import Problem
from xai_nlp.errors import InvalidInput, NotEnoughMemory

CPU = torch.device("cpu")


def parts(rows, count=10, entries=1, work=lambda part: (part.start, part.stop)):
    return [(result, (part.start, part.stop)) for part, result in rows.chunks(count, entries, CPU, work)]


def test_covers_everything_in_order():
    assert [r for r, _ in parts(Batching(limit=4))] == [(0, 4), (4, 8), (8, 10)]
    assert [r for r, _ in parts(Batching())] == [(0, 10)]
    assert [r for r, _ in parts(Batching(), count=0)] == []


def test_large_rows_go_one_by_one():
    assert len(parts(Batching(), entries=2**20)) == 10


def test_small_rows_do_not_go_all_at_once():
    assert [r for r, _ in parts(Batching(), count=1200, entries=2**8)] == [(0, 600), (600, 1200)]
    assert [r for r, _ in parts(Batching(), count=40, entries=2**14)] == [(0, 20), (20, 40)]  # not by sixteens …
    assert [r for r, _ in parts(Batching(), count=9, entries=2**17)] == [(0, 3), (3, 6), (6, 9)]  # … but large ones are


def test_ids_count_for_what_they_are_embedded_in():
    observed = []

    def value(z, owner):
        observed.append(len(owner))
        return z[0].sum(1, keepdim=True).float()

    ids = torch.ones(80, 128, dtype=torch.long)
    problem = Problem(value=value, x=(ids, torch.ones_like(ids)), baseline=(ids, ids))
    problem.values(problem.x, problem.everyone)
    assert observed == [27, 27, 26]  # as vectors of 128 for each of the 128 tokens would


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    ],
)
def test_out_of_memory_halves_and_goes_on_from_the_same_place(error):
    tried = []

    def work(part):
        tried.append(part.stop - part.start)
        if part.stop - part.start > 2:
            raise error
        return part.start, part.stop

    assert [r for r, _ in parts(Batching(limit=8), work=work)] == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert tried == [8, 4, 2, 2, 2, 2, 2]


def test_one_row_that_does_not_fit_is_an_error_that_says_what_would():
    def work(part):
        raise MemoryError

    with pytest.raises(NotEnoughMemory, match="Shorten the text"):
        parts(Batching(limit=4), work=work)


def test_other_errors_pass():
    def work(part):
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        parts(Batching(), work=work)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_progress_and_limits():
    reports = []
    parts(Batching(limit=4, progress=lambda done, total: reports.append((done, total))))
    assert reports == [(4, 10), (8, 10), (10, 10)]
    with pytest.raises(InvalidInput, match="at least 1"):
        Batching(limit=0)
