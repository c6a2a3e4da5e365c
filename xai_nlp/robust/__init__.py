"""Captum's names for attacks, and for what they do to a model: `captum.robust` becomes `xai_nlp.robust`.

An attack moves the inputs, or with `layer=` the tensors at a layer: word embeddings, where the inputs are token ids.
"""

from xai_nlp.robust.attack_comparator import AttackComparator
from xai_nlp.robust.fgsm import FGSM
from xai_nlp.robust.min_param_perturbation import MinParamPerturbation
from xai_nlp.robust.perturbation import Perturbation
from xai_nlp.robust.pgd import PGD

__all__ = ["FGSM", "PGD", "AttackComparator", "MinParamPerturbation", "Perturbation"]
