"""Engines: every batch once, in this process and in workers that die."""

import multiprocessing
import signal

import pytest

import xai_nlp
from tests.runs.test_rows import TEXTS
from xai_nlp.data.table import Record
from xai_nlp.errors import NotEnoughMemory
from xai_nlp.runs import engines
from xai_nlp.runs.engines import Shard, Worker, in_processes, in_this_process, work
from xai_nlp.runs.rows import Row
from xai_nlp.runs.shards import SCHEMA

OPTIONS = {"method": "saliency"}
PROCESS = engines._Process


def rows(places):
    return [Row(Record(place, {"text": f"{TEXTS[place % 3]} {place}"})) for place in places]


def shards():
    return [Shard.of([range(2), range(2, 5)]), Shard.of([range(5, 6)]), Shard.of([range(6, 8), range(8, 9)])]


def explained(engine):
    """The rows of each shard, by its first place."""
    found = {}
    for shard, table in engine:
        shard.add(table)
        found.setdefault(shard.start, []).extend(table["row"].to_pylist())
    return found


WHOLE = {0: [0, 1, 2, 3, 4], 5: [5], 6: [6, 7, 8]}


def test_a_shard_gives_its_tables_with_their_places():
    shard = Shard.of([range(4, 6), range(6, 9), range(9, 10)])
    one, two = SCHEMA.empty_table(), SCHEMA.empty_table()
    assert (shard.add(one), shard.add(two)) == (2, 3)
    assert shard.take() == (range(4, 9), [one, two])
    shard.add(one)
    assert shard.take() == (range(9, 10), [one]) and not shard.batches


def test_this_process_explains_each_batch_once():
    explainer = xai_nlp.load("sentiment")
    assert explained(in_this_process(explainer, OPTIONS, shards(), rows, lambda: False)) == WHOLE


def test_it_ends_after_the_batch_in_work():
    explainer, asked = xai_nlp.load("sentiment"), iter([False, False, True])
    stop = lambda: next(asked)  # noqa: E731
    assert explained(in_this_process(explainer, OPTIONS, shards(), rows, stop)) == {0: [0, 1, 2, 3, 4]}


def test_a_worker_answers_until_its_parent_is_gone(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # of this process
    ours, theirs = multiprocessing.Pipe()
    ours.send(rows(range(2)))
    ours.send(rows(range(3)))
    worker = Worker(load={"source": "sentiment"}, options=OPTIONS, threads=1)
    answers = []

    class Theirs:
        send, count = answers.append, 0

        def recv(self):
            self.count += 1
            if self.count > 2:
                raise EOFError
            return theirs.recv()

    work(Theirs(), worker)
    assert [len(table) for table in answers] == [2, 3]


class Dying:
    """A worker process that dies at a batch with this place, so many times."""

    def __init__(self, place, times):
        self.place, self.left, self.made = place, times, []

    def process(self, worker):
        process = object.__new__(PROCESS)
        process.connection, process.other = multiprocessing.Pipe()
        process.shard, process.process = None, self
        process.begin = lambda shard, rows: self.begin(process, shard, rows)
        self.made.append(process)
        return process

    def begin(self, process, shard, rows):
        process.shard = shard
        if self.place in shard.batches[0] and self.left:
            self.left -= 1
            process.other.close()
        else:
            numbers = [{"row": row.record.index} for row in rows(shard.batches[0])]
            process.other.send(SCHEMA.empty_table().from_pylist(numbers, schema=SCHEMA))

    def kill(self):
        pass

    join = kill


@pytest.mark.parametrize("place", [0, 2, 5, 8])
@pytest.mark.parametrize("times", [0, 1, 2])
def test_the_batch_of_a_dead_worker_is_done_by_another(place, times, monkeypatch):
    dying = Dying(place, times)
    monkeypatch.setattr(engines, "_Process", dying.process)
    assert explained(in_processes([None, None], shards(), rows, lambda: False)) == WHOLE
    assert len(dying.made) == 2 + times


def test_a_batch_at_which_every_worker_dies_ends_the_run(monkeypatch):
    dying = Dying(5, 99)
    monkeypatch.setattr(engines, "_Process", dying.process)
    with pytest.raises(NotEnoughMemory, match="3 worker processes ended while they explained the rows at the places 5"):
        explained(in_processes([None, None], shards(), rows, lambda: False))


def test_workers_end_after_the_batches_in_work(monkeypatch):
    dying, seen = Dying(None, 0), []
    monkeypatch.setattr(engines, "_Process", dying.process)
    for shard, table in in_processes([None, None], shards(), rows, lambda: bool(seen)):
        shard.add(table)
        seen.append(table["row"].to_pylist())
    assert sorted(seen) == [[0, 1], [5]]


def test_no_more_workers_begin_than_there_are_files(monkeypatch):
    dying = Dying(None, 0)
    monkeypatch.setattr(engines, "_Process", dying.process)
    assert explained(in_processes([None] * 9, shards(), rows, lambda: False)) == WHOLE
    assert len(dying.made) == 3
