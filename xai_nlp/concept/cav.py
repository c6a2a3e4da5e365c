"""Concept activation vectors, saved and loaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.concept.concept import Concept, concepts_key
from xai_nlp.concept.tensor_files import load_tensors, save_tensors
from xai_nlp.core.captum_types import CaptumAssertion


class CAV:
    """The directions that tell some concepts apart at a layer, one for each concept.

    concepts: the concepts; their ids and names are saved, not their examples.
    layer: the layer's name.
    stats: "weights" (C, F), "classes" (the concepts' ids in the order of the weights), and what the classifier reports.
    save_path, model_id: the folder, and the folder of the model in it.
    key: a digest of the weights and examples that the CAV comes from; None if it is not known.

    Source: Kim et al. 2018, sec. 3.2 (arXiv:1711.11279).
    """

    def __init__(
        self,
        concepts: list[Concept],
        layer: str,
        stats: dict[str, Any] | None = None,
        save_path: str = "./cav/",
        model_id: str = "default_model_id",
        *,
        key: str | None = None,
    ) -> None:
        self.concepts = concepts
        self.layer = layer
        self.stats = stats
        self.save_path = save_path
        self.model_id = model_id
        self.key = key

    @staticmethod
    def assemble_save_path(path: str, model_id: str, concepts: list[Concept], layer: str) -> str:
        """Where the CAV of these concepts and this layer lies.

        >>> CAV.assemble_save_path("cav", "bert", [Concept(0, "negation", None), Concept(1, "random", None)], "pooler")
        'cav/bert/0-1-pooler.safetensors'
        """
        return os.path.join(path, model_id, f"{concepts_key(concepts)}-{layer}.safetensors")

    @staticmethod
    def create_cav_dir_if_missing(save_path: str, model_id: str) -> None:
        """Make the folder of a model's CAVs."""
        Path(save_path, model_id).mkdir(parents=True, exist_ok=True)

    def save(self) -> None:
        """Write the CAV to its place. Raises CaptumAssertion for a statistic that is no tensor, array, number or text.

        Raises UnreadableFile if a file of another kind lies there.
        """
        path = self.assemble_save_path(self.save_path, self.model_id, self.concepts, self.layer)
        tensors, arrays, plain = {}, [], {}
        for name, value in (self.stats or {}).items():
            if isinstance(value, (Tensor, np.ndarray)):
                tensors[name] = torch.as_tensor(value)
                arrays += [name] if isinstance(value, np.ndarray) else []
            else:
                plain[name] = _plain(name, value)
        notes = {
            "kind": "cav",
            "key": self.key,
            "layer": self.layer,
            "concept_ids": [concept.id for concept in self.concepts],
            "concept_names": [concept.name for concept in self.concepts],
            "arrays": arrays,
            "stats": None if self.stats is None else plain,
        }
        save_tensors(Path(path), tensors, notes)

    @staticmethod
    def load(cavs_path: str, model_id: str, concepts: list[Concept], layer: str) -> CAV | None:
        """The CAV that was saved there; None if there is none. Raises UnreadableFile for a file of another kind."""
        path = Path(CAV.assemble_save_path(cavs_path, model_id, concepts, layer))
        if not path.exists():
            return None
        tensors, notes = load_tensors(path)
        stats = notes["stats"]
        if stats is not None:
            arrays = {name: tensor.numpy() if name in notes["arrays"] else tensor for name, tensor in tensors.items()}
            stats = {**arrays, **stats}
        named = zip(notes["concept_ids"], notes["concept_names"], strict=True)
        saved = [Concept(id, name, None) for id, name in named]
        return CAV(saved, notes["layer"], stats, cavs_path, model_id, key=notes["key"])


def _plain(name: str, value: Any) -> Any:
    """A value of JSON's types, without loss. Raises CaptumAssertion for any other."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(name, one) for one in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _plain(name, one) for key, one in value.items()}
    raise CaptumAssertion(
        f"the statistic {name!r} of a classifier is saved with its CAV, so it must be a tensor, an array, or numbers "
        f"and texts in lists and dicts; got {type(value).__name__}."
    )
