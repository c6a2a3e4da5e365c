"""`xai-nlp serve`: the web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xai_nlp.errors import Unsupported

NEEDED = ("fastapi", "uvicorn", "h11", "pydantic", "starlette")


def serve(
    model: Annotated[list[str] | None, typer.Option(help="Offer this model too: a folder or a hub name.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="A data set to browse: CSV, TSV, JSON, Parquet or lines; or the folder of a run."),
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="Let the page open model folders and data files inside this folder.")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Listen there instead of on this machine alone; the address has a token then.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 is a free one.")] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    history: Annotated[Path | None, typer.Option(help="The file of the history.")] = None,
) -> None:
    """Explain in the browser: a page on this machine, with a history."""
    try:
        from xai_nlp.web.serve import serve as run
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        raise Unsupported(f"the web page needs {error.name}: pip install '.[serve]' in the repository.") from None
    file = history or Path(typer.get_app_dir("xai-nlp")) / "history.sqlite3"
    run(model or [], history=file, data=data, root=root, host=host, port=port, browser=browser)
