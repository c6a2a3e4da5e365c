"""The named hook points of a model: `xai_nlp.points(model)`."""

from __future__ import annotations

from typing import Any

from torch import nn

from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.points import Points
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.attention_families import FAMILIES
from xai_nlp.models.layout import base_of


def points(model: Any) -> Points:
    """The named hook points of a model: word, position, types, embeddings, layers, attention, cross_attention, vision.

    model: a torch module, a HuggingFace model of any architecture, or an explainer of `xai_nlp.load`. A module whose
    embeddings are not known has points by path only: `points(net)["encoder.layer.3"]`.
    The points are for `xai_nlp.hooks.capture` and `edit`, and for Captum's layer and neuron names in `xai_nlp.attr`.
    Raises InvalidInput if `model` is neither a module nor an explainer; `points(net)[path]` raises UnknownName.

    >>> import xai_nlp
    >>> named = points(xai_nlp.load("sentiment"))
    >>> len(named.layers), named.attention[0].path
    (3, 'bert.encoder.layer.0.attention.self')
    """
    model = getattr(model, "model", model) if not isinstance(model, nn.Module) else model
    if not isinstance(model, nn.Module):
        raise InvalidInput(f"hook points belong to a torch module or an explainer; got {type(model).__name__}.")
    try:
        return Adapter.of(model).points
    except (Unsupported, UnknownName):
        return Points(model=model, base=base_of(model), families=FAMILIES)
