"""Is a package of ours called as Captum's is? Names are found, not listed: a name that is added is tested."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

import xai_nlp

PACKAGES = ("attr", "concept", "influence", "metrics", "module", "robust")  # of Captum
OURS = [name for name in PACKAGES if any(found.name == name for found in pkgutil.iter_modules(xai_nlp.__path__))]

#: Names of `captum.attr` on its main branch, which 0.9.0 does not have.
MAIN_BRANCH = ("BaselineKernelShap", "RandomBaselineKernelShap")

#: What is imported from captum._utils.models, exported there or not.
LINEAR_MODELS = (
    *("LinearModel", "Model", "SGDLasso", "SGDLinearModel", "SGDLinearRegression", "SGDRidge", "SkLearnLasso"),
    *("SkLearnLinearModel", "SkLearnLinearRegression", "SkLearnLogisticRegression", "SkLearnRidge"),
    "SkLearnSGDClassifier",
)


def package(name: str) -> tuple[Any, Any]:
    """Ours and Captum's package of a name."""
    return importlib.import_module(f"xai_nlp.{name}"), importlib.import_module(f"captum.{name}")


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    """Name, default and kind of each; functions that are defaults are compared by what they are called."""
    return [
        (p.name, getattr(p.default, "__name__", p.default) if callable(p.default) else p.default, p.kind)
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def shared_parameters(own: Any, reference: Any) -> list[tuple[str, Any, Any]]:
    """Those of our function, without the keywords that Captum's does not know and that may be left out."""
    known = {name for name, _, _ in parameters(reference)}
    return [
        (name, default, kind)
        for name, default, kind in parameters(own)
        if name in known or kind is not inspect.Parameter.KEYWORD_ONLY or default is inspect.Parameter.empty
    ]


def public(cls: type) -> set[str]:
    """The names of a class that are not private."""
    return {name for name in dir(cls) if not name.startswith("_")}


def called_alike(own: Any, reference: Any) -> None:
    """Ours takes what Captum's takes, by name and by position; a class has its methods, and they do too."""
    assert shared_parameters(own, reference) == parameters(reference)
    if not inspect.isclass(reference):
        return
    assert inspect.isclass(own)
    assert public(reference) <= public(own)
    for name in sorted(public(reference)):
        there, here = getattr(reference, name), getattr(own, name)
        if inspect.isfunction(there) or inspect.ismethod(there):
            assert shared_parameters(here, there) == parameters(there), name
