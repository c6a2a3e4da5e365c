"""Explanations as files to download, and such a file read again: everything in it is checked."""

from __future__ import annotations

import csv
import io
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from xai_nlp.core.explanation_files import read_explanations
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.score_table import ScoreRow, score_rows
from xai_nlp.errors import InvalidInput, UnreadableFile, XaiError
from xai_nlp.viz.figure.column import save_column
from xai_nlp.viz.page.html import markup, page
from xai_nlp.web.explain_request import check_image

MAX_EXPLANATIONS = 100  # of one file
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets calculate
_matplotlib_lock = threading.Lock()  # matplotlib serves one thread at a time


def to_html(why: Explanations) -> bytes:
    """The page that `Explanations.to_html` writes."""
    return page(why).encode()


def to_json(why: Explanations) -> bytes:
    """A JSON list of explanations, which `read_back` reads."""
    return b"[" + ",\n".join(item.to_json() for item in why).encode() + b"]\n"


def to_png(why: Explanations) -> bytes:
    """The pictures of `Explanation.to_png`, one under the other."""
    with _matplotlib_lock, tempfile.TemporaryDirectory() as folder:
        save_column(why, file := Path(folder) / "why.png")
        return file.read_bytes()


def to_csv(why: Explanations) -> bytes:
    """A line for each token and region: its explanation, text, position, and score in full.

    A cell that a spreadsheet would take for a formula has an apostrophe before it.
    """
    buffer = io.StringIO(newline="")
    lines = csv.writer(buffer)
    lines.writerow(ScoreRow._fields)
    for row in score_rows(why, first=1):
        lines.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
    return buffer.getvalue().encode("utf-8", "replace")


def inert(cell: str) -> str:
    """Text that no spreadsheet takes for a formula.

    >>> inert("=1+1"), inert("fine")
    ("'=1+1", 'fine')
    """
    return f"'{cell}" if cell.startswith(FORMULA) else cell


#: kind of file -> (the function that writes it, its media type)
FILE_KINDS: dict[str, tuple[Callable[[Explanations], bytes], str]] = {
    "html": (to_html, "text/html; charset=utf-8"),
    "json": (to_json, "application/json"),
    "png": (to_png, "image/png"),
    "csv": (to_csv, "text/csv; charset=utf-8"),
}


# Read again ----------------------------------------------------------------------------------------------------------


def read_back(body: bytes) -> Explanations:
    """Explanations from a file that `to_json` or `Explanation.save` wrote, one or a list of them.

    Raises UnreadableFile for anything else: other types, positions outside the text, an image that is none, or
    explanations that cannot be rendered.
    """
    try:
        explanations = Explanations(read_explanations(body.decode("utf-8"), "this file"))
    except UnicodeDecodeError:
        raise UnreadableFile("this file is no JSON; open a file that was saved as JSON here.") from None
    if not 1 <= len(explanations) <= MAX_EXPLANATIONS:
        raise UnreadableFile(f"a file holds 1 to {MAX_EXPLANATIONS} explanations; this one {len(explanations)}.")
    try:
        for why in explanations:
            if why.image is not None:
                check_image(why.image.data, ("PNG", "JPEG"))
        markup(explanations)  # raises for explanations that cannot be rendered
    except InvalidInput as error:
        raise UnreadableFile(str(error)) from None
    except (XaiError, TypeError, ValueError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
        raise UnreadableFile("this explanation cannot be shown: the file was changed by hand.") from None
    return explanations
