"""The server's state: models, jobs, history and a data set, opened and closed together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xai_nlp.errors import InvalidInput
from xai_nlp.web.dataset_view import DatasetView
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Job, JobQueue
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry


@dataclass(frozen=True)
class State:
    """The server's state. Make one with `State.of`."""

    limits: Limits
    models: ModelRegistry
    history: History
    jobs: JobQueue
    dataset: DatasetView | None

    @classmethod
    def of(
        cls,
        models: ModelRegistry,
        history: History,
        *,
        dataset: DatasetView | None = None,
        limits: Limits | None = None,
    ) -> State:
        """Jobs are explained by `models` and written to `history`.

        dataset: its rows are predicted while no job waits.
        """
        limits = limits or Limits()

        def work(job: Job) -> None:
            request = job.request
            why = models.explain(request, on_pass=job.on_pass, progress=job.on_progress)
            as_json = request.model_dump_json(exclude_defaults=True)
            history.add(request.title, why, id=job.id, request=as_json, model=request.model)

        idle = dataset.predict_more if dataset else lambda: False
        return cls(limits, models, history, JobQueue(work, room=limits.queue, idle=idle), dataset)

    def ids(self, joined: str) -> Sequence[str]:
        """Ids that an address joins by commas. Raises InvalidInput for none or too many."""
        ids = [one for one in joined.split(",") if one]
        if not 1 <= len(ids) <= self.limits.compared:
            raise InvalidInput(f"name 1 to {self.limits.compared} entries; got {len(ids)}.")
        return ids
