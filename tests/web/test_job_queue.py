"""The queue: order, bounds, cancelling, failing alone."""

import threading
import time

import pytest

from xai_nlp.errors import InvalidInput
from xai_nlp.web import job_queue
from xai_nlp.web.explain_request import request_schema
from xai_nlp.web.job_queue import Cancelled, Full, Job, JobQueue

REQUEST = request_schema()(model="sentiment", text="fine")


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def queue_of():
    queues = []

    def make(work, room=3, **options):
        queues.append(JobQueue(work, room=room, **options))
        queues[-1].start()
        return queues[-1]

    yield make
    for queue in queues:
        queue.stop()


@pytest.fixture
def gate():
    """Work that waits at a gate, pass by pass, as a model's passes do."""
    opened = threading.Event()

    def work(job):
        while not opened.wait(0.005):
            job.update(1)

    work.open = opened.set
    yield work
    opened.set()


def test_jobs_are_done_in_order(queue_of):
    order = []
    queue = queue_of(lambda job: order.append(job.id))
    ids = [queue.submit(REQUEST).id for _ in range(3)]
    until(lambda: len(order) == 3)
    assert order == ids


def test_the_queue_is_bounded_and_says_where_one_stands(queue_of, gate):
    queue = queue_of(gate)
    first = queue.submit(REQUEST)
    until(lambda: first.state == "running")
    waiting = [queue.submit(REQUEST) for _ in range(3)]
    assert [queue.to_dict(job)["position"] for job in (first, *waiting)] == [0, 1, 2, 3]
    with pytest.raises(Full):
        queue.submit(REQUEST)
    gate.open()
    until(lambda: waiting[-1].state == "done")
    queue.submit(REQUEST)  # there is room again


def test_images_that_wait_are_bounded(queue_of, gate, monkeypatch):
    monkeypatch.setattr(job_queue, "MAX_IMAGES", 10)
    queue = queue_of(gate)
    first = queue.submit(REQUEST)
    until(lambda: first.state == "running")
    queue.submit(REQUEST.model_copy(update={"image": "x" * 11}))
    with pytest.raises(Full):
        queue.submit(REQUEST)


def test_one_that_waits_is_cancelled_at_once(queue_of, gate):
    queue = queue_of(gate)
    first, second = queue.submit(REQUEST), queue.submit(REQUEST)
    until(lambda: first.state == "running")
    queue.cancel(second)
    assert second.state == "cancelled"
    gate.open()
    until(lambda: first.state == "done")
    assert second.started == 0  # it never ran


def test_one_that_runs_is_cancelled_at_its_next_pass(queue_of, gate):
    queue = queue_of(gate)
    job = queue.submit(REQUEST)
    until(lambda: job.passes > 1)
    queue.cancel(job)
    until(lambda: job.final)
    assert job.state == "cancelled"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InvalidInput("no such label.\nmore"), "no such label."),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero The server's log says more."),
        (MemoryError(), "MemoryError: no message. The server's log says more."),
    ],
)
def test_a_failure_is_reported_and_the_next_one_runs(queue_of, error, message):
    def work(job):
        if job is failing:
            raise error

    failing = None
    queue = queue_of(work)
    with queue._changed:  # so that it does not start before we know it
        failing = queue.submit(REQUEST)
    after = queue.submit(REQUEST)
    until(lambda: after.final)
    assert (failing.state, failing.error) == ("failed", message)
    assert after.state == "done"


def test_idle_work_gives_way_and_survives_its_own_failure(queue_of):
    turns = []

    def idle():
        turns.append(1)
        if len(turns) == 3:
            raise RuntimeError("broken row")
        return len(turns) < 6

    queue = queue_of(lambda job: None, idle=idle)
    until(lambda: len(turns) >= 3)
    job = queue.submit(REQUEST)
    until(lambda: job.state == "done")
    until(lambda: len(turns) == 6)


