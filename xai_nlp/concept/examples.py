"""Examples as a model takes them: a tensor, several, or a dict of them; and one vector for each, from a layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.core.captum_types import CaptumAssertion, UnknownChoice
from xai_nlp.core.forward import as_tuple
from xai_nlp.core.problem import Tensors
from xai_nlp.hooks.offload import device_of

POOLINGS = (None, "mean", "first", "tokens")
POOLING_REMEDY = "Texts of different length need pooling='mean', 'first' or 'tokens'."


@dataclass(frozen=True)
class Examples:
    """A batch of examples, and the function of its tensors that runs the model on them.

    func: takes `tensors`. mask: which tokens are no padding (B, L); None where nothing tells.
    """

    func: Callable[..., Any]
    tensors: Tensors  # (B, …) each
    mask: Tensor | None = None

    @classmethod
    def of(cls, model: nn.Module, batch: Any) -> Examples:
        """A batch: a tensor, a tuple or list of them, or a dict of them, which the model takes by name.

        Raises CaptumAssertion for anything else.
        """
        device = device_of(model)
        if isinstance(batch, Mapping):
            return cls._by_name(model, batch, device)
        tensors = tuple(batch) if isinstance(batch, list) else as_tuple(batch)
        if not tensors or not all(isinstance(t, Tensor) for t in tensors):
            raise CaptumAssertion(
                "a batch of examples is a tensor, a tuple or list of tensors, or a dict of them such as "
                f"tokenizer(texts, return_tensors='pt'); got {type(batch).__name__} of "
                f"{sorted({type(t).__name__ for t in tensors})}."
            )
        return cls(model, tuple(t.to(device) for t in tensors))

    @classmethod
    def _by_name(cls, model: nn.Module, batch: Mapping[str, Any], device: torch.device) -> Examples:
        """Tensors with a row for each example move through the function; other arguments stay as they are."""
        given = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
        rows = {name: value for name, value in given.items() if isinstance(value, Tensor) and value.ndim}
        if not rows or any(isinstance(value, list) for value in given.values()):
            raise CaptumAssertion(
                "a dict of examples holds tensors with a row for each; from a tokenizer they come with "
                f"return_tensors='pt'. Got { ({name: type(value).__name__ for name, value in given.items()}) }."
            )
        count = max(len(value) for value in rows.values())
        rows = {name: value for name, value in rows.items() if len(value) == count}
        shared = {name: value for name, value in given.items() if name not in rows}

        def call(*tensors: Tensor) -> Any:
            return model(**dict(zip(rows, tensors, strict=True)), **shared)

        return cls(call, tuple(rows.values()), rows.get("attention_mask"))

    def vectors(self, tensors: Tensors, pooling: str | None, *, slopes: bool = False) -> Tensor:
        """A vector for each example, or for each token, from the tensors at a layer: (N, F).

        pooling: None lays all numbers of an example in a row, as Captum does. "mean" is the mean over the tokens (axis
            1 of (B, L, D)) that are no padding, "first" the first of them, "tokens" each of them.
        slopes: the tensors are gradients, and so are the vectors. If each token moves by v, the mean moves by v: the
            slope along v is the sum over the tokens.
        Raises CaptumAssertion for tensors without tokens, if they are to be pooled.
        """
        if pooling is None:
            return _wide(torch.cat([t.flatten(1) for t in tensors], 1))
        lengths = {t.shape[:2] for t in tensors if t.ndim == 3}
        if len(lengths) != 1 or any(t.ndim != 3 for t in tensors):
            raise CaptumAssertion(
                f"pooling={pooling!r} needs tensors (examples, tokens, numbers) at the layer; it gives "
                f"{', '.join(str(tuple(t.shape)) for t in tensors)}. Choose another layer, or leave pooling out."
            )
        tokens = _wide(torch.cat(tensors, 2))  # (B, L, D)
        read = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        if self.mask is not None:
            if self.mask.shape != read.shape:
                raise CaptumAssertion(
                    f"the attention mask has the shape {tuple(self.mask.shape)} and the layer the tokens "
                    f"{tuple(read.shape)}: they are not those of the text. Choose another layer, or leave pooling out."
                )
            read = self.mask.bool().to(tokens.device)
        if pooling == "tokens":
            return tokens[read]
        if pooling == "first":
            return tokens[torch.arange(len(tokens), device=tokens.device), read.int().argmax(1)]
        summed = (tokens * read[:, :, None]).sum(1)
        return summed if slopes else summed / read.sum(1, keepdim=True).clamp(min=1)


def check_pooling(pooling: str | None) -> None:
    """Raises UnknownChoice for a way to pool that does not exist."""
    if pooling not in POOLINGS:
        raise UnknownChoice("pooling", pooling, [one for one in POOLINGS if one], "None does not pool.")


def _wide(t: Tensor) -> Tensor:
    """The tensor in float32 or wider."""
    return t.detach().to(torch.promote_types(t.dtype, torch.float32))
