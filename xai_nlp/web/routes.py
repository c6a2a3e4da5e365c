"""What the page asks the server for, under /api."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
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
from xai_nlp.viz.page.html import markup
from xai_nlp.web.dataset_view import Filter
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import ExplainRequest, Short
from xai_nlp.web.exports import KINDS, read_back
from xai_nlp.web.job_queue import Full, Job
from xai_nlp.web.server_state import State, several

router = APIRouter()
BEAT = 0.12  # seconds between two looks at a job whose progress is told
REFUSED: dict[int | str, dict[str, Any]] = {
    422: {"description": "Not something that can be done; `error` says why."},
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
    """What is offered: models, methods, baselines, examples, limits, the data set."""
    methods = [
        {
            "name": name,
            "about": " ".join((cls.__doc__ or "").split("\n\n")[0].split()),
            "complete": cls.complete,
            "compares": cls.needs_baseline,
            "operates_on": cls.operates_on,
        }
        for name, cls in sorted(METHODS.items())
    ]
    shown = ("letters", "words", "methods", "image", "pixels", "compared")
    return {
        "version": __version__,
        "models": here.offer.listed(),
        "methods": methods,
        "baselines": [*BASELINES, "reference"],
        "examples": examples(),
        "limits": {name: getattr(here.limits, name) for name in shown},
        "data": here.table.to_dict() if here.table else None,
    }


# Jobs ----------------------------------------------------------------------------------------------------------------


@router.post("/jobs", status_code=202, responses=REFUSED)
def ask(wanted: ExplainRequest, here: Here) -> dict[str, Any]:
    """Ask for an explanation: a job that waits for its turn. Its id is the entry's in the history once it is done."""
    here.offer.checked(wanted)
    try:
        job = here.desk.submit(wanted)
    except Full:
        raise HTTPException(503, "too many jobs wait; try again in a moment.", {"Retry-After": "1"}) from None
    return here.desk.told(job)


def job_of(id: Id, here: Here) -> Job:
    """The job of that id, or 404."""
    job = here.desk.find(id)
    if job is None:
        raise HTTPException(404, "there is no such job; it may have been done before the server was started.")
    return job


OfJob = Annotated[Job, Depends(job_of)]


@router.get("/jobs/{id}")
def job(one: OfJob, here: Here) -> dict[str, Any]:
    """How far a job is: its state, place in the queue, passes through the model, methods done, and its error."""
    return here.desk.told(one)


@router.get("/jobs/{id}/events", response_class=EventSourceResponse)
async def events(one: OfJob, here: Here) -> AsyncIterable[ServerSentEvent]:
    """The same as server-sent events, each time something changes, until the job is over."""
    before: dict[str, Any] = {}
    while True:
        final = one.final  # looked at first: what is told after it is all there is
        now = here.desk.told(one)
        if now != before:
            yield ServerSentEvent(data=now)
            before = now
        if final:
            return
        await asyncio.sleep(BEAT)


@router.delete("/jobs/{id}")
def cancel(one: OfJob, here: Here) -> dict[str, Any]:
    """Cancel a job: at once if it waits, at its next pass through the model if it runs."""
    here.desk.cancel(one)
    return here.desk.told(one)


# History -------------------------------------------------------------------------------------------------------------


class Name(BaseModel):
    """A name for an entry."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[Short, Field(min_length=1)]


@router.get("/history")
def history(here: Here, search: Annotated[str, Query(max_length=200)] = "") -> list[dict[str, Any]]:
    """What was explained, the newest first."""
    return [entry.told() for entry in here.history.listed(search)]


@router.post("/history", status_code=201, responses=REFUSED)
async def open_again(request: Request, here: Here, name: Annotated[Short, Query()] = "") -> dict[str, Any]:
    """Open a file that was saved as JSON: its explanations become an entry."""
    body = await request.body()
    return await asyncio.get_running_loop().run_in_executor(None, _opened, here, body, name)


def _opened(here: State, body: bytes, name: str) -> dict[str, Any]:
    why = read_back(body)
    title = name.strip() or " ".join(" ".join(why[0].segments).split())[:80] or "opened file"
    return here.history.add(title, why, id=uuid4().hex).told()


@router.get("/history/{id}")
def entry(id: Id, here: Here) -> dict[str, Any]:
    """An entry, and what was asked."""
    return {**here.history.entry(id).told(), "ask": here.history.ask(id)}


@router.patch("/history/{id}")
def rename(id: Id, given: Annotated[Name, Body()], here: Here) -> dict[str, Any]:
    """Give an entry another name."""
    if not given.name.strip():
        raise InvalidInput("a name needs a letter.")
    return here.history.rename(id, given.name.strip()).told()


@router.delete("/history/{id}")
def delete(id: Id, here: Here) -> dict[str, Any]:
    """Take an entry out of the history."""
    here.history.delete(id)
    return {"id": id}


def _found(ids: str, here: State) -> Explanations:
    return here.history.explanations(several(ids, here.limits.compared))


@router.get("/shown/{ids}", response_class=HTMLResponse)
def shown(ids: Ids, here: Here) -> HTMLResponse:
    """Entries drawn, several on one page and scale: an element to put into a page that has the style and the script."""
    return HTMLResponse(markup(_found(ids, here)))


@router.get("/files/{ids}.{kind}")
def file(ids: Ids, kind: Literal["html", "json", "png", "csv"], here: Here) -> Response:
    """Entries as a file: a page that opens offline, JSON that can be opened again, a picture, a table."""
    made = KINDS[kind]
    headers = {"Content-Disposition": f'attachment; filename="explanation.{kind}"'}
    return Response(made.write(_found(ids, here)), media_type=made.media, headers=headers)


# Data ----------------------------------------------------------------------------------------------------------------


@router.get("/data")
def data(
    here: Here,
    label: Annotated[Short | None, Query()] = None,
    prediction: Annotated[Short | None, Query()] = None,
    right: bool | None = None,
    least: Annotated[float | None, Query(ge=0, le=1)] = None,
    most: Annotated[float | None, Query(ge=0, le=1)] = None,
    text: Annotated[Short, Query()] = "",
    page: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> dict[str, Any]:
    """Rows of the data set: by label, prediction, right or wrong, score and text."""
    if here.table is None:
        raise HTTPException(404, "no data set was given; start the server with --data FILE.")
    wanted = Filter(label=label, prediction=prediction, right=right, least=least, most=most, text=text)
    return here.table.page(wanted, page)
