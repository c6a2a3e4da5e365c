"""Every example in a docstring runs and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest

PACKAGES = [
    "xai_nlp", "xai_nlp.attr", "xai_nlp.cli", "xai_nlp.core", "xai_nlp.hooks", "xai_nlp.methods", "xai_nlp.models",
    "xai_nlp.tasks", "xai_nlp.viz",
]  # fmt: skip
MODULES = sorted(
    {
        name
        for package in PACKAGES
        for name in [
            package,
            *(f"{package}.{m.name}" for m in pkgutil.iter_modules(importlib.import_module(package).__path__)),
        ]
    }
)


@pytest.mark.parametrize("name", [m for m in MODULES if not m.endswith("__main__")])
def test_examples(name):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=flags, extraglobs=_names(name))
    assert result.failed == 0


def _names(name: str) -> dict[str, object]:
    import torch

    return {"torch": torch}


def test_there_are_examples():
    found = sum(
        len(t.examples)
        for m in MODULES
        if not m.endswith("__main__")
        for t in doctest.DocTestFinder().find(importlib.import_module(m))
    )
    assert found >= 15
