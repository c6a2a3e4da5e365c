"""Captum's names for explaining embeddings as inputs: an embedding layer is replaced, and put back later.

Layer methods such as `LayerIntegratedGradients` do the same without changing the model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion


class InterpretableEmbeddingBase(nn.Module):
    """Takes the place of an embedding layer, and returns the vectors that it gets instead of ids."""

    def __init__(self, embedding: nn.Module, full_name: str) -> None:
        super().__init__()
        self.num_embeddings = getattr(embedding, "num_embeddings", None)
        self.embedding_dim = getattr(embedding, "embedding_dim", None)
        self.embedding = embedding
        self.full_name = full_name

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The first argument, unchanged."""
        if not inputs and not kwargs:
            raise CaptumAssertion("an interpretable embedding layer takes vectors as its first argument; got none.")
        return (*inputs, *kwargs.values())[0]

    def indices_to_embeddings(self, *input: Any, **kwargs: Any) -> Any:
        """The embedding layer's vectors for ids."""
        return self.embedding(*input, **kwargs)


class TokenReferenceBase:
    """Makes baselines of one token, such as padding, for texts of any length."""

    def __init__(self, reference_token_idx: int = 0) -> None:
        self.reference_token_idx = reference_token_idx

    def generate_reference(self, sequence_length: int, device: torch.device) -> Tensor:
        """The token's id, repeated: (sequence_length,).

        >>> TokenReferenceBase(7).generate_reference(3, torch.device("cpu"))
        tensor([7, 7, 7])
        """
        return torch.full((sequence_length,), self.reference_token_idx, device=device)


def configure_interpretable_embedding_layer(
    model: nn.Module, embedding_layer_name: str = "embedding"
) -> InterpretableEmbeddingBase:
    """Replace an embedding layer by an interpretable one, until `remove_interpretable_embedding_layer`.

    Raises CaptumAssertion if one is there already, AttributeError if there is no layer of that name.
    """
    layer = model.get_submodule(embedding_layer_name)
    if isinstance(layer, InterpretableEmbeddingBase):
        raise CaptumAssertion(f"{embedding_layer_name!r} is an interpretable embedding layer already; remove it first.")
    interpretable = InterpretableEmbeddingBase(layer, embedding_layer_name)
    model.set_submodule(embedding_layer_name, interpretable)
    return interpretable


def remove_interpretable_embedding_layer(model: nn.Module, interpretable_emb: InterpretableEmbeddingBase) -> None:
    """Put the embedding layer back in its place."""
    model.set_submodule(interpretable_emb.full_name, interpretable_emb.embedding)
