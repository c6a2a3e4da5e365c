"""The routes under /api."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from dataclasses import asdict
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from xai_nlp._version import __version__
from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import METHODS
from xai_nlp.tasks.options import ExplainOptions
from xai_nlp.tasks.table import TASKS
from xai_nlp.web.allowed_root import AllowedRoot, OpenRequest
from xai_nlp.web.dataset_view import DatasetView, Filter
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import ExplainRequest, RowsRequest, Short, field_errors, request_schema, rows_schema
from xai_nlp.web.exports import FILE_KINDS, read_checked, write_kind
from xai_nlp.web.forms import method_form, task_form
from xai_nlp.web.history import Entry
from xai_nlp.web.job_queue import Full, Job, JobRequest
from xai_nlp.web.run_view import RunView
from xai_nlp.web.server_state import State
from xai_nlp.web.what_if import compare

router = APIRouter()
INTERVAL = 0.12  # seconds between two events of a job


class Refusal(BaseModel):
    """Why a request was refused."""

    error: Annotated[str, Field(description="A sentence.")]
    field: Annotated[str, Field(description='The field that it is about, or "".')] = ""


def answers(**reasons: str) -> dict[int | str, dict[str, Any]]:
    """Statuses of refusals for the OpenAPI document, by "s404"."""
    content = {"application/json": {"schema": Refusal.model_json_schema()}}
    return {int(name[1:]): {"description": text, "content": content} for name, text in reasons.items()}


EVERYWHERE = answers(
    s400="A body that is no JSON, or that ended too early.",
    s403="Another page's request, or one without the token.",
    s405="There is no such method here.",
    s408="A body that came too slowly.",
    s413="A body that is too long.",
    s415="A body that is not declared as JSON.",
    s421="Another host's name.",
    s422="Something that cannot be done; `error` says why.",
    s503="Busy: too many jobs, streams or bodies, or the history's file is held; try again after Retry-After.",
    s507="The disk is full; deleting entries of the history makes room.",
)
FOUND = answers(s404="There is no such thing.")
BODY = {"application/json": {"schema": {"anyOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}}]}}}
FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
            for media_type in ("text/html", "application/json", "image/png", "text/csv")
        }
    }
}


def state_of(request: Request) -> State:
    """The server's state."""
    return request.app.state.xai


Here = Annotated[State, Depends(state_of)]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Ids = Annotated[str, Path(pattern=r"^[0-9a-f]{32}(,[0-9a-f]{32})*$")]


@router.get("/about")
def about(here: Here) -> dict[str, Any]:
    """The models, their tasks with inputs and options, the methods with options, examples, limits and the data set.

    root: the name of the folder from which models and data sets may be opened, or null.
    """
    models = here.models.to_list()
    tasks = [task for task in TASKS.values() if here.models.first(task.name)]
    own = [{"model": here.models.first(task.name), **example} for task in tasks for example in task.examples]
    bounds = ("letters", "words", "methods", "image", "pixels", "compared", "rows_at_once")
    return {
        "version": __version__,
        "models": models,
        "tasks": [task_form(task) for task in tasks],
        "methods": [method_form(name) for name in sorted(METHODS)],
        "recommended": ExplainOptions.method,
        "baselines": [*BASELINES, "reference"],
        "examples": [one for one in [*examples(), *own] if one["model"] in here.models.explainers],
        "limits": {name: getattr(here.limits, name) for name in bounds},
        "data": here.dataset.to_dict() if here.dataset else None,
        "root": here.root.folder.name if here.root else None,
    }


# Jobs ----------------------------------------------------------------------------------------------------------------


def api_router() -> APIRouter:
    """All routes; a request has the fields of the tasks that are in the table now."""

    def submit(body: ExplainRequest, here: Here) -> dict[str, Any]:
        """Submit a request: a job that waits for its turn. Its id is the entry's in the history once it is done."""
        with field_errors(body):
            body.keywords(here.models.explainer(body.model).task)  # refused here, before it waits
        return enqueue(body, here)

    def submit_rows(body: Any, here: Here) -> dict[str, Any]:
        """Submit rows of the data set, by their numbers: one job, and one entry of the history."""
        dataset, request = dataset_of(here), body.request
        with field_errors(request):
            task = here.models.explainer(request.model).task
            if task != dataset.task:
                raise InvalidInput(
                    f"model {request.model!r} does {task.title.lower()}, which {dataset.name} is not for."
                )
            request.keywords(task, of_rows=True)
        return enqueue(RowsRequest(request, dataset.numbered(body.numbers), dataset.name), here)

    submit.__annotations__["body"] = request_schema()
    submit_rows.__annotations__["body"] = rows_schema()
    routes = APIRouter(responses=EVERYWHERE)
    routes.post("/jobs", status_code=202)(submit)
    routes.post("/data", status_code=202, responses=FOUND)(submit_rows)
    routes.include_router(router)
    return routes


