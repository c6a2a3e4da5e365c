"""The attribution methods, one file a family. Importing this package fills the registry: look methods up here."""

from importlib import import_module
from pkgutil import walk_packages

from xai_nlp.core.registry import METHODS, find_method

__all__ = ["METHODS", "find_method"]

for module in walk_packages(__path__, f"{__name__}."):
    import_module(module.name)
