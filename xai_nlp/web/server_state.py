"""The server's state: models, jobs, history and a data set, opened and closed together."""

from __future__ import annotations

from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.api import load
from xai_nlp.web.allowed_root import AllowedRoot, OpenRequest
from xai_nlp.web.dataset_view import DatasetView
from xai_nlp.web.drawing_process import DrawingProcesses
from xai_nlp.web.explain_request import ExplainRequest, RowsRequest
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Job, JobQueue, JobRequest, TooSlow
from xai_nlp.web.limits import LIMITS, Limits
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.run_view import RunView


class State:
    """The models, the jobs that they explain, the history that the results are written to, and a data set or a run.

    dataset: its rows are predicted, or read, while no job waits.
    root: the folder from which models and data sets may be opened; None opens none.
    """

    def __init__(
        self,
        models: ModelRegistry,
        history: History,
        *,
        dataset: DatasetView | RunView | None = None,
        root: AllowedRoot | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        self.models, self.history, self.dataset, self.root, self.limits = models, history, dataset, root, limits
        self.drawings = DrawingProcesses(limits)
        self.jobs = JobQueue(
            self.work, room=limits.queue, idle=self.predict_more, try_work=self.try_work, quick=limits.quick
        )

    def predict_more(self) -> bool:
        """Predict a few more rows of the data set. Are there more?"""
        if self.dataset is None:
            return False
        for name in self.models.explainers:
            self.models.prepare(name, self.limits.copied)
        return self.dataset.predict_more()

    def work(self, job: Job) -> None:
        """Do a job: open a model or a data set, or explain and write the results to the history."""
        request = job.request
        if isinstance(request, OpenRequest):
            self.open(request, job)
        else:
            self.models.prepare(model_of(request), self.limits.copied)
            self.explain(job, self.models)

    def try_work(self, job: Job) -> None:
        """Do a job beside another one, with a copy of the model. Raises TooSlow for what no copy is made for."""
        request = job.request
        if isinstance(request, OpenRequest) or not self.models.prepare(model_of(request), self.limits.copied):
            raise TooSlow
        self.explain(job, self.models.second)

    def explain(self, job: Job, models: ModelRegistry) -> None:
        """Explain, and write the results to the history."""
        request = job.request
        if isinstance(request, RowsRequest):
            why = models.explain(request.request, on_pass=job.check, progress=job, rows=request.rows)
            if not why:
                raise InvalidInput(f"no row could be explained: {next(iter(why.errors.values()))}")
            failed = f" ({len(why.errors)} could not be explained)" if why.errors else ""
            self.write(job, request.title + failed, why, request.request)
        elif isinstance(request, ExplainRequest):
            why = models.explain(request, on_pass=job.check, progress=job)
            self.write(job, request.title, why, request)

    def write(self, job: Job, name: str, why: Explanations, request: ExplainRequest) -> None:
        """Write the results of a job to the history."""
        as_json = request.model_dump_json(exclude_defaults=True)
        options = {"model": request.model, "request": as_json, "options": request.summary}
        self.history.add(name, why, id=job.id, keep=True, **options)
        job.address = job.id

    def open(self, request: OpenRequest, job: Job) -> None:
        """Offer the model of a folder, or show the data set of a file. Raises InvalidInput if it is not allowed."""
        if self.root is None:
            raise InvalidInput("nothing can be opened here; start the server with --root DIR.")
        if self.root.find(request.path).is_dir():
            if len(self.models.explainers) >= self.limits.models:
                raise InvalidInput(f"{self.limits.models} models are open already; start the server again for others.")
            explainer = load(self.root.model_folder(request.path))
            job.check()
            self.models.add(request.path, explainer)
        else:
            dataset = DatasetView(self.root.data_file(request.path), self.models, self.limits)
            job.check()
            self.dataset, job.address = dataset, "data"


def model_of(request: JobRequest) -> str:
    """The name of the model that a request explains."""
    request = request.request if isinstance(request, RowsRequest) else request
    return request.model if isinstance(request, ExplainRequest) else ""
