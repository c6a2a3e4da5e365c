"""Captum's names for explaining embeddings as if they were inputs: the embedding layer taken out and put back.

Layer methods (`LayerIntegratedGradients` and the like) do the same without changing the model.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.forward import CaptumAssertion


class InterpretableEmbeddingBase(nn.Module):
    """Stands where an embedding layer was, and hands on the vectors that are given to it in the place of ids."""

    def __init__(self, embedding: nn.Module, full_name: str) -> None:
        super().__init__()
        self.num_embeddings = getattr(embedding, "num_embeddings", None)
        self.embedding_dim = getattr(embedding, "embedding_dim", None)
        self.embedding = embedding
        self.full_name = full_name

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The first argument, as it is."""
        if not inputs and not kwargs:
            raise CaptumAssertion("an interpretable embedding layer takes vectors as its first argument; got none.")
        return (*inputs, *kwargs.values())[0]

    def indices_to_embeddings(self, *input: Any, **kwargs: Any) -> Any:
        """What the embedding layer makes of ids."""
        return self.embedding(*input, **kwargs)


class TokenReferenceBase:
    """Makes baselines of one token, padding say, for texts of any length."""

    def __init__(self, reference_token_idx: int = 0) -> None:
        self.reference_token_idx = reference_token_idx

    def generate_reference(self, sequence_length: int, device: torch.device) -> Tensor:
        """The token so many times: (sequence_length,).

        >>> TokenReferenceBase(7).generate_reference(3, torch.device("cpu"))
        tensor([7, 7, 7])
        """
        return torch.full((sequence_length,), self.reference_token_idx, device=device)


def configure_interpretable_embedding_layer(
    model: nn.Module, embedding_layer_name: str = "embedding"
) -> InterpretableEmbeddingBase:
    """Put an interpretable layer in the place of an embedding layer, until `remove_interpretable_embedding_layer`.

    Raises CaptumAssertion if one is there already, AttributeError if there is no layer of that name.
    """
    layer = attrgetter(embedding_layer_name)(model)
    if isinstance(layer, InterpretableEmbeddingBase):
        raise CaptumAssertion(f"{embedding_layer_name!r} is an interpretable embedding layer already; remove it first.")
    stand_in = InterpretableEmbeddingBase(layer, embedding_layer_name)
    _put(model, stand_in, stand_in)
    return stand_in


def remove_interpretable_embedding_layer(model: nn.Module, interpretable_emb: InterpretableEmbeddingBase) -> None:
    """Put the embedding layer back where it was."""
    _put(model, interpretable_emb, interpretable_emb.embedding)


def _put(model: nn.Module, at: InterpretableEmbeddingBase, layer: nn.Module) -> None:
    parent, _, name = at.full_name.rpartition(".")
    setattr(attrgetter(parent)(model) if parent else model, name, layer)
