"""A short trial: what a run will take, from batches of every length on this machine."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow
import torch

from xai_nlp.runs.batch import explain_rows
from xai_nlp.runs.plan import Prediction
from xai_nlp.runs.rows import RunRows, Survey
from xai_nlp.runs.shards import SCHEMA, parquet
from xai_nlp.tasks.explainer import Explainer

if TYPE_CHECKING:
    from pyarrow import Table

LENGTHS = 5  # batches of so many lengths are tried
PART = 8  # of so many batches one is tried, if there are few
ROWS = 64  # of a batch are tried at most
PATIENCE = 15.0  # seconds: after so long no further batch is tried


@dataclass(frozen=True)
class _Tried:
    """A batch that was explained for a group of batches."""

    tokens: float  # of the rows that were explained, padding included
    of_group: int  # tokens of the group
    seconds: float
    rows: int
    table: Table


def predict(
    explainer: Explainer,
    options: Mapping[str, Any],
    rows: RunRows,
    survey: Survey,
    *,
    workers: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> Prediction:
    """Time, memory and disk of a run. Batches are grouped by their length; one of each group is explained.

    A group takes as long as its batch for each token. The explanations are thrown away.
    workers: other processes that share the work and the cores; 0 where this one does it.
    """
    tried: list[_Tried] = []
    began = clock()
    with threads_of(max(workers, 1)):
        for group in _groups(survey):
            of_group = sum(map(survey.tokens, group))
            if tried and clock() - began > PATIENCE:
                tried.append(replace(tried[-1], of_group=of_group, rows=0, table=SCHEMA.empty_table()))
                continue
            batch = group[len(group) // 2]
            part = rows.batch(survey.order[batch.start : batch.stop : ceil(len(batch) / ROWS)].tolist())
            if not tried:
                explain_rows(explainer, options, part[:1])  # what only the first call does
            start = clock()
            table = explain_rows(explainer, options, part)
            tokens = survey.tokens(batch) * len(part) / len(batch)
            tried.append(_Tried(tokens, of_group, clock() - start, len(part), table))
    return Prediction(
        seconds=sum(one.seconds * one.of_group / one.tokens for one in tried)
        / min(max(workers, 1), os.cpu_count() or 1),
        memory=peak_memory(explainer) * (workers + 1),
        disk=_disk(tried, files=sum(1 for _ in survey.shards())),
        trial_rows=sum(one.rows for one in tried),
        trial_seconds=clock() - began,
    )


def _disk(tried: Sequence[_Tried], files: int) -> int:
    """Bytes of so many files. All rows tried, and half of them, tell a file's fixed size and that of a token."""
    table = pyarrow.concat_tables(one.table for one in tried)
    whole, half = len(parquet(table)), len(parquet(table.take(list(range(0, len(table), 2)))))
    of_token = 2 * (whole - half) / sum(one.tokens for one in tried if one.rows)
    return round(files * max(2 * half - whole, 0) + of_token * sum(one.of_group for one in tried))


def _groups(survey: Survey) -> list[list[range]]:
    """Batches of like length of rows, the short ones first."""
    batches = sorted(survey.batches, key=lambda batch: survey.tokens(batch) / len(batch))
    count = min(LENGTHS, ceil(len(batches) / PART))
    ends = np.linspace(0, len(batches), count + 1).round().astype(int).tolist()
    return [batches[start:end] for start, end in pairwise(ends)]


@contextmanager
def threads_of(workers: int) -> Iterator[None]:
    """The threads that one of several workers has, while open."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def peak_memory(explainer: Explainer) -> int:
    """Bytes that this process, and the accelerator of its model, had in use at most; 0 where that is not known."""
    device = explainer.model.device
    on_device = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    try:
        import resource
    except ImportError:  # Windows
        return on_device
    unit = 1 if sys.platform == "darwin" else 1024
    return on_device + unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
