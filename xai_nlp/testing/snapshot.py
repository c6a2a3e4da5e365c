"""A saved explanation and a new one of the same input: whether they agree, and what is said if they do not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import chain
from pathlib import Path

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.files import write_file
from xai_nlp.core.model_diff import ExampleDiff
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput

FOLDER = "__explanations__"
LONGEST = 100  # characters of a file's name
WORDS = 10  # that a message lists
_UNUSUAL = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class Limits:
    """How far an explanation may move from its snapshot.

    tolerance: the largest change of a word's share of all scores, from 0 to 2.
    least_correlation: the smallest rank correlation of the words' scores.
    """

    tolerance: float = 0.05
    least_correlation: float = 0.9


def snapshot_path(test_file: Path, test: str, suffix: str) -> Path:
    """Where a snapshot is: beside the test, in a folder for its file.

    test: the test's name within the file. A name that a file cannot have gets a digest, so that no two tests share one.

    >>> snapshot_path(Path("tests/test_film.py"), "TestFilm::test_good", ".json").as_posix()
    'tests/__explanations__/test_film/TestFilm.test_good.json'
    >>> snapshot_path(Path("test_film.py"), "test_text[not bad]", ".json").name
    'test_text_not_bad_-59abe0.json'
    """
    name = test.replace("::", ".")
    plain = _UNUSUAL.sub("_", name)[:LONGEST]
    if plain != name:
        plain += "-" + sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return test_file.parent / FOLDER / test_file.stem / f"{plain}{suffix}"


def save_snapshot(path: Path, items: Sequence[Explanation]) -> None:
    """Write explanations without what is about layers and attention: one as JSON, several as JSON lines."""
    light = [replace(item, parts={}, layers=None, attention={}) for item in items]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = light[0].to_json(indent=1) if path.suffix == ".json" else Explanations(light).to_json()
    write_file(path, f"{text.rstrip()}\n".encode())


def differences(saved: Sequence[Explanation], new: Sequence[Explanation], limits: Limits) -> list[str]:
    """What is to be said of each explanation that moved beyond the limits; [] if none did."""
    if len(saved) != len(new):
        return [f"the snapshot holds {len(saved)} explanations, and the test made {len(new)}"]
    return list(
        chain.from_iterable(_difference(n, *pair, limits) for n, pair in enumerate(zip(saved, new, strict=True)))
    )


def _difference(number: int, saved: Explanation, new: Explanation, limits: Limits) -> Iterator[str]:
    from xai_nlp.runs.example_diff import compare

    settings = [(item.task, item.method, item.baseline) for item in (saved, new)]
    if settings[0] != settings[1]:
        yield "the snapshot was made otherwise: {}, {} from {}; now: {}, {} from {}".format(*settings[0], *settings[1])
        return
    try:
        found = compare(saved, new, index=number)
    except InvalidInput as error:
        yield str(error)
        return
    if reasons := list(_broken(found, limits)):
        yield f"{'; '.join(reasons)}\n{_table(found, limits)}"


def _broken(found: ExampleDiff, limits: Limits) -> Iterator[str]:
    """The limits that an explanation broke."""
    if found.flipped:
        yield "the prediction changed"
    if not found.same_target:
        yield f"the target changed, from {found.before.target} to {found.after.target}"
        return
    count = sum(abs(a - b) > limits.tolerance for a, b in zip(*found.shares, strict=True))
    if count:
        points = f"{100 * limits.tolerance:g} points"
        yield f"{count} word{'s' * (count != 1)} changed {'their' if count != 1 else 'its'} share by more than {points}"
    if found.rank_correlation is not None and found.rank_correlation < limits.least_correlation:
        yield f"the rank correlation {found.rank_correlation:.2f} is below {limits.least_correlation:g}"


def _table(found: ExampleDiff, limits: Limits) -> str:
    """The example, and the words that moved with their shares before and after."""
    from rich.console import Group

    from xai_nlp.viz.terminal.ansi import printed
    from xai_nlp.viz.terminal.model_diff import example_lines

    moved = sum(abs(one.change) > limits.tolerance for one in found.changes)
    lines = Group(*example_lines(found, words=min(max(moved, 3), WORDS)))
    more = f"   … and {moved - WORDS} more words\n" if moved > WORDS else ""
    return f"{printed(lines, colour=False, width=100)}{more}".rstrip()
