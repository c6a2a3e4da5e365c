"""Results on stdout or in files, errors on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from xai_nlp.core.files import FileInTheMaking
from xai_nlp.errors import InvalidInput, XaiError

if TYPE_CHECKING:
    from xai_nlp import Explanation, Explanations

INTERRUPTED = 130  # the exit code of a command that Ctrl-C ended


@contextmanager
def errors_to_stderr(code: int = 1) -> Iterator[None]:
    """Print an error of this package, or of a file, as one line on stderr, and exit with `code`; after Ctrl-C, 130.

    A reader of stdout that went away is no error to print: Click ends the command in silence.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (XaiError, OSError) as error:
        say(f"error: {error}", "red")
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        say("stopped.")
        raise typer.Exit(INTERRUPTED) from None


def say(text: str, style: str = "") -> None:
    """Print a line on stderr."""
    Console(stderr=True).print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def check_writable(path: Path | None) -> None:
    """Raise InvalidInput, before anything is computed, for a file that cannot be written."""
    if path is None or str(path) == "-":
        return
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise InvalidInput(f"there is no folder {path.parent} for {path.name}; make it first.")
    needed = {path, Path(os.path.realpath(path)).parent} if path.is_file() else {path if path.exists() else path.parent}
    if not all(os.access(one, os.W_OK) for one in needed):  # a new file is made beside an old one
        raise InvalidInput(f"{path} may not be written by this user.")


class ResultWriter:
    """Writes explanations as they come: JSON lines to a file or stdout, text to the terminal, a page at the end.

    Lines go into a file beside, `NAME.….part`, which takes its place at the end, after Ctrl-C and after an error. If
    they cannot be written, an old file stays, and a message names the file that has those so far.

    tokens: the model's tokens instead of words. heads: also how much each head carries, and the strongest pairs.
    quiet: no text beside files, no line about them.
    Raises InvalidInput for a file that cannot be written.
    """

    def __init__(
        self, *, html: Path | None, json_to: Path | None, tokens: bool = False, heads: bool = False, quiet: bool = False
    ) -> None:
        check_writable(html)
        check_writable(json_to)
        self.html, self.json_to, self.tokens, self.heads, self.quiet = html, json_to, tokens, heads, quiet
        self.count = 0
        self._lines: FileInTheMaking | None = None
        self._for_page: list[Explanation] = []

    def write_all(self, parts: Iterable[Explanations], *, source: str = "input", go_on: bool = False) -> None:
        """Write the explanations part by part; after Ctrl-C those that are done, with exit code 130.

        source: what an input is called in errors, before its number.
        go_on: print the failures at the end, and exit with code 1; else the first one ends the command.
        """
        errors: dict[int, str] = {}
        try:
            for part in parts:
                self.write(part)
                errors |= part.errors
                if errors and not go_on:
                    break
            self.finish()
        except KeyboardInterrupt:
            if isinstance(parts, Generator):
                parts.close()  # its bar goes before the line is printed
            self.finish()
            say(f"stopped: {self._written()}.")
            raise typer.Exit(INTERRUPTED) from None
        except Exception:
            with suppress(OSError):
                self.finish()
            raise
        if self._files and self.count and not self.quiet:
            say(f"{self._written()}.")
        lines = [f"{source} {index}: {message}" for index, message in errors.items()]
        if lines and not go_on:
            raise InvalidInput(lines[0])
        if lines:
            say(f"{len(lines)} of the inputs could not be explained:", "red")
            for line in lines:
                say(f"error: {line}", "red")
            raise typer.Exit(1)

    def write(self, results: Explanations) -> None:
        """Write some explanations."""
        if self.html:
            self._for_page.extend(results)
        if self.json_to:
            self._write_json(results.to_json())
        self.count += len(results)
        if str(self.json_to) != "-" and not (self.quiet and self._files):
            self._print(results if self.tokens else results.words())

    def finish(self) -> None:
        """Put the lines in their place, and write the page."""
        if self._lines is not None:
            with self._lines_named():
                self._lines.keep()
        if self.html and self._for_page:
            from xai_nlp import Explanations

            Explanations(self._for_page).to_html(self.html)

    def _write_json(self, lines: str) -> None:
        if str(self.json_to) == "-":
            sys.stdout.write(lines)
            sys.stdout.flush()
        elif self.json_to and lines:
            self._lines = self._lines or FileInTheMaking(self.json_to)
            with self._lines_named():
                self._lines.write(lines.encode())

    @contextmanager
    def _lines_named(self) -> Iterator[None]:
        """If lines cannot be written or put in their place, say where those so far are."""
        try:
            yield
        except OSError:
            lines, self._lines = self._lines, None
            if lines and self.count:
                lines.close()
                say(f"{_counted(self.count)} in {lines.part}.")
            elif lines:
                lines.drop()
            raise

    def _print(self, results: Explanations) -> None:
        from xai_nlp.viz.terminal.ansi import render
        from xai_nlp.viz.terminal.heads import render_attention

        out = Console()
        for why in results:
            out.print(render(why))
            if self.heads:
                out.print(render_attention(why))

    @property
    def _files(self) -> list[str]:
        return [str(path) for path in (self.json_to, self.html) if path and str(path) != "-"]

    def _written(self) -> str:
        count = _counted(self.count)
        return f"{count} in {' and '.join(self._files)}" if self._files and self.count else f"{count} written"


def _counted(count: int) -> str:
    return f"{count:,} explanation{'s' * (count != 1)}"
