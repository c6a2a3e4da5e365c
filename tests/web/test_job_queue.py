"""The desk: order, bounds, cancelling, failing alone."""

import threading
import time

import pytest

from xai_nlp.errors import InvalidInput
from xai_nlp.web import job_queue
from xai_nlp.web.explain_request import ExplainRequest
from xai_nlp.web.job_queue import Full, JobQueue

ASK = ExplainRequest(model="sentiment", text="fine")


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def desk_of():
    desks = []

    def make(work, room=3, **options):
        desks.append(JobQueue(work, room=room, **options))
        desks[-1].start()
        return desks[-1]

    yield make
    for desk in desks:
        desk.stop()


@pytest.fixture
def gate():
    """Work that waits at a gate, pass by pass, as a model's passes do."""
    opened = threading.Event()

    def work(job):
        while not opened.wait(0.005):
            job.passed()

    work.open = opened.set
    yield work
    opened.set()


def test_jobs_are_done_in_order(desk_of):
    seen = []
    desk = desk_of(lambda job: seen.append(job.id))
    ids = [desk.submit(ASK).id for _ in range(3)]
    until(lambda: len(seen) == 3)
    assert seen == ids


def test_the_queue_is_bounded_and_says_where_one_stands(desk_of, gate):
    desk = desk_of(gate)
    first = desk.submit(ASK)
    until(lambda: first.state == "running")
    waiting = [desk.submit(ASK) for _ in range(3)]
    assert [desk.told(job)["position"] for job in (first, *waiting)] == [0, 1, 2, 3]
    with pytest.raises(Full):
        desk.submit(ASK)
    gate.open()
    until(lambda: waiting[-1].state == "done")
    desk.submit(ASK)  # there is room again


def test_images_that_wait_are_bounded(desk_of, gate, monkeypatch):
    monkeypatch.setattr(job_queue, "HELD", 10)
    desk = desk_of(gate)
    first = desk.submit(ASK)
    until(lambda: first.state == "running")
    desk.submit(ASK.model_copy(update={"image": "x" * 11}))
    with pytest.raises(Full):
        desk.submit(ASK)


def test_one_that_waits_is_cancelled_at_once(desk_of, gate):
    desk = desk_of(gate)
    first, second = desk.submit(ASK), desk.submit(ASK)
    until(lambda: first.state == "running")
    desk.cancel(second)
    assert second.state == "cancelled"
    gate.open()
    until(lambda: first.state == "done")
    assert second.started == 0  # it never ran


def test_one_that_runs_is_cancelled_at_its_next_pass(desk_of, gate):
    desk = desk_of(gate)
    job = desk.submit(ASK)
    until(lambda: job.passes > 1)
    desk.cancel(job)
    until(lambda: job.final)
    assert job.state == "cancelled"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidInput("no such label.\nmore"), "no such label."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero The server's log says more."),
        (MemoryError(), "MemoryError: no message. The server's log says more."),
    ],
)
def test_a_failure_is_told_and_the_next_one_runs(desk_of, error, told):
    def work(job):
        if job is failing:
            raise error

    failing = None
    desk = desk_of(work)
    with desk._changed:  # so that it does not start before we know it
        failing = desk.submit(ASK)
    after = desk.submit(ASK)
    until(lambda: after.final)
    assert (failing.state, failing.error) == ("failed", told)
    assert after.state == "done"


def test_idle_work_gives_way_and_survives_its_own_failure(desk_of):
    turns = []

    def idle():
        turns.append(1)
        if len(turns) == 3:
            raise RuntimeError("broken row")
        return len(turns) < 6

    desk = desk_of(lambda job: None, idle=idle)
    until(lambda: len(turns) >= 3)
    job = desk.submit(ASK)
    until(lambda: job.state == "done")
    until(lambda: len(turns) == 6)


def test_what_is_over_is_remembered_without_its_image_and_not_for_ever(desk_of, monkeypatch):
    monkeypatch.setattr(job_queue, "KEPT", 5)
    desk = desk_of(lambda job: None, room=50)
    done = [desk.submit(ASK.model_copy(update={"image": "x"})) for _ in range(20)]
    until(lambda: done[-1].final)
    assert done[-1].ask.image is None
    for _ in range(10):
        last = desk.submit(ASK)
        until(lambda last=last: last.final)
    assert desk.find(last.id) is last
    assert len(desk._known) <= 20
    assert desk.find(done[0].id) is None


def test_stopping_ends_what_runs(desk_of, gate):
    desk = desk_of(gate)
    job = desk.submit(ASK)
    until(lambda: job.passes > 1)
    desk.stop()
    assert not desk._thread.is_alive()
    assert job.state == "cancelled"
