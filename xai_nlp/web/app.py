"""The application: pages, assets, routes, and errors as sentences."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from xai_nlp._version import __version__
from xai_nlp.errors import UnknownName, XaiError
from xai_nlp.viz.page import html
from xai_nlp.viz.text import scale
from xai_nlp.web.history import History, Unwritable
from xai_nlp.web.routes import api_router
from xai_nlp.web.server_state import State

log = logging.getLogger("xai_nlp.web")
WRITE_AGAIN = 1.0  # seconds
MEDIA_TYPES = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}


def application(state: State) -> FastAPI:
    """The web application over a state; a `Guard` goes around it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state.jobs.start()
        writing = asyncio.create_task(write_later(state.history))
        yield
        state.jobs.stop()
        writing.cancel()
        state.history.close()

    pages = {"": render_page("index.html"), "docs": render_page("docs.html")}
    app = make_app(api_router(), pages, {}, lifespan)
    app.state.xai = state
    return app


async def write_later(history: History) -> None:
    """Write what waits for the history, again and again."""
    while True:
        await asyncio.sleep(WRITE_AGAIN)
        await run_in_threadpool(history.write_later)


def make_app(router: APIRouter, pages: Mapping[str, str], assets: Mapping[str, str], lifespan: Any = None) -> FastAPI:
    """An application of these pages, with the routes under /api and these assets beside our own.

    pages: HTML by path. assets: text by file name.
    """
    app = FastAPI(
        title="xai_nlp",
        version=__version__,
        summary="Why a model says what it says.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.include_router(router, prefix="/api")
    frontend = {"enrich.js": html.script(), "look.css": html.style(), "theme.css": scale.css("app")}
    own = {
        file.name: file.read_text(encoding="utf-8")
        for file in (files("xai_nlp.web") / "assets").iterdir()
        if file.name.rpartition(".")[2] in MEDIA_TYPES
    }
    files_by_name = {**own, **frontend, **assets}

    @app.get("/", include_in_schema=False)
    @app.get("/{name}", include_in_schema=False)
    def page(name: str = "") -> HTMLResponse:
        if name not in pages:
            raise HTTPException(404, "there is no such page.")
        return HTMLResponse(pages[name])

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in files_by_name:  # looked up in a table: no path is ever made of a name
            raise HTTPException(404, "there is no such asset.")
        return Response(files_by_name[name], media_type=MEDIA_TYPES[name.rpartition(".")[2]])

    _handle_errors(app)
    return app


def render_page(name: str, package: str = "xai_nlp.web") -> str:
    """The HTML of a template of a package, which may extend our own templates."""
    loader = ChoiceLoader([PackageLoader(package), PackageLoader("xai_nlp.web")])
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return environment.get_template(name).render(version=__version__)


def _handle_errors(app: FastAPI) -> None:
    """Every error is {"error": a sentence, "field": the field it is about or ""}.

    Nothing of the request is repeated that was not checked.
    """

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first, *others = error.errors()
        field = first["loc"][1:2]
        messages = [one["msg"] for one in (first, *others) if one["loc"][1:2] == field]  # one for each type of a union
        name = ".".join(map(str, field)) or "the body"
        return _error(422, f"{_cut(name)}: {', or '.join(dict.fromkeys(messages))}.", field=_cut(name))

    @app.exception_handler(XaiError)
    def ours(request: Request, error: XaiError) -> JSONResponse:
        if isinstance(error, Unwritable):
            return _error(507, str(error)) if error.full else _error(503, str(error), {"Retry-After": "1"})
        gone = isinstance(error, UnknownName) and str(error).startswith("unknown entry")
        return _error(404 if gone else 422, str(error), field=getattr(error, "field", ""))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _error(500, "something broke in the server; its log says more.")


def _error(status: int, message: str, headers: Any = None, field: str = "") -> JSONResponse:
    return JSONResponse({"error": _cut(message), "field": field}, status, headers)


def _cut(text: str) -> str:
    """The beginning of a text, without characters that UTF-8 cannot hold."""
    return text[:1000].encode("utf-8", "replace").decode("utf-8")
