"""Runs what a Markdown page shows: `python -m tests.pages page.md`.

Blocks run in order, Python in one namespace. A block that begins with `# file: name.py` is written to the working
folder and imported from there too. Commands of `xai-nlp` run, but for `serve`, which would not end. A block of `text`
below a block is what it prints.
"""

from __future__ import annotations

import io
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```$(?:\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\w+)\.py\n")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def run(page: Path) -> int:
    """Run the page's blocks; how many there were. Raises AssertionError where one prints what the page does not say."""
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"__name__": page.stem}
    for number, (language, block, shown) in enumerate(blocks):
        printed = io.StringIO()
        with redirect_stdout(printed):
            if language == "sh":
                run_commands(block)
            else:
                run_python(block, names, f"{page.name}, block {number + 1}")
        if shown:
            assert_alike(printed.getvalue(), shown, digits=2)
    return len(blocks)


def run_python(block: str, names: dict[str, Any], title: str) -> None:
    named = FILE.match(block)
    if named:
        Path(f"{named[1]}.py").write_text(block, encoding="utf-8")
        sys.path.insert(0, "")
        names.update(vars(import_module(named[1])))
    else:
        exec(compile(block, title, "exec"), names)


def run_commands(block: str) -> None:
    from tests.cli.command import run as run_command  # imports torch, which most pages import first

    for command in commands(block):
        result = run_command(*command[1:])
        assert result.exit_code == 0, f"{shlex.join(command)}\n{result.output}\n{result.exception!r}"
        print(result.stdout, end="")


def commands(block: str) -> Iterator[list[str]]:
    """The commands of `xai-nlp` in a block, in words."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["xai-nlp"] and words[1] != "serve":
            yield words


def assert_alike(printed: str, shown: str, digits: int = 3) -> None:
    """The same words, and the same numbers but for their last digit."""
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    expected = [float(number) for number in NUMBER.findall(shown)]
    assert [float(number) for number in NUMBER.findall(printed)] == pytest.approx(
        expected, rel=1e-3, abs=2 * 10**-digits
    )


def write_user_files(folder: Path) -> None:
    """The sample files, and what the pages call the reader's own: folders of models, and `my_texts.csv`."""
    from tests.models.tiny import tiny
    from tests.models.tiny_generation import writing

    shutil.copytree(ROOT / "tutorials" / "data", folder / "tutorials" / "data")
    shutil.copytree(str(files("xai_nlp.zoo") / "sentiment"), folder / "my-model")
    for part in writing("gpt2"):
        part.save_pretrained(folder / "my-llm")
    others = {
        "my-tagger": "token-classification",
        "my-mask-model": "fill-mask",
        "my-translator": "text2text-generation",
    }
    for name, task in others.items():
        for part in tiny("bart" if name == "my-translator" else "bert", task=task):
            part.save_pretrained(folder / name)
    reviews = "review,label\na fine film,POSITIVE\na dull mess,NEGATIVE\n"
    (folder / "my_texts.csv").write_text(reviews, encoding="utf-8")


if __name__ == "__main__":
    print(run(Path(sys.argv[1])), "blocks")
