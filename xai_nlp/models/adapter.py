"""The few questions our methods ask of a model, answered the same way for every architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from xai_nlp.errors import UnknownName, Unsupported
from xai_nlp.hooks.attention import VISION
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS, Layout, base_of, infer_layout, text_config


@dataclass(frozen=True)
class Adapter:
    """A model and where it keeps its embeddings, layers and attention.

    >>> import xai_nlp
    >>> adapter = Adapter.of(xai_nlp.load("sentiment").model)
    >>> adapter.architecture, len(adapter.layers), adapter.max_length
    ('bert', 3, 512)
    """

    model: Any
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module, layout: Layout | None = None) -> Adapter:
        """By the table; by looking, for an architecture that is not in it."""
        kind = getattr(getattr(model, "config", None), "model_type", "")
        return cls(model, layout or LAYOUTS.get(kind) or VISION_LAYOUTS.get(kind) or infer_layout(model))

    @property
    def architecture(self) -> str:
        """What the config calls it, such as "bert"; the class's name for a model without a config."""
        return getattr(getattr(self.model, "config", None), "model_type", "") or type(self.model).__name__

    def _module(self, path: str) -> Any:
        base = base_of(self.model)
        try:
            return base.get_submodule(path)
        except AttributeError:
            known = dict(base.named_modules())
            raise UnknownName("module", path, known, "Pass a Layout that fits this model.") from None

    def _point(self, path: str, call: int = 0) -> ModulePoint:
        return ModulePoint(self._module(path), call=call, name=path)

    def _optional(self, path: str | None) -> ModulePoint | None:
        """The site, where the model has it: a config may switch position or type embeddings off."""
        if path is None:
            return None
        parent, _, name = path.rpartition(".")
        return None if getattr(self._module(parent), name, None) is None else self._point(path)

    @property
    def embeddings(self) -> ModulePoint:
        """Where the sum of word, position and type embeddings comes out."""
        return self._point(self.layout.embeddings)

    @property
    def word(self) -> ModulePoint:
        """Where the words' vectors come out."""
        return self._point(self.layout.word)

    @property
    def position(self) -> ModulePoint | None:
        """Where the positions' vectors come out; None where they are rotary, relative or switched off."""
        return self._optional(self.layout.position)

    @property
    def types(self) -> ModulePoint | None:
        """Where the token types' vectors come out, if the model has any."""
        return self._optional(self.layout.types)

    @property
    def layers(self) -> tuple[ModulePoint, ...]:
        """Where each layer's hidden states come out, the first layer first."""
        path = self.layout.blocks
        if path is None:
            raise Unsupported(
                f"the layers of {self.architecture} were not found. "
                "Pass a Layout that names its blocks: Adapter.of(model, Layout(…))."
            )
        blocks = len(self._module(path))
        count = self.model.config.num_hidden_layers if self.layout.shared else blocks
        turns = [int(k / (count / blocks)) for k in range(count)]  # layer -> block, rounded as the models round it
        return tuple(self._point(f"{path}.{block}", call=turns[:k].count(block)) for k, block in enumerate(turns))

    @property
    def vision(self) -> tuple[ModulePoint, ...]:
        """The layers of the side that looks at an image, the first layer first; none where it has no own side."""
        base = base_of(self.model)
        lists = ((path, m) for path, m in base.named_modules() if isinstance(m, nn.ModuleList))
        path, blocks = next(((p, m) for p, m in lists if VISION & set(p.split("."))), ("", ()))
        return tuple(self._point(f"{path}.{k}") for k in range(len(blocks)))

    @property
    def text_stack(self) -> nn.Module:
        """The module that holds the layers; the whole model, where it has no side that looks at images."""
        path = self.layout.blocks
        sighted = hasattr(getattr(self.model, "config", None), "vision_config")
        return self._module(path.rpartition(".")[0]) if path and sighted else self.model

    def layer(self, k: int) -> ModulePoint:
        """The output of layer k, counted from 0. Raises UnknownName."""
        layers = self.layers
        if not 0 <= k < len(layers):
            raise UnknownName("layer", k, range(len(layers)), "Layers are counted from 0.")
        return layers[k]

    def attention(self, k: int) -> nn.Module:
        """The module that holds layer k's attention probabilities. Raises UnknownName, or Unsupported if not found."""
        block = self.layer(k)
        if self.layout.attention is None:
            raise Unsupported(
                f"the attention of {self.architecture} was not found in {block.name}. "
                "Pass a Layout that names it: Adapter.of(model, Layout(…))."
            )
        return self._module(f"{block.name}.{self.layout.attention}")

    def submodule(self, k: int, name: str) -> ModulePoint:
        """A module of layer k that the layout names: "projection" or "norm". Raises Unsupported where it names none."""
        block, path = self.layer(k), getattr(self.layout, name)
        if path is None:
            raise Unsupported(
                f"the {name} after attention of {self.architecture} is not known, or comes elsewhere in its layers. "
                "Pass a Layout that names it: Adapter.of(model, Layout(…))."
            )
        return self._point(f"{block.name}.{path}", block.call)

    @property
    def max_length(self) -> int | None:
        """How many tokens the model takes; None where its positions have no end."""
        table = self.position
        if table is not None:
            # Families that keep a row of the table for padding count positions from the row after it.
            padding = getattr(table.module, "padding_idx", None)
            return table.module.num_embeddings - (0 if padding is None else padding + 1)  # type: ignore[operator, return-value]
        if self.layout.unbounded:
            return None
        return getattr(text_config(self.model), "max_position_embeddings", None)
