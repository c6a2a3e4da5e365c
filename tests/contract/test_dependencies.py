"""Imports and declarations agree: a library that is imported is declared, and one that is declared is imported."""

import ast
import os
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(os.environ.get("XAI_SOURCES", Path(__file__).parents[2]))
OURS = {"xai_nlp", "hooks", "viz", "tests"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FOLDER_OF_EXTRA = {
    "serve": "xai_nlp/web/",
    "notebook": "xai_nlp/insights/",
    "testing": "xai_nlp/testing/",
}  # these may import it as they are imported
DISTRIBUTIONS = packages_distributions()


def names(requirements: list[str]) -> set[str]:
    """The names of the distributions of requirements, without versions and without ourselves."""
    return {re.split(r"[\[<>=~! ]", one)[0].lower() for one in requirements} - {"xai-nlp"}


CORE = names(PROJECT["dependencies"])
EXTRAS = {extra: names(listed) for extra, listed in PROJECT["optional-dependencies"].items()}


def imported(*folders: str) -> Iterator[tuple[str, str, bool]]:
    """(distribution, file, is it at the top of the file) of each import of a third party."""
    for file in sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        top = set(map(id, tree.body))
        for node in ast.walk(tree):
            modules = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level
                else []
            )  # fmt: skip
            for package in {module.split(".")[0] for module in modules} - OURS - set(sys.stdlib_module_names):
                (distribution, *_) = DISTRIBUTIONS.get(package, [package])
                yield distribution.lower().replace("_", "-"), str(file.relative_to(ROOT)), id(node) in top


SOURCE = list(imported("xai_nlp", "hooks", "viz"))
TESTS = list(imported("tests"))


def test_each_import_is_declared():
    """In the core; or in an extra, and then imported at the top of a file only in the folder of that extra."""
    for distribution, file, top in SOURCE:
        extras = [extra for extra in EXTRAS if extra != "dev" and distribution in EXTRAS[extra]]
        assert distribution in CORE or extras, f"{file} imports {distribution}, which pyproject.toml does not declare"
        if distribution not in CORE and top:
            folders = tuple(FOLDER_OF_EXTRA[extra] for extra in extras if extra in FOLDER_OF_EXTRA)
            assert folders and file.startswith(folders), f"{file} imports {distribution} before it is needed"


def test_each_import_of_the_tests_is_declared():
    declared = CORE.union(*EXTRAS.values())
    assert {(distribution, file) for distribution, file, _ in TESTS if distribution not in declared} == set()


def test_each_declaration_is_imported():
    """Tools of development are run, not imported; the reference is built by a script of the tests."""
    used = {distribution for distribution, _, _ in SOURCE}
    assert CORE - used == set()
    for extra in EXTRAS.keys() - {"dev", "docs"}:
        assert EXTRAS[extra] - used == set(), extra
    assert EXTRAS["docs"] <= {distribution for distribution, _, _ in TESTS}


def test_each_declaration_is_explained():
    """CONTRIBUTING.md says of each dependency what it is for, with its extra."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table: dict[str, set[str]] = {extra: set() for extra in ("", *EXTRAS)}
    for cell in re.findall(r"^\| ([^|]+) \|", text.partition("## Dependencies")[2], re.M)[1:]:
        extra, _, listed = cell.rpartition(": ")
        if extra in table:
            table[extra] |= set(listed.strip().split(", "))
    assert table[""] == CORE
    for extra, listed in EXTRAS.items():
        assert table[extra] == listed, extra
