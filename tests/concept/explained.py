"""Random networks with concepts of random examples, for ours and for Captum's TCAV."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import captum.concept as captum
import numpy as np
import sklearn.linear_model  # noqa: F401  (its import draws random numbers, so it comes before any seed)
import torch
from torch import Tensor, nn

import xai_nlp.concept as ours
from tests.attr.drawn import Case

BOTH = (ours, captum)


class Means:
    """A classifier without randomness: the means of the classes, each scaled in its own way."""

    def train_and_eval(self, dataloader: Any, **kwargs: Any) -> dict[str, Any]:
        x, labels = (torch.cat(column) for column in zip(*dataloader, strict=True))
        self.known = labels.unique().flip(0)
        self.rows = torch.stack([x[labels == one].mean(0) - x.mean(0) * (1 + int(one) / 10) for one in self.known])
        return {"accs": torch.tensor(0.5)}

    def weights(self) -> Tensor:
        return self.rows.float()

    def classes(self) -> list[int]:
        return self.known.tolist()


class Calls(nn.Module):
    """A network that counts its forward passes."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.count = net, 0
        net.register_forward_pre_hook(self._count)

    def _count(self, *_: Any) -> None:
        self.count += 1

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.net(*args, **kwargs)


def batches_of(case: Case, count: int) -> list[Any]:
    """Batches of random examples of a network, one tensor or a tuple each."""
    made = [tuple(case.some(shape, case.draw.randint(3, 5)) for shape in case.shapes[:1]) for _ in range(count)]
    if len(case.shapes) > 1:
        made = [(one, *(case.some(shape, len(one)) for shape in case.shapes[1:])) for (one,) in made]
    return made if case.tuple_in else [batch[0] for batch in made]


def seeded(call: Callable[[], Any], seed: int = 0) -> Any:
    """What a call gives when all generators start from the seed; Captum warns of its classifier."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


def gaussian(mean: float, count: int, width: int, seed: int) -> Tensor:
    """Vectors around a point."""
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed)) + mean
