"""Captum's names for concepts, and a test that they need: `captum.concept` becomes `xai_nlp.concept`.

A concept is a set of examples. Its direction at a layer is a concept activation vector (CAV), and `TCAV` tells how much
the model's output rises along it.
"""

from xai_nlp.concept.cav import CAV
from xai_nlp.concept.classifier import Classifier, DefaultClassifier, FastCAV
from xai_nlp.concept.concept import Concept, ConceptInterpreter
from xai_nlp.concept.significance import ConceptSignificance
from xai_nlp.concept.tcav import TCAV

__all__ = [
    "CAV",
    "TCAV",
    "Classifier",
    "Concept",
    "ConceptInterpreter",
    "ConceptSignificance",
    "DefaultClassifier",
    "FastCAV",
]
