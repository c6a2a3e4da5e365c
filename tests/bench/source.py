"""The source in numbers: lines of code, words that read as riddles, class names used twice, functions of one call.

`--folder` counts another checkout, such as the revision before. Functions are those of the checkout one stands in.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import xai_nlp
import xai_nlp.attr
from xai_nlp.data.scenes import scenes

PACKAGES = ("xai_nlp", "hooks", "viz")
RIDDLES = ("found", "told", "asked", "seen", "kept", "given", "wanted", "whole", "mine", "drawn")
LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def sources(folder: Path) -> list[Path]:
    """The Python files of the three packages; links between them are left out."""
    roots = [folder / name for name in PACKAGES]
    files = [path for root in roots for path in root.rglob("*.py")]
    return [path for path in files if not any(one.is_symlink() for one in (path, *path.parents))]


def lines_of_code(text: str) -> int:
    """Lines that hold code: docstrings, comments and blank lines are not counted."""
    documented: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.body:
            first = node.body[0]
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                documented |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - documented)


def functions_of(work: Callable[[], Any], folder: Path) -> tuple[int, int]:
    """How many functions of the source one call runs, and in how many files; comprehensions and lambdas left out."""
    names: set[tuple[str, str]] = set()
    known = {str(path.resolve()) for path in sources(folder)}

    def profile(frame: Any, event: str, arg: Any) -> None:
        file, name = str(Path(frame.f_code.co_filename).resolve()), frame.f_code.co_qualname
        if event == "call" and file in known and not name.endswith(">"):
            names.add((file, name))

    work()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return len(names), len({file for file, _ in names})


def calls(page: Path) -> dict[str, Callable[[], Any]]:
    """One text, one question about an image, one call under Captum's names, one page."""
    scene = next(iter(scenes(1, seed=1)))
    image, question = scene.scene.image(), scene.question.text
    sentiment = xai_nlp.load("sentiment")
    ids = sentiment.tokenizer("a gripping film", return_tensors="pt")["input_ids"]
    captums = xai_nlp.attr.LayerIntegratedGradients(
        lambda ids: sentiment.model(ids).logits, sentiment.model.bert.embeddings
    )
    why = xai_nlp.explain("a gripping film")
    return {
        "a text": lambda: xai_nlp.explain("a gripping, beautifully acted film").scores,
        "a question about an image": lambda: xai_nlp.explain(image=image, question=question).scores,
        "LayerIntegratedGradients": lambda: captums.attribute(ids, baselines=torch.zeros_like(ids), target=1),
        "a page": lambda: why.to_html(page),
    }


def run(arguments: argparse.Namespace) -> None:
    folder = arguments.folder
    texts = {path: path.read_text(encoding="utf-8") for path in sources(folder)}
    lines: Counter[str] = Counter()
    classes: Counter[str] = Counter()
    for path, text in texts.items():
        first, *rest = path.relative_to(folder).parts
        lines["/".join([first, *rest[:1]]) if first == "xai_nlp" and len(rest) > 1 else first] += lines_of_code(text)
        classes.update(node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef))
    words = Counter(re.findall(rf"(?<![A-Za-z])({'|'.join(RIDDLES)})(?![A-Za-z])", "\n".join(texts.values())))
    print(f"{sum(lines.values())} lines of code: {dict(lines)}")
    print(f"{sum(words.values())} words: {dict(words)}")
    print(f"class names used twice: {[name for name, count in classes.items() if count > 1]}")
    for name, work in calls(arguments.page).items():
        functions, files = functions_of(work, Path())
        print(f"{name}: {functions} functions in {files} files")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("source", help=__doc__)
    parser.add_argument("--folder", type=Path, default=Path())
    parser.add_argument("--page", type=Path, default=Path("build/page.html"), help="where the page goes")
    parser.set_defaults(run=run)