def enqueue(request: JobRequest, here: State) -> dict[str, Any]:
    """A job for the request, as JSON can hold it, or 503."""
    try:
        return here.jobs.to_dict(here.jobs.submit(request))
    except Full:
        raise HTTPException(503, "too many jobs wait; try again in a moment.", {"Retry-After": "1"}) from None


@router.get("/jobs")
def jobs(here: Here) -> list[dict[str, Any]]:
    """The jobs that run or wait, in order."""
    return [here.jobs.to_dict(job) for job in here.jobs.unfinished]


def job_of(id: Id, here: Here) -> Job:
    """The job of that id, or 404."""
    job = here.jobs.find(id)
    if job is None:
        raise HTTPException(404, "there is no such job; it may have been done before the server was started.")
    return job


OfJob = Annotated[Job, Depends(job_of)]


@router.get("/jobs/{id}", responses=FOUND)
def job(one: OfJob, here: Here) -> dict[str, Any]:
    """How far a job is: its state, place in the queue, passes of the model, percent, seconds left, and its error."""
    return here.jobs.to_dict(one)


@router.get("/jobs/{id}/events", response_class=EventSourceResponse, responses=FOUND)
async def events(one: OfJob, here: Here) -> AsyncIterable[ServerSentEvent]:
    """The same as server-sent events, each time something changes, until the job is over."""
    before: dict[str, Any] = {}
    while True:
        final = one.final  # read first: the job does not change after it
        now = here.jobs.to_dict(one)
        if now != before:
            yield ServerSentEvent(data=now)
            before = now
        if final:
            return
        await asyncio.sleep(INTERVAL)


@router.delete("/jobs/{id}", responses=FOUND)
def cancel(one: OfJob, here: Here) -> dict[str, Any]:
    """Cancel a job: at once if it waits, at its next pass through the model if it runs."""
    here.jobs.cancel(one)
    return here.jobs.to_dict(one)


# History -------------------------------------------------------------------------------------------------------------


class EntryName(BaseModel):
    """A name for an entry."""

    model_config = ConfigDict(extra="forbid", strict=True, str_strip_whitespace=True)

    name: Annotated[Short, Field(min_length=1)]


@router.get("/history")
def history(here: Here, response: Response, search: Annotated[str, Query(max_length=200)] = "") -> list[Entry]:
    """The entries of the history, the newest first; the header X-Skipped counts those that cannot be read."""
    entries = here.history.listed(search)
    response.headers["X-Skipped"] = str(here.history.skipped)
    return entries


