"""Tests mirror the source: each file of these packages has a test file of its name, or is covered by name elsewhere."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("hooks", "xai_nlp/attr", "xai_nlp/insights", "xai_nlp/web")
#: Files that the contract suite covers, and by which of its tests.
COVERED = {
    "hooks/__init__.py": "tests/hooks/test_points.py",
    "xai_nlp/attr/__init__.py": "tests/attr/test_names.py",
    "xai_nlp/insights/__init__.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/insights/attr_vis/__init__.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/insights/attr_vis/features.py": "tests/insights/test_attr_vis.py",
    "xai_nlp/web/__init__.py": "tests/web/test_app.py",
}
SOURCES = sorted(
    str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
)  # fmt: skip


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
