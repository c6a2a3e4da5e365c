"""The attribution methods, one file a family. Importing this package fills the registry: look methods up here."""

from xai_nlp.core.registry import METHODS, find_method
from xai_nlp.methods import (
    attention,
    attention_norms,
    attention_path,
    cam,
    gradient,
    noise,
    path,
    perturbation,
    propagation,
    random_scores,
    shapley,
    surrogate,
)

__all__ = [
    "METHODS",
    "attention",
    "attention_norms",
    "attention_path",
    "cam",
    "find_method",
    "gradient",
    "noise",
    "path",
    "perturbation",
    "propagation",
    "random_scores",
    "shapley",
    "surrogate",
]
