"""The API reference, from the docstrings: `python -m tests.recipes.reference build/docs` (`make docs`).

Any warning is an error: a name in an `__all__` that does not exist, a module that cannot be imported.
"""

from __future__ import annotations

import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pdoc
import pdoc.extract
import pdoc.render
from jinja2 import ChoiceLoader, DictLoader

import xai_nlp

APART = ("xai_nlp.hooks", "xai_nlp.viz")  # beside the package in the sources, inside it where it is installed
#: `steps: points on the path`: where a docstring speaks of a field, or gives its source.
FIELD = re.compile(r"^([a-z_]+(?:, [a-z_]+)*|[A-Z][a-z]+): (?=\S)", re.MULTILINE)
#: pdoc leaves out the modules of a package that has an `__all__`.
PAGE = """{% extends "default/module.html.jinja2" %}
{% block nav_submodules %}{% if below(module.modulename) %}<h2>Modules</h2><ul>
{% for name in below(module.modulename) %}<li>{{ (name, "") | link(text=name.rpartition(".")[2]) }}</li>{% endfor %}
</ul>{% endif %}{% endblock %}"""


def modules() -> list[str]:
    """Every public module that is shipped, packages before what they hold."""

    def below(name: str) -> Iterator[str]:
        yield name
        for found in pkgutil.iter_modules(getattr(import_module(name), "__path__", ())):
            if not found.name.startswith("_"):
                yield from below(f"{name}.{found.name}")

    return list(dict.fromkeys(name for top in ("xai_nlp", *APART) for name in below(top)))


def specifications(names: list[str]) -> list[str]:
    """What pdoc must be told to find these: it follows a package to its modules, but for one with an `__all__`."""
    told: list[str] = []
    covered: set[str] = set()
    for name in names:
        if name not in covered:
            told.append(name)
            covered.update(pdoc.extract.walk_specs([name]))
    return told


def with_types(name: str) -> None:
    """Name the types of fields in the module where they are written: pdoc looks where a constructor was made."""
    for cls in vars(import_module(name)).values():
        if not isinstance(cls, type) or cls.__module__ != name:
            continue
        if is_dataclass(cls) or hasattr(cls, "_fields"):
            make = cls.__new__ if hasattr(cls, "_fields") else cls.__init__
            with suppress(NameError):  # imported for type checkers alone: those pdoc finds
                hints = get_type_hints(cls)
                make.__annotations__.update((field, hints[field]) for field in make.__annotations__ if field in hints)


def as_lines(docstring: str) -> str:
    """Markdown in which fields stand on lines of their own, as they do in the source."""
    return FIELD.sub(r"\n**\1**: ", docstring)


def build(folder: Path) -> None:
    """Write the reference into the folder."""
    pdoc.render.configure(docformat="markdown", footer_text=f"xai_nlp {xai_nlp.__version__}")
    names = modules()
    for name in names:
        module = import_module(name)
        for public in getattr(module, "__all__", ()):  # some are fetched on first use, which pdoc does not know of
            vars(module)[public] = getattr(module, public)
        with_types(name)
    env = pdoc.render.env
    own = env.filters["to_html"]
    env.filters["to_html"] = lambda docstring: own(as_lines(docstring))
    assert env.loader is not None
    env.loader = ChoiceLoader([DictLoader({"module.html.jinja2": PAGE}), env.loader])
    env.globals["below"] = lambda package: [name for name in names if name.rpartition(".")[0] == package]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Cannot determine where .*Keywords")  # a TypedDict keeps no base class
        pdoc.pdoc(*specifications(names), output_directory=folder)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
