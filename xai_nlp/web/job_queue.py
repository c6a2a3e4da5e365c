"""One worker and a bounded queue: jobs wait, run, are cancelled, fail alone."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from xai_nlp.errors import XaiError
from xai_nlp.web.explain_request import ExplainRequest

log = logging.getLogger("xai_nlp.web")
MAX_JOBS = 1000  # that are remembered
MAX_IMAGES = 2**27  # letters of images that wait
FINAL = ("done", "failed", "cancelled")


class Full(Exception):
    """The queue has no room; come back later."""


class Cancelled(Exception):
    """The job was cancelled."""


@dataclass(eq=False, kw_only=True)
class Job:
    """A request in progress. The worker writes, other threads read; `state` is written last."""

    request: ExplainRequest
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "queued"  # then "running", then one of FINAL
    passes: int = 0  # through the model
    done: int = 0  # methods
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0
    cancelled: bool = False

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def on_pass(self) -> None:
        """Count a pass through the model. Raises Cancelled if the job was cancelled."""
        self.passes += 1
        self.seconds = time.monotonic() - self.started
        if self.cancelled:
            raise Cancelled

    def on_progress(self, done: int, total: int) -> None:
        """Count the methods that are done. They follow each other, and `total` counts the windows of all."""
        self.done = done * len(self.request.methods) // total


class JobQueue:
    """A bounded queue of jobs, which one thread works through in order.

    work: does a job and stores its result; an error that it raises fails the job alone.
    idle: called while no job waits; does a little work of its own and returns whether there is more.
    """

    def __init__(self, work: Callable[[Job], None], *, room: int, idle: Callable[[], bool] = lambda: False) -> None:
        self._work, self._idle, self._room = work, idle, room
        self._known: dict[str, Job] = {}  # the oldest first
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="xai_nlp worker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Cancel all jobs, and end the thread."""
        with self._changed:
            self._open = False
            for job in self._known.values():
                job.cancelled = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(patience)

    def submit(self, request: ExplainRequest) -> Job:
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
            self._changed.notify()
        return job

    @property
    def _waiting(self) -> list[Job]:
        return [job for job in self._known.values() if job.state == "queued"]

    def find(self, name: str) -> Job | None:
        """The job of that id, if it is still known."""
        return self._known.get(name)

    def to_dict(self, job: Job) -> dict[str, Any]:
        """The job as JSON can hold it, with its place in the queue, from 1."""
        with self._changed:
            waiting = self._waiting
            position = waiting.index(job) + 1 if job in waiting else 0
        values = {name: getattr(job, name) for name in ("id", "state", "passes", "done", "error")}
        request = {"of": len(job.request.methods), "title": job.request.title}
        return {**values, **request, "position": position, "seconds": round(job.seconds, 2)}

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
                job = next(iter(self._waiting), None)
                if job is not None:
                    job.started, job.state = time.monotonic(), "running"
            if job is not None:
                self._do(job)
            more = job is not None or self._idle_work()

    def _idle_work(self) -> bool:
        try:
            return self._idle()
        except Exception:
            log.exception("idle work failed")
            return False

    def _do(self, job: Job) -> None:
        try:
            self._work(job)
            state = "done"
        except Cancelled:
            state = "cancelled"
        except XaiError as error:
            state, job.error = "failed", _first_line(error)
        except Exception as error:
            log.exception("job %s failed", job.id)
            state, job.error = "failed", f"{type(error).__name__}: {_first_line(error)} The server's log says more."
        job.seconds = time.monotonic() - job.started
        job.request = job.request.model_copy(update=dict.fromkeys(job.request.images))  # remembered without them
        job.state = state


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message."])[0][:500]
