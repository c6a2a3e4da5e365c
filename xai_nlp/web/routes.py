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
from starlette.exceptions import HTTPException

from xai_nlp._version import __version__
from xai_nlp.core.baselines import BASELINES
from xai_nlp.core.result import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import METHODS
from xai_nlp.tasks.table import TASKS
from xai_nlp.viz.page.html import markup
from xai_nlp.web.dataset_view import Filter
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import ExplainRequest, Short, request_schema
from xai_nlp.web.exports import FILE_KINDS, read_back
from xai_nlp.web.forms import method_form, task_form
from xai_nlp.web.history import Entry
from xai_nlp.web.job_queue import Full, Job
from xai_nlp.web.server_state import State

router = APIRouter()
INTERVAL = 0.12  # seconds between two events of a job
ERRORS: dict[int | str, dict[str, Any]] = {
    422: {"description": "Something that cannot be done; `error` says why."},
    503: {"description": "Too many jobs wait; try again after the seconds of Retry-After."},
}


def state_of(request: Request) -> State:
    """The server's state."""
    return request.app.state.xai


Here = Annotated[State, Depends(state_of)]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]
Ids = Annotated[str, Path(pattern=r"^[0-9a-f]{32}(,[0-9a-f]{32})*$")]


@router.get("/about")
def about(here: Here) -> dict[str, Any]:
    """The models, their tasks with inputs and options, the methods with options, examples, limits and the data set."""
    models = here.models.to_list()
    tasks = [task for task in TASKS.values() if here.models.first(task.name)]
    own = [{"model": here.models.first(task.name), **example} for task in tasks for example in task.examples]
    bounds = ("letters", "words", "methods", "image", "pixels", "compared")
    return {
        "version": __version__,
        "models": models,
        "tasks": [task_form(task) for task in tasks],
        "methods": [method_form(name) for name in sorted(METHODS)],
        "baselines": [*BASELINES, "reference"],
        "examples": [one for one in [*examples(), *own] if one["model"] in here.models.explainers],
        "limits": {name: getattr(here.limits, name) for name in bounds},
        "data": here.dataset.to_dict() if here.dataset else None,
    }


# Jobs ----------------------------------------------------------------------------------------------------------------


def api_router() -> APIRouter:
    """All routes; a request has the fields of the tasks that are in the table now."""

    def submit(body: ExplainRequest, here: Here) -> dict[str, Any]:
        """Submit a request: a job that waits for its turn. Its id is the entry's in the history once it is done."""
        body.keywords(here.models.explainer(body.model).task)  # refused here, before it waits
        try:
            return here.jobs.to_dict(here.jobs.submit(body))
        except Full:
            raise HTTPException(503, "too many jobs wait; try again in a moment.", {"Retry-After": "1"}) from None

    submit.__annotations__["body"] = request_schema()
    routes = APIRouter()
    routes.post("/jobs", status_code=202, responses=ERRORS)(submit)
    routes.include_router(router)
    return routes


def job_of(id: Id, here: Here) -> Job:
    """The job of that id, or 404."""
    job = here.jobs.find(id)
    if job is None:
        raise HTTPException(404, "there is no such job; it may have been done before the server was started.")
    return job


OfJob = Annotated[Job, Depends(job_of)]


@router.get("/jobs/{id}")
def job(one: OfJob, here: Here) -> dict[str, Any]:
    """How far a job is: its state, place in the queue, passes through the model, methods done, and its error."""
    return here.jobs.to_dict(one)


@router.get("/jobs/{id}/events", response_class=EventSourceResponse)
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


@router.delete("/jobs/{id}")
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
def history(here: Here, search: Annotated[str, Query(max_length=200)] = "") -> list[Entry]:
    """The entries of the history, the newest first."""
    return here.history.listed(search)


async def body_of(request: Request) -> bytes:
    """The body as it came."""
    return await request.body()


@router.post("/history", status_code=201, responses=ERRORS)
def open_file(body: Annotated[bytes, Depends(body_of)], here: Here, name: Annotated[Short, Query()] = "") -> Entry:
    """Open a file that was saved as JSON: its explanations become an entry."""
    why = read_back(body)
    title = name.strip() or " ".join(" ".join(why[0].segments).split())[:80] or "opened file"
    return here.history.add(title, why, id=uuid4().hex)


@router.get("/history/{id}")
def entry(id: Id, here: Here) -> dict[str, Any]:
    """An entry, and its request."""
    return {**asdict(here.history.entry(id)), "request": here.history.request(id)}


@router.patch("/history/{id}")
def rename(id: Id, body: Annotated[EntryName, Body()], here: Here) -> Entry:
    """Give an entry another name."""
    return here.history.rename(id, body.name)


@router.delete("/history/{id}")
def delete(id: Id, here: Here) -> dict[str, Any]:
    """Delete an entry of the history."""
    here.history.delete(id)
    return {"id": id}


def explanations_of(ids: str, here: State) -> Explanations:
    """The explanations of the entries in an address."""
    listed = ids.split(",")
    if len(listed) > here.limits.compared:
        raise InvalidInput(f"name 1 to {here.limits.compared} entries; got {len(listed)}.")
    return here.history.explanations(listed)


@router.get("/shown/{ids}", response_class=HTMLResponse)
def shown(ids: Ids, here: Here) -> HTMLResponse:
    """Entries as HTML, several on one page: an element to put into a page that has the style and the script."""
    return HTMLResponse(markup(explanations_of(ids, here)))


@router.get("/files/{ids}.{kind}")
def file(ids: Ids, kind: Literal["html", "json", "png", "csv"], here: Here) -> Response:
    """Entries as a file: a page that opens offline, JSON that can be opened again, a picture, a table."""
    headers = {"Content-Disposition": f'attachment; filename="explanation.{kind}"'}
    write, media_type = FILE_KINDS[kind]
    return Response(write(explanations_of(ids, here)), media_type=media_type, headers=headers)


# Data ----------------------------------------------------------------------------------------------------------------


@router.get("/data")
def data(here: Here, conditions: Annotated[Filter, Query()]) -> dict[str, Any]:
    """Rows of the data set: by label, prediction, right or wrong, score and text."""
    if here.dataset is None:
        raise HTTPException(404, "there is no data set; start the server with --data FILE.")
    return here.dataset.page(conditions)
