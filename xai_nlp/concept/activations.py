"""Activations of a concept's examples at layers: computed once, and kept on the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import torch
from torch import Tensor, nn

from xai_nlp.attr.gradient import LayerActivation
from xai_nlp.attr.problems import Layer
from xai_nlp.concept.concept import Concept
from xai_nlp.concept.digests import digest
from xai_nlp.concept.examples import POOLING_REMEDY, Examples
from xai_nlp.concept.tensor_files import load_tensors, save_tensors
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.core.forward import as_tuple
from xai_nlp.hooks.model_state import frozen_model


@dataclass(frozen=True)
class Activations:
    """Vectors of a concept's examples at a layer, and a digest of what they come from."""

    vectors: Tensor  # (N, F)
    key: str


@dataclass(frozen=True, kw_only=True)
class ActivationStore:
    """Where the activations of one model are read, and computed if they are not there.

    model_key: a digest of the model; activations of another one are never read. layers: the layers by name.
    layer_input: what enters the layers instead of what leaves them. pooling: as in `Examples.vectors`.
    folder: where files lie; None keeps nothing.
    """

    model: nn.Module
    model_key: str
    layers: Mapping[str, Layer]
    layer_input: bool = False
    pooling: str | None = None
    folder: Path | None = None

    def of(self, concept: Concept) -> dict[str, Activations]:
        """The activations of a concept at each layer, by the layer's name.

        Batches are compared by their contents: the model runs for those that no file has. Raises CaptumAssertion for a
        concept without examples, and for vectors of several sizes.
        """
        if concept.data_iter is None:
            raise CaptumAssertion(f"{concept} has no data_iter; give the batches of its examples.")
        files = {name: StoredBatches.read(self._path(concept, name), self._key(name)) for name in self.layers}
        digests: list[str] = []
        for batch in concept.data_iter:
            digests.append(digest(batch))
            missing = [name for name in self.layers if digests[-1] not in files[name].batches]
            for name, vectors in self._computed(batch, missing).items():
                files[name].add(digests[-1], vectors)
        if not digests:
            raise CaptumAssertion(
                f"{concept} has no examples: its data_iter gives no batch. It is read anew each time."
            )
        for file in files.values():
            file.write(digests)
        return {
            name: Activations(file.joined(digests, concept), digest(file.key, digests)) for name, file in files.items()
        }

    def _computed(self, batch: Any, names: list[str]) -> dict[str, Tensor]:
        """The vectors of a batch at some layers, from one pass that stops after the last of them: (N, F) each."""
        if not names:
            return {}
        examples = Examples.of(self.model, batch)
        with frozen_model(self.model):
            activation = LayerActivation(examples.func, [self.layers[name] for name in names])
            tensors = activation.attribute(examples.tensors, attribute_to_layer_input=self.layer_input)
        return {name: examples.vectors(as_tuple(one), self.pooling) for name, one in zip(names, tensors, strict=True)}

    def _key(self, name: str) -> str:
        return digest(self.model_key, name, self.layer_input, self.pooling)

    def _path(self, concept: Concept, name: str) -> Path | None:
        if self.folder is None:
            return None
        place = digest(concept.identifier, name, self.layer_input, self.pooling)[:16]
        return self.folder / f"{quote(concept.identifier, safe=' ')[:60]}-{place}.activations.safetensors"


@dataclass
class StoredBatches:
    """The vectors of batches at one layer, by the batches' digests; a file of them, if there is a path."""

    path: Path | None
    key: str
    batches: dict[str, Tensor] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def read(cls, path: Path | None, key: str) -> StoredBatches:
        """What a file holds, or nothing: there is no file, or it comes from another model.

        Raises UnreadableFile for a file of another kind.
        """
        if path is None or not path.exists():
            return cls(path, key)
        tensors, notes = load_tensors(path)
        return cls(path, key, tensors if notes.get("key") == key else {})

    def add(self, batch: str, vectors: Tensor) -> None:
        """Add the vectors of a batch."""
        self.batches[batch], self.changed = vectors, True

    def write(self, batches: list[str]) -> None:
        """Write the named batches, if something was added."""
        if self.path is not None and self.changed:
            save_tensors(
                self.path, {one: self.batches[one] for one in batches}, {"kind": "activations", "key": self.key}
            )

    def joined(self, batches: list[str], concept: Concept) -> Tensor:
        """The vectors of the batches, one after the other: (N, F)."""
        parts = [self.batches[one] for one in batches]
        sizes = sorted({part.shape[1] for part in parts})
        if len(sizes) > 1:
            raise CaptumAssertion(
                f"examples of {concept} give {' and '.join(map(str, sizes))} numbers at the layer. " + POOLING_REMEDY
            )
        return torch.cat([part.to(parts[0].device) for part in parts])
