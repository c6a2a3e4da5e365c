"""Captum's names for the influence of training examples: `captum.influence` becomes `xai_nlp.influence`.

Gradients of each example are exact for every module. Batches are tuples or dicts, checkpoints are files, folders of a
Trainer, state dicts or callables; nothing is unpickled. The model has its own weights back after each call.
"""

from xai_nlp.influence.data_influence import DataInfluence, KMostInfluentialResults
from xai_nlp.influence.influence_functions import ArnoldiInfluenceFunction, NaiveInfluenceFunction
from xai_nlp.influence.similarity import SimilarityInfluence
from xai_nlp.influence.tracin import TracInCP, TracInCPBase
from xai_nlp.influence.tracin_fast import TracInCPFast, TracInCPFastRandProj
from xai_nlp.influence.word_embeddings import TracInWE

__all__ = [
    "ArnoldiInfluenceFunction",
    "DataInfluence",
    "KMostInfluentialResults",
    "NaiveInfluenceFunction",
    "SimilarityInfluence",
    "TracInCP",
    "TracInCPBase",
    "TracInCPFast",
    "TracInCPFastRandProj",
    "TracInWE",
]
