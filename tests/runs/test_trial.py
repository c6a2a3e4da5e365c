"""Predictions of a run: they follow the rows and their lengths, and are about right."""

import os
import time

import numpy as np
import pyarrow
import pytest

import xai_nlp
from tests.viz.samples import made
from xai_nlp.data.table import read_table
from xai_nlp.runs import trial
from xai_nlp.runs.rows import RunRows
from xai_nlp.runs.shards import parquet, table_of
from xai_nlp.runs.trial import predict

OPTIONS = {"method": "input_x_gradient"}


def rows_of(texts):
    return RunRows(read_table(texts), xai_nlp.load("sentiment"), {})


def texts_of(count, seed=0):
    """Texts of 1 to 60 words."""
    random = np.random.default_rng(seed)
    words = np.array(["a", "fine", "dull", "film", "that", "never", "ends", "and", "so", "on", "with", "a", "plot"])
    return [" ".join(random.choice(words, int(size))) for size in random.integers(1, 60, count)]


@pytest.fixture
def machine(monkeypatch):
    """A machine that takes 1 ms for a row and 10 µs for the square of its tokens; `used` has the seconds and rows."""
    used = {"seconds": 0.0, "rows": 0}

    def explain_rows(explainer, options, rows):
        for row in rows:
            length = len(explainer.tokenizer(row.record.inputs["text"])["input_ids"])
            used["seconds"] += 1e-3 + 1e-5 * length**2
        used["rows"] += len(rows)
        return table_of([(row.record.index, made(row.record.inputs["text"])) for row in rows], {})

    monkeypatch.setattr(trial, "explain_rows", explain_rows)
    return used, explain_rows


def predicted(machine, texts, **options):
    used, explain = machine
    rows = rows_of(texts)
    survey = rows.survey()
    found = predict(rows.explainer, OPTIONS, rows, survey, clock=lambda: used["seconds"], **options)
    tried, before = used["rows"], used["seconds"]
    size = 0
    for shard in survey.shards():
        batches = (rows.batch(survey.order[list(batch)].tolist()) for batch in shard)
        size += len(parquet(pyarrow.concat_tables(explain(rows.explainer, OPTIONS, batch) for batch in batches)))
    return found, used["seconds"] - before, size, tried


@pytest.mark.parametrize("count", [3, 200, 3000])
def test_it_follows_the_number_of_rows_and_their_lengths(machine, count):
    found, seconds, size, tried = predicted(machine, texts_of(count))
    assert found.seconds == pytest.approx(seconds, rel=0.3)
    assert found.disk == pytest.approx(size, rel=0.3)
    assert found.trial_rows == tried - 1 <= max(64, count / 4)


def test_long_rows_count_as_long(machine):
    texts = ["fine " * 10] * 900 + ["fine " * 400] * 100
    found, seconds, _, _ = predicted(machine, texts)
    assert found.seconds == pytest.approx(seconds, rel=0.3)
    assert found.seconds > 5 * predicted(machine, ["fine " * 10] * 1000)[0].seconds


def test_workers_share_the_time_and_have_memory_each(machine, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    none, one, two = (predicted(machine, texts_of(500), workers=workers)[0] for workers in (0, 1, 2))
    assert two.seconds == pytest.approx(one.seconds / 2, rel=0.05)
    assert one.seconds == pytest.approx(none.seconds, rel=0.05)
    assert one.memory >= 2 * none.memory and two.memory >= 3 * none.memory


def test_a_trial_ends_early(machine, monkeypatch):
    monkeypatch.setattr(trial, "PATIENCE", 0.0)
    found, seconds, _, tried = predicted(machine, texts_of(3000))
    assert tried <= 65  # one batch, and the row before it
    assert found.seconds == pytest.approx(seconds, rel=1.0) and found.disk > 0


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_time_of_a_real_run_is_predicted(tmp_path):
    """Within 30 % of the processor time: other work on the machine changes the wall clock, and not what is done."""
    rows = rows_of(texts_of(2000))
    survey = rows.survey()
    options = {"method": "integrated_gradients", "steps": 4}
    found = predict(rows.explainer, options, rows, survey, clock=time.process_time)
    start = time.process_time()
    run = xai_nlp.run(texts_of(2000), rows.explainer, directory=tmp_path, progress=False, **options)
    took = time.process_time() - start - run.plan.prediction.trial_seconds
    assert took >= 10
    assert found.seconds == pytest.approx(took, rel=0.3)
    size = sum(file.stat().st_size for file in tmp_path.glob("*.parquet"))
    assert found.disk == pytest.approx(size, rel=0.3)
