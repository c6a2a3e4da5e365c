"""Imports point down only, and siblings do not import each other. This table is the definition."""

import ast
import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("XAI_SOURCES", Path(__file__).parents[2]))
LAYERS = [
    {"errors", "types", "_version"},
    {"hooks"},
    {"core"},
    {"viz", "data"},
    {"methods", "models"},
    {"attr", "module"},
    {"robust", "concept", "influence", "metrics"},
    {"tasks"},
    {"runs"},
    {"web", "testing"},
    {"insights"},
    {"cli"},
]
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}
# inside functions that draw
UPWARD = {
    (f"xai_nlp/core/{name}.py", "viz")
    for name in (
        "result",
        "explanations",
        "training_influence",
        "model_diff",
        "method_comparison",
        "diagnosis",
        "overview",
    )
}
ONLY_IN = {
    "transformers": ("xai_nlp/models/", "hooks/attention_interface.py", "xai_nlp/tasks/run.py"),  # its version, there
    "matplotlib": ("viz/figure/",),
    "captum": (),
}
FILES = sorted(p for folder in ("xai_nlp", "hooks", "viz") for p in (ROOT / folder).rglob("*.py"))


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, is it at the top of the file) of each import."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = {id(node) for node in tree.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append((node.module or "", id(node) in top))
            if node.module == "xai_nlp":
                found += [(f"xai_nlp.{alias.name}", id(node) in top) for alias in node.names]
    return found


def home(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if parts[0] != "xai_nlp" else parts[1].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    package, here = home(path), str(path.relative_to(ROOT))
    for module, top in imports(path):
        first, *rest = module.split(".")
        if first in ONLY_IN:
            assert here.startswith(ONLY_IN[first]) if ONLY_IN[first] else False, f"{here} imports {module}"
        if first == "matplotlib":
            assert not top, f"{here} imports matplotlib before it is needed"
        if first == "torch":
            assert package != "viz", f"{here} imports torch"
        if first != "xai_nlp" or not rest or package == "__init__" or rest[0] not in HEIGHT:
            continue
        if (here, rest[0]) in UPWARD:
            assert not top
            continue
        assert rest[0] == package or HEIGHT[rest[0]] < HEIGHT[package], f"{here} imports {module}: layers point down"


def test_every_folder_has_a_layer():
    folders = {p.parent.name for p in (ROOT / "xai_nlp").glob("*/__init__.py")}
    assert folders - {"zoo"} <= set(HEIGHT)
    assert len(FILES) > 30
