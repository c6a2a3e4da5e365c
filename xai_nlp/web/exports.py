"""Explanations as files to download, and such a file read again: everything in it is checked."""

from __future__ import annotations

import csv
import io
import json
import threading
from collections.abc import Callable, Iterator

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput, UnreadableFile, XaiError
from xai_nlp.viz.figure.canvas import figure_file
from xai_nlp.viz.figure.plots import tokens_figure
from xai_nlp.viz.page.html import markup, page
from xai_nlp.web.explain_request import check_image

MAX_EXPLANATIONS = 100  # of one file
COLUMNS = ("explanation", "method", "target", "model", "unit", "kind", "text", "segment", "start", "end", "score")
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
    from PIL import Image

    with _matplotlib_lock:
        files = [figure_file(tokens_figure(item), ".png") for item in why]
    pictures = [Image.open(io.BytesIO(content)) for content in files]
    column = Image.new("RGB", (max(one.width for one in pictures), sum(one.height for one in pictures)), "white")
    top = 0
    for one in pictures:
        column.paste(one, (0, top))
        top += one.height
    buffer = io.BytesIO()
    column.save(buffer, "PNG")
    return buffer.getvalue()


def to_csv(why: Explanations) -> bytes:
    """A line for each token and region: its explanation, text, position, and score in full.

    A cell that a spreadsheet would take for a formula has an apostrophe before it.
    """
    buffer = io.StringIO(newline="")
    lines = csv.writer(buffer)
    lines.writerow(COLUMNS)
    for number, item in enumerate(why, 1):
        for kind, text, segment, start, end, score in _lines(item):
            about = (item.method, str(item.target), item.model, item.unit)
            lines.writerow([number, *map(inert, about), kind, inert(text), segment, start, end, repr(score)])
    return buffer.getvalue().encode("utf-8", "replace")


def _lines(item: Explanation) -> Iterator[tuple[str, str, int | str, int | str, int | str, float]]:
    for token, segment, (start, end), score in zip(item.tokens, item.segment, item.offsets, item.scores, strict=True):
        yield "token", token, segment, start, end, score
    if item.image:
        for name, score in zip(item.image.names, item.image.scores, strict=True):
            yield "region", name, "", "", "", score


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
        data = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UnreadableFile("this is not JSON; open a file that was saved as JSON here.") from None
    items = data if isinstance(data, list) else [data]
    if not 1 <= len(items) <= MAX_EXPLANATIONS:
        raise UnreadableFile(f"a file holds 1 to {MAX_EXPLANATIONS} explanations; this one {len(items)}.")
    explanations = Explanations(map(Explanation.from_data, items))
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
