"""What the routes work with: models, jobs, history and a data set, opened and closed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xai_nlp.core.result import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.web.dataset_view import Table
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Job, JobQueue
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry


@dataclass(frozen=True)
class State:
    """The server's state. Make one with `State.of`."""

    limits: Limits
    offer: ModelRegistry
    history: History
    desk: JobQueue
    table: Table | None

    @classmethod
    def of(
        cls, offer: ModelRegistry, history: History, *, table: Table | None = None, limits: Limits | None = None
    ) -> State:
        """Jobs are explained by `offer` and kept in `history`; while nobody waits, the table's rows are looked at."""
        limits = limits or Limits()

        def work(job: Job) -> None:
            why = offer.explain(job.ask, passed=job.passed, progress=job.progressed)
            keep(history, job, why)

        idle = table.look if table else lambda: False
        return cls(limits, offer, history, JobQueue(work, room=limits.queue, idle=idle), table)


def keep(history: History, job: Job, why: Explanations) -> None:
    """A finished job's explanations, under its id."""
    ask = job.ask
    history.add(ask.title, why, id=job.id, ask=ask.model_dump_json(exclude_none=True), model=ask.model)


def several(ids: str, most: int) -> Sequence[str]:
    """Ids as they stand in an address, joined by commas. Raises InvalidInput for none or too many.

    >>> several("a,b", 8)
    ['a', 'b']
    """
    found = [one for one in ids.split(",") if one]
    if not 1 <= len(found) <= most:
        raise InvalidInput(f"name 1 to {most} entries; got {len(found)}.")
    return found
