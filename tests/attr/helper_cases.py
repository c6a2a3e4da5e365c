"""Both libraries, and seeds for what is drawn."""

import random

import captum.attr as captum
import torch
from hypothesis import strategies as st
from torch import nn

import xai_nlp.attr as ours

BOTH = (captum, ours)


seeds = st.integers(0, 10_000)


def drawn(seed: int) -> random.Random:
    torch.manual_seed(seed)
    return random.Random(seed)


class Words(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.ModuleDict({"words": nn.Embedding(11, width)})
        self.out = nn.Linear(width, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.out(torch.tanh(self.inner["words"](ids)).sum(1))
