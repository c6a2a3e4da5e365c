"""The few questions our methods ask of a model, answered the same way for every architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from xai_nlp.errors import UnknownName, Unsupported
from xai_nlp.hooks.scope import Site
from xai_nlp.models.layout import LAYOUTS, Layout, generic


@dataclass(frozen=True)
class Adapter:
    """A model and where it keeps its embeddings, layers and attention.

    >>> from xai_nlp.models.load import load_model
    >>> adapter = Adapter.of(load_model("sentiment").model)
    >>> adapter.architecture, len(adapter.layers), adapter.max_length
    ('bert', 3, 512)
    """

    model: Any
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module, layout: Layout | None = None) -> Adapter:
        """By the table; by looking, for an architecture that is not in it."""
        return cls(model, layout or LAYOUTS.get(model.config.model_type) or generic(model))

    @property
    def architecture(self) -> str:
        return self.model.config.model_type

    def _site(self, path: str, call: int = 0) -> Site:
        try:
            return Site(self.model.base_model.get_submodule(path), call=call, name=path)
        except AttributeError:
            raise UnknownName(
                "module", path, dict(self.model.base_model.named_modules()), "Pass a Layout that fits this model."
            ) from None

    def _optional(self, path: str | None) -> Site | None:
        """The site, where the model has it: a config may switch position or type embeddings off."""
        if path is None:
            return None
        parent, _, name = path.rpartition(".")
        return (
            self._site(path) if getattr(self.model.base_model.get_submodule(parent), name, None) is not None else None
        )

    @property
    def embeddings(self) -> Site:
        """Where the sum of word, position and type embeddings comes out."""
        return self._site(self.layout.embeddings)

    @property
    def word(self) -> Site:
        """Where the words' vectors come out."""
        return self._site(self.layout.word)

    @property
    def position(self) -> Site | None:
        return self._optional(self.layout.position)

    @property
    def types(self) -> Site | None:
        return self._optional(self.layout.types)

    @property
    def layers(self) -> tuple[Site, ...]:
        """Where each layer's hidden states come out, the first layer first."""
        if self.layout.blocks is None:
            raise Unsupported(f"the layers of {self.architecture} were not found. Pass a Layout that names its blocks.")
        if self.layout.shared:
            return tuple(
                self._site(f"{self.layout.blocks}.0", call) for call in range(self.model.config.num_hidden_layers)
            )
        blocks = self.model.base_model.get_submodule(self.layout.blocks)
        return tuple(self._site(f"{self.layout.blocks}.{k}") for k in range(len(blocks)))

    def layer(self, k: int) -> Site:
        """The output of layer k, counted from 0. Raises UnknownName."""
        layers = self.layers
        if not 0 <= k < len(layers):
            raise UnknownName("layer", k, range(len(layers)), "Layers are counted from 0.")
        return layers[k]

    def attention(self, k: int) -> nn.Module:
        """The module that holds layer k's attention probabilities."""
        return self.layer(k).module.get_submodule(self.layout.attention)

    @property
    def max_length(self) -> int | None:
        """How many tokens the model takes; None where its positions have no end."""
        positions = getattr(self.model.config, "max_position_embeddings", None)
        return None if self.layout.unbounded or positions is None else positions - self.layout.reserved
