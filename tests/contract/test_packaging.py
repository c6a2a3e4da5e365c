"""The package as it is installed: complete, light to import, safe from being loaded twice."""

import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(os.environ.get("XAI_SOURCES", Path(__file__).parents[2]))


def python(code: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )


def test_every_package_is_listed():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {"xai_nlp", "xai_nlp.hooks", "xai_nlp.viz"}
    for top, name in (("xai_nlp", "xai_nlp"), ("hooks", "xai_nlp.hooks"), ("viz", "xai_nlp.viz")):
        for init in (ROOT / top).rglob("__init__.py"):
            folders.add(".".join((name, *init.parent.relative_to(ROOT / top).parts)))
    assert listed == folders


def test_import_is_light():
    done = python("import sys, xai_nlp; print({'torch', 'transformers', 'matplotlib', 'captum'} & set(sys.modules))")
    assert done.stdout.strip() == "set()", done.stderr


def test_explaining_needs_neither_captum_nor_matplotlib():
    done = python(
        "import sys, xai_nlp, xai_nlp.attr; xai_nlp.explain('good film');"
        "print({'matplotlib', 'captum'} & set(sys.modules))"
    )
    assert done.stdout.strip() == "set()", done.stderr


@pytest.mark.parametrize("name", ["hooks", "viz"])
def test_folders_refuse_another_name(name):
    done = python(f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {name}")
    assert done.returncode == 1
    assert f"xai_nlp.{name}" in done.stderr


def test_data_files_are_installed():
    for name in ("config.json", "model.safetensors", "tokenizer.json", "README.md"):
        assert (files("xai_nlp.zoo") / "sentiment" / name).is_file()
    assert any(p.name.endswith(".html") for p in (files("xai_nlp.viz.page") / "templates").iterdir())
    assert (files("xai_nlp") / "py.typed").is_file()


def test_public_names_exist():
    import xai_nlp
    import xai_nlp.attr

    for module in (xai_nlp, xai_nlp.attr):
        for name in module.__all__:
            assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xai_nlp.nothing
