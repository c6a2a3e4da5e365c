"""The sections of an overview, in the order of the page. A new one is a file with a `Section`, and a line here."""

from __future__ import annotations

from xai_nlp.runs.overview.clusters import Clusters
from xai_nlp.runs.overview.confusions import Confusions
from xai_nlp.runs.overview.layers_and_heads import LayersAndHeads
from xai_nlp.runs.overview.lexicon import Lexicon
from xai_nlp.runs.overview.modalities import Modalities
from xai_nlp.runs.overview.phrases import Phrases
from xai_nlp.runs.overview.question_only import QuestionOnly
from xai_nlp.runs.overview.reliability import Reliability
from xai_nlp.runs.overview.section import Section
from xai_nlp.runs.overview.slices import Slices
from xai_nlp.runs.overview.suspects import Suspects

SECTIONS: tuple[type[Section], ...] = (
    Lexicon,
    Suspects,
    Phrases,
    Confusions,
    Clusters,
    Slices,
    Modalities,
    QuestionOnly,
    LayersAndHeads,
    Reliability,
)
