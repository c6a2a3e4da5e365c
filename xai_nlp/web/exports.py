"""Explanations as files to download, and such a file read again: everything in it is checked."""

from __future__ import annotations

import csv
import io
import math
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from xai_nlp.core.explanation_files import read_explanations
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.core.score_table import ScoreRow, score_rows
from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.viz.figure.column import save_column
from xai_nlp.viz.page.html import markup, page
from xai_nlp.web.image_check import check_image
from xai_nlp.web.limits import LIMITS, Limits

MAX_EXPLANATIONS = 100  # of one file
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets calculate


def to_html(why: Explanations) -> bytes:
    """The page that `Explanations.to_html` writes."""
    return page(why).encode()


def to_element(why: Explanations) -> bytes:
    """An element for a page that has the style and the script."""
    return markup(why).encode()


def to_json(why: Explanations) -> bytes:
    """A JSON list of explanations, which `read_back` reads."""
    return b"[" + ",\n".join(item.to_json() for item in why).encode() + b"]\n"


def to_png(why: Explanations) -> bytes:
    """The pictures of `Explanation.to_png`, one under the other. No two threads may draw at once."""
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # characters that no font has
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
    "element": (to_element, "text/html; charset=utf-8"),
}


# In a process of its own: text goes in and comes out, and this module is imported without torch ---------------------


def write_kind(kind: str, lines: Sequence[str]) -> bytes:
    """The file of that kind of explanations as JSON. Raises UnreadableFile if they cannot be drawn."""
    explanations = Explanations(Explanation.from_json(line) for line in lines)
    write, _ = FILE_KINDS[kind]
    with _drawing():
        return write(explanations)


def read_checked(body: bytes, limits: Limits = LIMITS) -> list[str]:
    """Explanations of a file as JSON, one text each, after each was drawn. Raises UnreadableFile."""
    explanations = read_back(body, limits)
    with _drawing():
        to_png(explanations)
        return [item.to_json() for item in explanations]


@contextmanager
def _drawing() -> Iterator[None]:
    """Turns the errors of a drawing into UnreadableFile."""
    try:
        yield
    except UnreadableFile:
        raise
    except InvalidInput as error:
        raise UnreadableFile(str(error)) from None
    except Exception:  # of a drawing library, about numbers that only a changed file can have
        raise UnreadableFile("this explanation cannot be shown: the file was changed by hand.") from None


# Read again ----------------------------------------------------------------------------------------------------------


def read_back(body: bytes, limits: Limits = LIMITS) -> Explanations:
    """Explanations from a file that `to_json` or `Explanation.save` wrote, one or a list of them.

    Raises UnreadableFile for anything else: other types, positions outside the text, an image that is none, more than
    can be shown, or explanations that cannot be rendered.
    """
    try:
        explanations = Explanations(read_explanations(body.decode("utf-8"), "this file"))
    except UnicodeDecodeError:
        raise UnreadableFile("this file is no JSON; open a file that was saved as JSON here.") from None
    if not 1 <= len(explanations) <= MAX_EXPLANATIONS:
        raise UnreadableFile(f"a file holds 1 to {MAX_EXPLANATIONS} explanations; this one {len(explanations)}.")
    with _drawing():
        check_sizes(explanations, limits)
        markup(explanations)
    return explanations


def check_sizes(explanations: Sequence[Explanation], limits: Limits = LIMITS) -> None:
    """Raises UnreadableFile for explanations that are larger than those of any request can be."""
    letters = max(sum(map(len, item.segments)) for item in explanations)
    parts, numbers = 0, 0
    for item in explanations:
        arrays = [item.layers, *(stack.scores for stack in item.attention.values())]
        parts += len(item.tokens) + len(item.outputs) + len(item.gold)
        parts += sum(sum(stack.scores.shape[:2]) for stack in item.attention.values())
        if item.layers is not None:
            parts += len(item.layers)
        if item.image is not None:
            check_image(item.image.data, ("PNG", "JPEG"), limits)
            arrays.append(item.image.shapes)
            parts += len(item.image.boxes)
            _check(max(item.image.size), limits.pixels, "pixels along a side of its image")
        numbers += sum(math.prod(array.shape) for array in arrays if array is not None)
    _check(letters, 4 * limits.letters, "letters of one explanation")
    _check(parts, limits.tokens, "tokens, regions, layers, heads and outputs")
    _check(numbers, limits.numbers, "numbers in its matrices")


def _check(size: int, most: int, kind: str) -> None:
    if size > most:
        raise UnreadableFile(f"this file has {size:,} {kind}; at most {most:,} are shown here.")
