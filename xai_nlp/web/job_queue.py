"""One worker and a bounded queue: jobs wait, run, are cancelled, fail alone."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from xai_nlp.errors import XaiError
from xai_nlp.web.explain_request import ExplainRequest

log = logging.getLogger("xai_nlp.web")
KEPT = 1000  # jobs that are remembered
HELD = 2**27  # letters of images that wait
FINAL = ("done", "failed", "cancelled")


class Full(Exception):
    """The queue has no room; come back later."""


class Cancelled(Exception):
    """Somebody no longer wants to know."""


@dataclass(eq=False, kw_only=True)
class Job:
    """An ask on its way. The worker writes, everyone reads; `state` is written last."""

    ask: ExplainRequest
    id: str = field(default_factory=lambda: uuid4().hex)
    state: str = "queued"  # then "running", then one of FINAL
    passes: int = 0  # through the model
    done: int = 0  # methods
    error: str = ""
    started: float = 0.0
    seconds: float = 0.0
    unwanted: bool = False

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def passed(self) -> None:
        """One more pass through the model. Raises Cancelled if the job is unwanted."""
        self.passes += 1
        self.seconds = time.monotonic() - self.started
        if self.unwanted:
            raise Cancelled

    def progressed(self, done: int, total: int) -> None:
        """Rows of a method that are explained."""
        self.done += done == total

    def told(self, position: int = 0) -> dict[str, Any]:
        """As the page is told of it; `position` in the queue, from 1."""
        return {
            "id": self.id,
            "state": self.state,
            "position": position,
            "passes": self.passes,
            "done": self.done,
            "of": len(self.ask.methods),
            "seconds": round(self.seconds, 2),
            "error": self.error,
            "title": self.ask.title,
        }


class JobQueue:
    """Takes jobs and has one thread work through them, in order.

    work: does a job, its result with it; what it raises is the job's failure, not the desk's.
    idle: called while nobody waits; does a little work of its own and says whether there is more.
    """

    def __init__(self, work: Callable[[Job], None], *, room: int, idle: Callable[[], bool] = lambda: False) -> None:
        self._work, self._idle, self._room = work, idle, room
        self._waiting: deque[Job] = deque()
        self._known: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._run, name="xai_nlp worker", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, patience: float = 5.0) -> None:
        """Cancel what runs and waits, and end the thread."""
        with self._changed:
            self._open = False
            for job in self._known.values():
                job.unwanted = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(patience)

    def submit(self, ask: ExplainRequest) -> Job:
        """A job for the ask. Raises Full if too many wait."""
        with self._changed:
            images = sum(len(one.ask.image or "") for one in self._waiting)
            if len(self._waiting) >= self._room or images > HELD:
                raise Full
            job = Job(ask=ask)
            self._waiting.append(job)
            self._known[job.id] = job
            oldest = next(iter(self._known.values()))
            if len(self._known) > KEPT and oldest.final:
                del self._known[oldest.id]
            self._changed.notify()
        return job

    def find(self, name: str) -> Job | None:
        """The job of that id, if it is still known."""
        return self._known.get(name)

    def told(self, job: Job) -> dict[str, Any]:
        """As the page is told of it, with its place in the queue."""
        with self._changed:
            position = self._waiting.index(job) + 1 if job in self._waiting else 0
        return job.told(position)

    def cancel(self, job: Job) -> None:
        """No longer wanted: one that waits is taken out, one that runs ends at its next pass."""
        with self._changed:
            job.unwanted = True
            if job in self._waiting:
                self._waiting.remove(job)
                job.state = "cancelled"

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._open and not self._waiting:
                    if not self._more() and self._open and not self._waiting:  # one may have come in the meantime
                        self._changed.wait()
                if not self._open:
                    return
                job = self._waiting.popleft()
                job.started, job.state = time.monotonic(), "running"
            self._do(job)

    def _more(self) -> bool:
        """A little idle work, without holding anybody up."""
        self._changed.release()
        try:
            return self._idle()
        except Exception:
            log.exception("idle work failed")
            return False
        finally:
            self._changed.acquire()

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
        job.ask = job.ask.model_copy(update={"image": None})  # what is over is remembered, not its image
        job.state = state


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no message."])[0][:500]
