"""The server's state: models, jobs, history and a data set, opened and closed together."""

from __future__ import annotations

from xai_nlp.web.dataset_view import DatasetView
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Job, JobQueue
from xai_nlp.web.limits import LIMITS, Limits
from xai_nlp.web.model_registry import ModelRegistry


class State:
    """The models, the jobs that they explain, the history that the results are written to, and a data set.

    dataset: its rows are predicted while no job waits.
    """

    def __init__(
        self, models: ModelRegistry, history: History, *, dataset: DatasetView | None = None, limits: Limits = LIMITS
    ) -> None:
        self.models, self.history, self.dataset, self.limits = models, history, dataset, limits
        idle = dataset.predict_more if dataset else lambda: False
        self.jobs = JobQueue(self.explain, room=self.limits.queue, idle=idle)

    def explain(self, job: Job) -> None:
        """Explain a job's request, and write the results to the history."""
        request = job.request
        why = self.models.explain(request, on_pass=job.on_pass, progress=job.on_progress)
        as_json = request.model_dump_json(exclude_defaults=True)
        self.history.add(request.title, why, id=job.id, request=as_json, model=request.model)
