"""The hook points of a model by their role: embeddings, layers; the same questions for every architecture."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from xai_nlp.errors import UnknownName, Unsupported
from xai_nlp.hooks.points import Points
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.models.attention_families import FAMILIES, VISION_NAMES
from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS, Layout, base_of, infer_layout, text_config


@dataclass(frozen=True)
class Adapter:
    """A model with its layout. A wrong path in the layout raises UnknownName where the points are read.

    >>> import xai_nlp
    >>> adapter = Adapter.of(xai_nlp.load("sentiment").model)
    >>> adapter.architecture, len(adapter.layers), adapter.max_length
    ('bert', 3, 512)
    >>> adapter.points.word.name, adapter.layers[2].name
    ('embeddings.word_embeddings', 'encoder.layer.2')
    """

    model: Any
    layout: Layout

    @classmethod
    def of(cls, model: nn.Module, layout: Layout | None = None) -> Adapter:
        """The model with the given layout, the one of its `config.model_type`, or the one that its modules suggest."""
        kind = getattr(getattr(model, "config", None), "model_type", "")
        return cls(model, layout or LAYOUTS.get(kind) or VISION_LAYOUTS.get(kind) or infer_layout(model))

    @property
    def architecture(self) -> str:
        """The config's `model_type`, such as "bert"; the name of the class for a model without a config."""
        return getattr(getattr(self.model, "config", None), "model_type", "") or type(self.model).__name__

    @cached_property
    def points(self) -> Points:
        """The named hook points; there are no layers where they are not known."""
        layout, layers = self.layout, self._layers()
        inside = {"projection": layout.projection, "norm": layout.norm}
        return Points(
            model=self.model,
            base=base_of(self.model),
            families=FAMILIES,
            word=None if layout.word is None else self._point(layout.word),
            position=self._optional(layout.position),
            types=self._optional(layout.types),
            embeddings=None if layout.embeddings is None else self._point(layout.embeddings),
            layers=layers,
            vision=self._vision(),
            inside=tuple(
                {name: self._point(f"{layer.name}.{path}", layer.call) for name, path in inside.items() if path}
                for layer in layers
            ),
        )

    @property
    def layers(self) -> tuple[ModulePoint, ...]:
        """The output of each layer, the first layer first. Raises Unsupported if they are not known."""
        if not self.points.layers:
            raise Unsupported(
                f"the layers of {self.architecture} were not found. "
                "Pass a Layout that names its blocks: Adapter.of(model, Layout(…))."
            )
        return self.points.layers

    def _layers(self) -> tuple[ModulePoint, ...]:
        path = self.layout.blocks
        if path is None:
            return ()
        blocks = len(self._module(path))
        count = self.model.config.num_hidden_layers if self.layout.shared else blocks
        turns = [int(k / (count / blocks)) for k in range(count)]  # layer -> block, rounded as the models round it
        return tuple(self._point(f"{path}.{block}", turns[:k].count(block)) for k, block in enumerate(turns))

    def _vision(self) -> tuple[ModulePoint, ...]:
        """The output of each layer of the image encoder; () if the model has none of its own."""
        lists = ((p, m) for p, m in base_of(self.model).named_modules() if isinstance(m, nn.ModuleList))
        path, blocks = next(((p, m) for p, m in lists if VISION_NAMES & set(p.split("."))), ("", ()))
        return tuple(self._point(f"{path}.{k}") for k in range(len(blocks)))

    @property
    def text_stack(self) -> nn.Module:
        """The module that holds the layers of a model with an image encoder; else the whole model."""
        path = self.layout.blocks
        pictures = hasattr(getattr(self.model, "config", None), "vision_config")
        return self._module(path.rpartition(".")[0]) if path and pictures else self.model

    def layer(self, k: int) -> ModulePoint:
        """The output of layer k, counted from 0. Raises UnknownName."""
        layers = self.layers
        if not 0 <= k < len(layers):
            raise UnknownName("layer", k, range(len(layers)), "Layers are counted from 0.")
        return layers[k]

    @property
    def max_length(self) -> int | None:
        """The largest number of tokens that the model takes; None without a limit."""
        table = self.points.position
        if table is not None:
            # Families that reserve a row of the table for padding count positions from the row after it, BART from its
            # `offset`.
            padding = getattr(table.module, "padding_idx", None)
            reserved = getattr(table.module, "offset", 0 if padding is None else padding + 1)
            return table.module.num_embeddings - reserved  # type: ignore[operator, return-value]
        if self.layout.unbounded:
            return None
        return getattr(text_config(self.model), "max_position_embeddings", None)

    def _module(self, path: str) -> Any:
        base = base_of(self.model)
        try:
            return base.get_submodule(path)
        except AttributeError:
            known = dict(base.named_modules())
            raise UnknownName("module", path, known, "Pass a Layout that fits this model.") from None

    def _point(self, path: str, call: int = 0) -> ModulePoint:
        return ModulePoint(self._module(path), call=call, name=path, root=base_of(self.model))

    def _optional(self, path: str | None) -> ModulePoint | None:
        """The hook point if the model has the module: a config may switch position or type embeddings off."""
        if path is None:
            return None
        parent, _, name = path.rpartition(".")
        return None if getattr(self._module(parent), name, None) is None else self._point(path)
