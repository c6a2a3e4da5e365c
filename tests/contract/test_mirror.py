"""Tests mirror the source: each file of these packages has a test file of its name, or is covered by name elsewhere."""

import ast
import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("XAI_SOURCES", Path(__file__).parents[2]))
PACKAGES = (
    "hooks",
    "viz",
    "xai_nlp/attr",
    "xai_nlp/cli",
    "xai_nlp/concept",
    "xai_nlp/core",
    "xai_nlp/influence",
    "xai_nlp/insights",
    "xai_nlp/web",
    "xai_nlp/data",
    "xai_nlp/methods",
    "xai_nlp/metrics",
    "xai_nlp/models",
    "xai_nlp/module",
    "xai_nlp/robust",
    "xai_nlp/runs",
    "xai_nlp/tasks",
    "xai_nlp/zoo",
)
#: Files that tests of another name cover, and by which of them.
COVERED = {
    "hooks/__init__.py": "tests/hooks/test_points.py",
    "viz/__init__.py": "tests/viz/test_drawings.py",
    "xai_nlp/__init__.py": "tests/contract/test_packaging.py",
    "xai_nlp/_version.py": "tests/cli/test_app.py",
    "xai_nlp/attr/__init__.py": "tests/attr/test_names.py",
    "xai_nlp/concept/__init__.py": "tests/contract/test_captum_names.py",
    "xai_nlp/metrics/__init__.py": "tests/contract/test_captum_names.py",
    "xai_nlp/module/__init__.py": "tests/contract/test_captum_names.py",
    "xai_nlp/robust/__init__.py": "tests/contract/test_captum_names.py",
    "xai_nlp/influence/__init__.py": "tests/contract/test_captum_names.py",
    "xai_nlp/insights/__init__.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/insights/attr_vis/__init__.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/insights/attr_vis/features.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/cli/__init__.py": "tests/cli/test_app.py",
    "xai_nlp/cli/__main__.py": "tests/cli/test_app.py",
    "xai_nlp/methods/attention_norms.py": "tests/methods/test_attention.py",
    "xai_nlp/methods/attention_path.py": "tests/methods/test_attention.py",
    "xai_nlp/methods/__init__.py": "tests/contract/test_methods.py",
}


def holds_code(path: Path) -> bool:
    """Is there more in the file than a docstring?"""
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    return not all(isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in statements)


FILES = sorted((ROOT / "xai_nlp").glob("*.py")) + sorted(
    path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)
SOURCES = [str(path.relative_to(ROOT)) for path in FILES if holds_code(path)]


def file_of_tests(source: str) -> Path:
    """Where the tests of a source file are."""
    folder, name = Path(source).parent, Path(source).name
    return ROOT / COVERED.get(source, Path("tests", *folder.parts[folder.parts[0] == "xai_nlp" :], f"test_{name}"))


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_file_has_a_test_file_of_its_name(source):
    path = file_of_tests(source)
    assert path.is_file(), f"{source} has no {path.relative_to(ROOT)}"
    assert "def test_" in path.read_text(encoding="utf-8")


def test_what_is_covered_elsewhere_exists():
    assert set(COVERED) <= set(SOURCES)
    assert len(SOURCES) > 20


def test_each_package_of_the_source_is_mirrored():
    """A new package is named above."""
    packages = {"hooks", "viz", *(f"xai_nlp/{path.parent.name}" for path in (ROOT / "xai_nlp").glob("*/__init__.py"))}
    aliases = {f"xai_nlp/{name}" for name in ("hooks", "viz")}  # where the two packages lie in a wheel
    assert packages - aliases <= set(PACKAGES)
