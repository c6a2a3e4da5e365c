"""A tiny model of each family with a padded batch of two examples, for the tests of hook points."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tests.models.tiny import tiny
from tests.models.tiny_vision_language import FAMILIES, SIDE, _grown
from tests.oracles.attention import PLACES

TEXTS = ["A gripping, beautifully acted film about two sisters.", "dull film"]
#: Family -> whether it has sdpa.
HAS_SDPA = {"bert": True, "distilbert": True, "gpt2": True, "bart": True, "vilt": False, "llama": True}
CASES = [
    (name, attention)
    for name, sdpa in HAS_SDPA.items()
    for attention in ("sdpa", "eager")
    if sdpa or attention == "eager"
]
#: Family -> the path of a layer, and in it of the layer that takes the outputs of all heads.
PROJECTIONS = {
    **{name: f"{PLACES[name][0]}.{PLACES[name][1]}" for name in HAS_SDPA if name != "vilt"},
    "vilt": "vilt.encoder.layer.{}.attention.output.dense",
}


@dataclass(frozen=True)
class PaddedBatch:
    model: Any
    inputs: dict[str, Any]  # the second example is padded on the right

    @property
    def real(self) -> Tensor:
        """True for tokens that are no padding, (B, K); patches of an image, which follow the words, are none."""
        text = self.inputs["attention_mask"].bool()
        patches = (SIDE // 8) ** 2 + 1 if "pixel_values" in self.inputs else 0
        return torch.cat([text, torch.ones(len(text), patches, dtype=torch.bool)], dim=1)

    def forward(self, ids: Tensor, *others: Tensor) -> Tensor:
        """Logits of token ids and the other inputs, in their order: a forward function as Captum takes it."""
        return self.model(**dict(zip(self.inputs, (ids, *others), strict=True))).logits

    @property
    def others(self) -> tuple[Tensor, ...]:
        return tuple(self.inputs.values())[1:]

    @property
    def baseline(self) -> Tensor:
        """Token ids where every word is another one; special tokens and padding stay."""
        ids = self.inputs["input_ids"]
        changed = ids.clone()
        changed[:, 1:-1] = torch.where(ids[:, 1:-1] > 4, 5 + (ids[:, 1:-1] + 3) % 40, ids[:, 1:-1])
        return changed


def padded_batch(name: str, attention: str = "sdpa", dtype: torch.dtype = torch.float64) -> PaddedBatch:
    """A model of its own, so that tests may change it."""
    if name == "vilt":
        ids = torch.tensor([[2, 5, 6, 7, 8, 9, 3], [2, 11, 12, 3, 0, 0, 0]])
        pixels = torch.randn(2, 3, SIDE, SIDE, generator=torch.manual_seed(0))
        model, inputs = _grown(FAMILIES[name]()[0]), {"input_ids": ids, "attention_mask": (ids != 0).long()}
        inputs["pixel_values"] = pixels.to(dtype)
    else:
        model, tokenizer = tiny(name, fresh=True)
        inputs = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
        model.set_attn_implementation(attention)
    return PaddedBatch(model.to(dtype), inputs)
