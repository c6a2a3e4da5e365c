"""Insights on a page of its own, served by the web application behind its guard."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from xai_nlp.errors import Unsupported
from xai_nlp.insights.frontend import module, read_asset
from xai_nlp.insights.source import FAILURES, Source
from xai_nlp.viz.page.html import markup

if TYPE_CHECKING:
    from fastapi import FastAPI


def application(source: Source[Any]) -> FastAPI:
    """The web application with one page: the widget's module, whose model calls two routes. One request at a time."""
    from fastapi import APIRouter

    from xai_nlp.web.app import make_app, render_page

    router, lock = APIRouter(), threading.Lock()
    results = {"html": markup(source.fetch(), level=1)}

    @router.get("/insights")
    def state() -> dict[str, Any]:
        """The form's choices, the settings, and the explanations as HTML."""
        return {"choices": source.choices(), "settings": source.settings.to_dict(), **results, "key": ""}

    @router.post("/insights")
    def explain(request: dict[str, Any]) -> dict[str, Any]:
        """Change the settings and explain; or say in "problem" why that fails."""
        with lock:
            try:
                results["html"] = markup(source.answer(request), level=1)
            except FAILURES as error:
                return {"problem": str(error) or type(error).__name__}
            except Exception as error:  # of a model or a data set; its traceback is none of the cell that serves
                return {"problem": f"{type(error).__name__}: {error}"}
            return {"settings": source.settings.to_dict(), **results, "problem": ""}

    assets = {"insights.js": module(), **{name: read_asset(name) for name in ("insights.css", "page.js")}}
    return make_app(router, {"": render_page("insights.html", "xai_nlp.insights")}, assets)


def serve(source: Source[Any], *, port: int | None = None, blocking: bool = False, bind_all: bool = False) -> int:
    """Serve on this machine, print the address with its token, and return the port.

    port: a free one by default. blocking: return only when it is interrupted. bind_all: for other machines too.
    Raises Unsupported without the libraries of the web page.
    """
    try:
        from xai_nlp.web.serve import bind, serve_in_thread
    except ModuleNotFoundError as error:
        raise Unsupported(
            f"the page of Insights needs {error.name}: pip install '.[serve]' in the repository."
        ) from None
    bound = bind("0.0.0.0" if bind_all else None, port or 0, token=True)
    thread = serve_in_thread(application(source), bound)
    print(f"Insights: {bound.url}")
    if blocking:
        with suppress(KeyboardInterrupt):
            thread.join()
    return bound.address.port