def test_what_is_over_is_remembered_without_its_image_and_not_for_ever(queue_of, monkeypatch):
    monkeypatch.setattr(job_queue, "MAX_JOBS", 5)
    queue = queue_of(lambda job: None, room=50)
    done = [queue.submit(REQUEST.model_copy(update={"image": "x"})) for _ in range(20)]
    until(lambda: done[-1].final)
    assert done[-1].request.image is None
    for _ in range(10):
        last = queue.submit(REQUEST)
        until(lambda last=last: last.final)
    assert queue.find(last.id) is last
    assert len(queue._known) <= 20
    assert queue.find(done[0].id) is None


def test_stopping_ends_what_runs(queue_of, gate):
    queue = queue_of(gate)
    job = queue.submit(REQUEST)
    until(lambda: job.passes > 1)
    queue.stop()
    assert not queue._threads[0].is_alive()
    assert job.state == "cancelled"


def test_percent_and_time_come_from_the_passes():
    job = Job(request=REQUEST, state="running", started=time.monotonic() - 4.0)
    assert (job.percent, job.remaining) == (None, None)  # how many passes there are is not known yet
    job.total = 8
    assert (job.percent, job.remaining) == (0, None)
    job.update(2)
    assert job.percent == 25
    assert job.remaining == pytest.approx(12.0, abs=0.5)
    job.update(7)  # more than were expected
    assert (job.percent, job.remaining) == (99, 0.0)
    job.state = "done"
    assert (job.percent, job.remaining) == (100, None)
    job.cancelled = True
    with pytest.raises(Cancelled):
        job.update(1)


def test_jobs_that_are_not_over_are_listed_in_order(queue_of, gate):
    queue = queue_of(gate)
    jobs = [queue.submit(REQUEST) for _ in range(3)]
    queue.cancel(jobs[1])
    assert queue.unfinished == [jobs[0], jobs[2]]
    gate.open()
    until(lambda: jobs[2].final)
    assert queue.unfinished == []


# Quick ones that pass ------------------------------------------------------------------------------------------------


@pytest.fixture
def passing(queue_of, gate):
    """A queue whose second worker finishes the requests that say "quick", and tries the others in vain."""

    def try_work(job):
        while "quick" not in job.request.text:
            time.sleep(0.005)
            job.update(1)

    return queue_of(gate, room=20, try_work=try_work, quick=0.1)


def asked(text):
    return REQUEST.model_copy(update={"text": text})


def test_quick_ones_pass_slow_ones_and_those_keep_their_turn(passing, gate):
    slow = [passing.submit(asked("slow")) for _ in range(3)]
    until(lambda: slow[0].state == "running")
    quick = [passing.submit(asked("quick")) for _ in range(2)]
    until(lambda: all(job.state == "done" for job in quick))
    assert [job.state for job in slow] == ["running", "queued", "queued"]
    assert [job.tried for job in slow] == [False, True, True]
    assert [job.passes for job in slow[1:]] == [0, 0]
    passing.cancel(slow[1])
    gate.open()
    until(lambda: all(job.final for job in slow))
    assert [job.state for job in slow] == ["done", "cancelled", "done"]


def test_one_that_is_tried_is_cancelled_and_fails_as_others_do(queue_of, gate):
    def try_work(job):
        if "bad" in job.request.text:
            raise InvalidInput("no such label.")
        while True:
            time.sleep(0.005)
            job.update(1)

    queue = queue_of(gate, room=20, try_work=try_work, quick=60)
    first = queue.submit(asked("slow"))
    until(lambda: first.state == "running")
    bad, endless = queue.submit(asked("bad")), queue.submit(asked("endless"))
    until(lambda: endless.passes > 1)
    assert (bad.state, bad.error) == ("failed", "no such label.")
    queue.cancel(endless)
    until(lambda: endless.final)
    assert endless.state == "cancelled"


def test_nothing_is_tried_while_the_first_worker_is_free(queue_of):
    tried = []
    queue = queue_of(lambda job: None, room=50, try_work=tried.append)
    jobs = []
    for _ in range(5):
        jobs.append(queue.submit(REQUEST))
        until(lambda: jobs[-1].final)
    assert all(job.state == "done" for job in jobs)
    assert not tried
