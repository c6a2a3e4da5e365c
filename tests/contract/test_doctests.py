"""Every example in a docstring runs and shows what it says."""

import doctest
import importlib
import pkgutil

import pytest
import torch


def modules_below(name: str) -> set[str]:
    """A package and all that is in it, at any depth."""
    package = importlib.import_module(name)
    return {name} | {m.name for m in pkgutil.walk_packages(package.__path__, f"{name}.", onerror=raised)}


def raised(name: str) -> None:
    raise ImportError(f"{name} cannot be imported, so its examples are not seen")


# hooks and viz lie beside the package in a checkout, and inside it in a wheel
FOUND = modules_below("xai_nlp") | modules_below("xai_nlp.hooks") | modules_below("xai_nlp.viz")
MODULES = sorted(name for name in FOUND if not name.endswith("__main__"))


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(importlib.import_module(name), optionflags=flags, extraglobs={"torch": torch})
    assert result.failed == 0


def test_packages_in_packages_are_seen():
    assert {"xai_nlp.methods.propagation.rules", "xai_nlp.viz.page.html", "xai_nlp.hooks.scope"} <= set(MODULES)


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    assert sum(len(t.examples) for m in MODULES for t in finder.find(importlib.import_module(m))) >= 15