async def body_of(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


@router.post("/history", status_code=201, openapi_extra={"requestBody": {"required": True, "content": BODY}})
async def open_file(
    request: Request, body: Annotated[bytes, Depends(body_of)], here: Here, name: Annotated[Short, Query()] = ""
) -> Entry:
    """Open a file that was saved as JSON: its explanations become an entry, after they were drawn once."""
    lines = await here.drawings.run(request, read_checked, body, here.limits)
    return await run_in_threadpool(add_opened, lines, name, here)


def add_opened(lines: list[str], name: str, here: State) -> Entry:
    """An entry of explanations that were read from a file."""
    why = Explanations(map(Explanation.from_json, lines))
    title = name.strip() or " ".join(" ".join(why[0].segments).split())[:80] or "opened file"
    return here.history.add(title, why, id=uuid4().hex)


@router.get("/history/{id}", responses=FOUND)
def entry(id: Id, here: Here) -> dict[str, Any]:
    """An entry, and its request."""
    return {**asdict(here.history.entry(id)), "request": here.history.request(id)}


@router.patch("/history/{id}", responses=FOUND)
def rename(id: Id, body: Annotated[EntryName, Body()], here: Here) -> Entry:
    """Give an entry another name."""
    return here.history.rename(id, body.name)


@router.delete("/history/{id}", responses=FOUND)
def delete(id: Id, here: Here) -> dict[str, Any]:
    """Delete an entry of the history."""
    here.history.delete(id)
    return {"id": id}


def lines_of(ids: str, here: State) -> list[str]:
    """The explanations of the entries in an address, as JSON."""
    listed = ids.split(",")
    if len(listed) > here.limits.compared:
        raise InvalidInput(f"name 1 to {here.limits.compared} entries; got {len(listed)}.")
    return here.history.lines(listed)


@router.get("/shown/{ids}", response_class=HTMLResponse, responses=FOUND)
def shown(ids: Ids, here: Here) -> HTMLResponse:
    """Entries as HTML, several on one page: an element to put into a page that has the style and the script."""
    return HTMLResponse(write_kind("element", lines_of(ids, here)))


@router.get("/changes/{ids}", responses=FOUND)
def changes(ids: Ids, here: Here) -> dict[str, Any]:
    """What changed between two entries: the prediction, the outputs, and the score of each word."""
    before, after = (here.history.explanations([id])[0] for id in pair_of(ids))
    return compare(before, after)


def pair_of(ids: str) -> list[str]:
    """Two ids. Raises InvalidInput for another number."""
    listed = ids.split(",")
    if len(listed) != 2:
        raise InvalidInput(f"name two entries; got {len(listed)}.")
    return listed


@router.get("/files/{ids}.{kind}", response_class=Response, responses=FOUND | FILES)
async def file(request: Request, ids: Ids, kind: Literal["html", "json", "png", "csv"], here: Here) -> Response:
    """Entries as a file: a page that opens offline, JSON that can be opened again, a picture, a table."""
    headers = {"Content-Disposition": f'attachment; filename="explanation.{kind}"'}
    _, media_type = FILE_KINDS[kind]
    lines = await run_in_threadpool(lines_of, ids, here)
    if kind == "png":
        content = await here.drawings.run(request, write_kind, kind, lines)
    else:
        content = await run_in_threadpool(write_kind, kind, lines)
    return Response(content, media_type=media_type, headers=headers)


# Data ----------------------------------------------------------------------------------------------------------------


@router.get("/data", responses=FOUND)
def data(here: Here, conditions: Annotated[Filter, Query()]) -> dict[str, Any]:
    """Rows of the data set, or explanations of the run: by label, prediction, right or wrong, score and text."""
    return dataset_of(here).page(conditions)


class RunPlace(BaseModel):
    """The place of an explanation in the run, from 0."""

    model_config = ConfigDict(extra="forbid", strict=True)

    number: Annotated[int, Field(ge=0, lt=2**53)]


@router.post("/run", status_code=201, responses=FOUND)
def open_row(body: Annotated[RunPlace, Body()], here: Here) -> Entry:
    """Open an explanation of the run: an entry of the history, the same each time."""
    run = dataset_of(here)
    if not isinstance(run, RunView):
        raise HTTPException(404, "there is no run; start the server with --data DIR.")
    return run.open(body.number, here.history)


def dataset_of(here: State) -> DatasetView | RunView:
    """The data set, or 404."""
    if here.dataset is None:
        raise HTTPException(404, "there is no data set and no run; start the server with --data.")
    return here.dataset


# Opening -------------------------------------------------------------------------------------------------------------


def root_of(here: Here) -> AllowedRoot:
    """The folder from which models and data sets may be opened, or 404."""
    if here.root is None:
        raise HTTPException(404, "nothing can be opened here; start the server with --root DIR.")
    return here.root


Root = Annotated[AllowedRoot, Depends(root_of)]


@router.get("/folder", responses=FOUND)
def folder(root: Root, path: Annotated[Short, Query()] = "") -> dict[str, Any]:
    """What a folder holds that can be opened: folders, model folders and data files."""
    return root.listing(path)


@router.post("/opened", status_code=202, responses=FOUND)
def open_path(body: Annotated[OpenRequest, Body()], root: Root, here: Here) -> dict[str, Any]:
    """Open a model folder or a data file: a job."""
    root.find(body.path)  # refused here, before it waits
    return enqueue(body, here)
