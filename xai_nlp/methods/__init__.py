"""The attribution methods, one file a family; importing this package fills the registry."""

from xai_nlp.methods import gradient, path, perturbation, reference

__all__ = ["gradient", "path", "perturbation", "reference"]
