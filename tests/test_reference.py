"""The API reference can be built, and holds every public package and name."""

import os
import pkgutil
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import xai_nlp.attr

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
#: All but the folder of models, which has no modules.
PACKAGES = sorted({m.name for m in pkgutil.iter_modules(xai_nlp.__path__) if m.ispkg} - {"zoo"} | {"hooks", "viz"})


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Built as `make docs` does: any warning is an error there."""
    folder = tmp_path_factory.mktemp("docs")
    done = subprocess.run(
        [sys.executable, "-m", "tests.recipes.reference", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_every_module_has_a_page_that_is_linked(reference):
    for package in PACKAGES:
        page = (reference / "xai_nlp" / f"{package}.html").read_text(encoding="utf-8")
        modules = [p.name.removesuffix(".py") for p in files(f"xai_nlp.{package}").iterdir() if p.name.endswith(".py")]
        public = [name for name in modules if not name.startswith("_")]
        assert public
        for name in public:
            assert (reference / "xai_nlp" / package / f"{name}.html").is_file()
            assert f'href="{package}/{name}.html"' in page
    top = (reference / "xai_nlp.html").read_text(encoding="utf-8")
    assert all(f'href="xai_nlp/{package}.html"' in top for package in PACKAGES)


def test_every_public_name_is_there(reference):
    top, attr = ((reference / page).read_text(encoding="utf-8") for page in ("xai_nlp.html", "xai_nlp/attr.html"))
    for page, module in ((top, xai_nlp), (attr, xai_nlp.attr)):
        for name in module.__all__:
            assert f'id="{name}"' in page or f"{name}.html" in page, name


def test_fields_stand_on_lines_of_their_own(reference):
    page = (reference / "xai_nlp/core/registry.html").read_text(encoding="utf-8")
    assert "<p><strong>needs_baseline</strong>: it compares the input with a baseline;" in page


def test_pages_need_nothing_from_afar(reference):
    for page in reference.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"""(?:src|data)=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//""", text), page
