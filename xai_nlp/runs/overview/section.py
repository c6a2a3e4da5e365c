"""What a section of an overview is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xai_nlp.core.overview import OverviewSection
from xai_nlp.runs.overview.chunk import Chunk
from xai_nlp.runs.overview.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class OverviewContext:
    """What all sections of an overview share.

    vocabulary: of the run's words. seed: of all that is drawn. columns: name -> a value for each row of the data.
    """

    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    seed: int = 0
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)


class Section(ABC):
    """One question about a run. It sees the run's explanations once, chunk by chunk, and keeps aggregates only."""

    def __init__(self, context: OverviewContext) -> None:
        self.context = context

    @abstractmethod
    def add(self, chunk: Chunk) -> None:
        """Count the explanations of a file."""

    @abstractmethod
    def result(self) -> OverviewSection | None:
        """The answer; None where the run holds nothing that the question is about."""
