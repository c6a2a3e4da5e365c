"""The plugin of pytest: the fixture `explanation_snapshot` and the option `--explanation-update`.

pytest imports it at the start of each run, so everything else is imported when the fixture is used.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from xai_nlp.core.result import Explanation

OPTION = "--explanation-update"
WRITTEN = "explanation_snapshot"  # the property of a test's report that names a file it wrote


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that writes snapshots."""
    parser.getgroup("xai_nlp", "explanations").addoption(
        OPTION, action="store_true", help="Write the explanations that are missing or that moved, as their snapshots."
    )


@pytest.fixture
def explanation_snapshot(request: pytest.FixtureRequest) -> ExplanationSnapshot:
    """Compares explanations with those saved beside the test: `explanation_snapshot(xai_nlp.explain("a fine film"))`.

    A test fails if its explanation moved, or if none is saved. `pytest --explanation-update` saves it.
    """
    return ExplanationSnapshot(request)


class ExplanationSnapshot:
    """The snapshots of one test; a second call has a second file."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._node: Any = request.node
        self._update = bool(request.config.getoption(OPTION))
        self._calls: dict[str, int] = {}

    def __call__(
        self,
        explanation: Explanation | Sequence[Explanation],
        *,
        name: str = "",
        tolerance: float = 0.05,
        least_correlation: float = 0.9,
    ) -> None:
        """Fail unless the explanation agrees with the saved one.

        explanation: one, or several, which have one file. name: of the file, beside the test's; by default a number.
        tolerance: the largest change of a word's share of all scores; 0.05 is 5 points.
        least_correlation: the smallest rank correlation of the words' scores, where there are two words.

        The prediction must be the same. Numbers are never compared digit by digit, so that another machine passes.
        Raises AssertionError, which shows the words that moved.
        """
        __tracebackhide__ = True
        from xai_nlp.core.result import Explanation
        from xai_nlp.testing.snapshot import Limits, save_snapshot

        items = [explanation] if isinstance(explanation, Explanation) else list(explanation)
        if not items or not all(isinstance(one, Explanation) for one in items):
            raise TypeError(f"explanation_snapshot takes an Explanation, or several; got {type(explanation).__name__}.")
        path = self._path(name, ".json" if isinstance(explanation, Explanation) else ".jsonl")
        trouble = self._trouble(path, items, Limits(tolerance, least_correlation))
        if trouble and self._update:
            save_snapshot(path, items)
            self._node.user_properties.append((WRITTEN, str(path)))
        elif trouble:
            raise AssertionError(trouble)

    def _path(self, name: str, suffix: str) -> Path:
        from xai_nlp.testing.snapshot import snapshot_path

        self._calls[name] = count = self._calls.get(name, 0) + 1
        test = self._node.nodeid.partition("::")[2]
        test += (f"-{name}" if name else "") + (f".{count}" if count > 1 else "")
        return snapshot_path(self._node.path, test, suffix)

    def _trouble(self, path: Path, items: Sequence[Explanation], limits: Any) -> str:
        """Why the test fails; "" if it does not."""
        from xai_nlp.core.explanations import Explanations
        from xai_nlp.errors import UnreadableFile
        from xai_nlp.testing.snapshot import differences

        command = f"pytest {OPTION} {shlex.quote(self._node.nodeid)}"
        file = os.path.relpath(path, self._node.config.rootpath)
        if not path.exists():
            return f"no explanation is saved in {file}.\nSave it with: {command}"
        try:
            found = differences(Explanations.load(path), items, limits)
        except UnreadableFile as error:
            return f"{error}\nSave it anew with: {command}"
        if not found:
            return ""
        said = "\n\n".join(found)
        return f"the explanation moved from {file}\n{said}\n\nIf that is meant, save it with: {command}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which snapshots were written; under xdist the reports of the workers tell it."""
    files = sorted(set(_written(terminalreporter)))
    if files:
        terminalreporter.section("explanations")
        for file in files:
            terminalreporter.write_line(f"saved {file}")


def _written(terminalreporter: pytest.TerminalReporter) -> Iterator[str]:
    for reports in terminalreporter.stats.values():
        for report in reports:
            for key, value in getattr(report, "user_properties", ()):
                if key == WRITTEN:
                    yield str(value)
