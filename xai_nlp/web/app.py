"""The application: pages, and what they ask for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.exceptions import HTTPException

from xai_nlp._version import __version__
from xai_nlp.errors import UnknownName, XaiError
from xai_nlp.viz.page import html
from xai_nlp.viz.text import scale
from xai_nlp.web.routes import router
from xai_nlp.web.server_state import State

log = logging.getLogger("xai_nlp.web")
MEDIA = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
SCRIPTS = ("app.js", "form.js", "results.js", "data.js", "server.js", "theme.js", "docs.js")


def application(state: State) -> FastAPI:
    """The application over a state; a `Guard` goes around it."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        state.desk.start()
        yield
        state.desk.stop()
        state.history.close()

    app = FastAPI(
        title="xai_nlp",
        version=__version__,
        summary="Why a model says what it says.",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        redirect_slashes=False,
    )
    app.state.xai = state
    app.include_router(router, prefix="/api")
    _pages(app)
    _errors(app)
    return app


def _pages(app: FastAPI) -> None:
    assets = _assets()
    pages = {name: _template(f"{name}.html") for name in ("index", "docs")}

    @app.get("/", include_in_schema=False)
    def index() -> HTMLResponse:
        return HTMLResponse(pages["index"])

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(pages["docs"])

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name not in assets:  # looked up in a table: no path is ever made of a name
            raise HTTPException(404, "there is no such asset.")
        return Response(assets[name], media_type=MEDIA[name.rpartition(".")[2]])


def _assets() -> dict[str, str]:
    """Every file that a page may ask for: our own, and the frontend of the exported pages."""
    own = {name: _read("assets", name) for name in (*SCRIPTS, "app.css", "icon.svg")}
    return {**own, "enrich.js": html.script(), "look.css": html.style(), "theme.css": scale.css("app")}


def _read(folder: str, name: str) -> str:
    return (files("xai_nlp.web") / folder / name).read_text(encoding="utf-8")


def _template(name: str) -> str:
    environment = Environment(
        loader=FunctionLoader(lambda wanted: _read("templates", wanted)), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(name).render(version=__version__)


def _errors(app: FastAPI) -> None:
    """Every error is {"error": what to read}; nothing of the request is repeated that was not checked."""

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        return _error(422, f"{_plain(where)}: {first['msg']}.")

    @app.exception_handler(XaiError)
    def ours(request: Request, error: XaiError) -> JSONResponse:
        gone = isinstance(error, UnknownName) and str(error).startswith("unknown entry")
        return _error(404 if gone else 422, str(error))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> JSONResponse:
        return _error(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    def broken(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _error(500, "something broke in the server; its log says more.")


def _error(status: int, message: str, headers: Any = None) -> JSONResponse:
    return JSONResponse({"error": _plain(message)}, status, headers)


def _plain(text: str) -> str:
    """What can be written as UTF-8, and not too much of it."""
    return text[:1000].encode("utf-8", "replace").decode("utf-8")
