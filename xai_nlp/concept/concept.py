"""Concepts: examples that share something a person has a name for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch import nn

from xai_nlp.core.captum_types import CaptumAssertion


class Concept:
    """A concept and its examples.

    id: a number, unique among the concepts of an interpreter. name: a unique name.
    data_iter: batches of examples, such as a DataLoader, read anew each time. A batch is a tensor (B, …), a tuple or
        list of tensors, or a dict of them such as a `BatchEncoding`, as the model takes it; no labels. None for a
        concept that was loaded with its CAV.

    >>> Concept(0, "negation", [torch.zeros(2, 3)])
    Concept(0, 'negation')
    """

    def __init__(self, id: int, name: str, data_iter: Iterable[Any] | None) -> None:
        self.id = id
        self.name = name
        self.data_iter = data_iter

    @property
    def identifier(self) -> str:
        """The name and the id: "negation-0"."""
        return f"{self.name}-{self.id}"

    def __repr__(self) -> str:
        return f"Concept({self.id!r}, {self.name!r})"


class ConceptInterpreter:
    """The base of what explains a model by concepts: a class that has `interpret`.

    model: a torch module.
    """

    interpret: Callable[..., Any]

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise CaptumAssertion(f"the model must be a torch module; got {type(model).__name__}.")
        self.model = model


def concepts_key(concepts: Sequence[Concept]) -> str:
    """The ids of a set of concepts, as results are keyed.

    >>> concepts_key([Concept(0, "negation", None), Concept(7, "random", None)])
    '0-7'
    """
    return "-".join(str(concept.id) for concept in concepts)
