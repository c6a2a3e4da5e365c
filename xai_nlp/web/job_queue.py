"""A bounded queue and its workers: jobs wait, run, report progress, are cancelled, fail alone; quick ones may pass."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from xai_nlp.errors import XaiError

log = logging.getLogger("xai_nlp.web")
MAX_JOBS = 1000  # that are remembered
MAX_IMAGES = 2**27  # letters of images that wait
FINAL = ("done", "failed", "cancelled")


class Full(Exception):
    """The queue has no room; come back later."""


class Cancelled(Exception):
    """The job was cancelled."""


class TooSlow(Cancelled):
    """The job is no quick one: it waits for its turn."""


class JobRequest(Protocol):
    """Work that a job does."""

    @property
    def title(self) -> str: ...

    @property
    def images(self) -> Mapping[str, str]: ...

    def without_images(self) -> JobRequest: ...

    def field_of(self, message: str) -> str: ...


@dataclass(eq=False, kw_only=True)
class Job:
    """A request in progress. The worker writes, other threads read; `state` is written last.

    A job is the progress bar of its own explanation: the explainer sets `total` and calls `update`.
    """

    request: JobRequest
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "queued"  # then "running", then one of FINAL
    passes: int = 0  # of the model, done
    total: int = 0  # passes that are expected; 0 is unknown
    address: str = ""  # of the result on the page, once there is one
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0
    cancelled: bool = False
    end: float = math.inf  # when it is no quick one
    tried: bool = False  # was it tried as a quick one?

    @property
    def final(self) -> bool:
        return self.state in FINAL

    @property
    def percent(self) -> int | None:
        """How much is done; None if the number of passes is unknown."""
        if self.state == "done":
            return 100
        return min(99, 100 * self.passes // self.total) if self.total else None

    @property
    def remaining(self) -> float | None:
        """Seconds that are left at the pace so far; None if that is unknown."""
        if self.state != "running" or not self.passes or not self.total:
            return None
        return self.seconds * max(0, self.total - self.passes) / self.passes

    def update(self, passes: int) -> None:
        """Count passes of the model. Raises Cancelled if the job was cancelled."""
        self.passes += passes
        self.seconds = time.monotonic() - self.started
        self.check()

    def check(self) -> None:
        """Raises Cancelled if the job was cancelled, TooSlow if it is tried as a quick one and is none."""
        if self.cancelled:
            raise Cancelled
        if time.monotonic() > self.end:
            raise TooSlow


class JobQueue:
    """A bounded queue of jobs, which one thread works through in order.

    While that one is busy, a second thread tries each job that waits for a few seconds: those that are done by then
    have passed the slow ones, and the others wait for their turn as before.

    work: does a job and stores its result; an error that it raises fails the job alone.
    idle: called while no job waits; does a little work of its own and returns whether there is more.
    try_work: the same as `work`, in the second thread beside it; raises TooSlow for a job that it cannot do.
    quick: seconds that a job is tried for.
    """

    def __init__(
        self,
        work: Callable[[Job], None],
        *,
        room: int,
        idle: Callable[[], bool] = lambda: False,
        try_work: Callable[[Job], None] | None = None,
        quick: float = 2.0,
    ) -> None:
        self._work, self._idle, self._room = work, idle, room
        self._try_work, self._quick = try_work, quick
        self._known: dict[str, Job] = {}  # the oldest first
        self._changed = threading.Condition()
        self._open = True
        self._busy: Job | None = None  # what the first thread does
        self._threads = [threading.Thread(target=self._run, name="xai_nlp worker", daemon=True)]
        if try_work is not None:
            self._threads.append(threading.Thread(target=self._run_quick, name="xai_nlp quick worker", daemon=True))

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Cancel all jobs, and end the threads."""
        with self._changed:
            self._open = False
            for job in self._known.values():
                job.cancelled = True
            self._changed.notify_all()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(patience)

    def submit(self, request: JobRequest) -> Job:
        """A job for the request. Raises Full if too many wait."""
        with self._changed:
            images = sum(len(data) for one in self._waiting for data in one.request.images.values())
            if len(self._waiting) >= self._room or images > MAX_IMAGES:
                raise Full
            job = Job(request=request)
            self._known[job.id] = job
            oldest = next(iter(self._known.values()))
            if len(self._known) > MAX_JOBS and oldest.final:
                del self._known[oldest.id]
            self._changed.notify_all()
        return job

    @property
    def _waiting(self) -> list[Job]:
        return [job for job in self._known.values() if job.state == "queued"]

    @property
    def unfinished(self) -> list[Job]:
        """The jobs that run or wait, in order."""
        with self._changed:
            return [job for job in self._known.values() if not job.final]

    def find(self, name: str) -> Job | None:
        """The job of that id, if it is still known."""
        return self._known.get(name)

    def to_dict(self, job: Job) -> dict[str, Any]:
        """The job as JSON can hold it, with its place in the queue, from 1."""
        with self._changed:
            waiting = self._waiting
            position = waiting.index(job) + 1 if job in waiting else 0
        values = {
            name: getattr(job, name) for name in ("id", "state", "passes", "total", "percent", "address", "error")
        }
        request = {"title": job.request.title, "field": job.request.field_of(job.error) if job.error else ""}
        remaining = None if job.remaining is None else round(job.remaining, 1)
        times = {"seconds": round(job.seconds, 2), "remaining": remaining}
        return {**values, **request, **times, "position": position}

    def cancel(self, job: Job) -> None:
        """Cancel a job: one that waits leaves the queue, one that runs ends at its next pass."""
        with self._changed:
            job.cancelled = True
            if job.state == "queued":
                job.state = "cancelled"

    def _run(self) -> None:
        more = True  # is there work, as far as is known?
        while True:
            with self._changed:
                if not more:
                    self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._open:
                    return
                job = self._busy = next(iter(self._waiting), None)
                if job is not None:
                    job.started, job.state = time.monotonic(), "running"
                    self._changed.notify_all()
            if job is not None:
                self._do(job, self._work)
            more = job is not None or self._idle_work()

    @property
    def _untried(self) -> list[Job]:
        """The jobs that wait behind a slow one and were not tried yet."""
        busy = self._busy is not None and not self._busy.final
        return [job for job in self._waiting if not job.tried] if busy else []

    def _run_quick(self) -> None:
        assert self._try_work
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._untried or not self._open)
                if not self._open:
                    return
                job = self._untried[0]
                job.started, job.state, job.tried = time.monotonic(), "running", True
                job.end = job.started + self._quick
            self._do(job, self._try_work)

    def _idle_work(self) -> bool:
        try:
            return self._idle()
        except Exception:
            log.exception("idle work failed")
            return False

    def _do(self, job: Job, work: Callable[[Job], None]) -> None:
        try:
            work(job)
            state = "done"
        except TooSlow:
            with self._changed:
                job.end, job.passes, job.total = math.inf, 0, 0
                job.state = "cancelled" if job.cancelled else "queued"
                self._changed.notify_all()
            return
        except Cancelled:
            state = "cancelled"
        except XaiError as error:
            state, job.error = "failed", _first_line(error)
        except Exception as error:
            log.exception("job %s failed", job.id)
            state, job.error = "failed", f"{type(error).__name__}: {_first_line(error)} The server's log says more."
        job.seconds = time.monotonic() - job.started
        job.request = job.request.without_images()  # it is remembered
        job.state = state


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message."])[0][:500]
