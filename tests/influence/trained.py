"""Small networks with checkpoints, their data, and influence by a loop over gradients of single examples."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Convolutional(nn.Module):
    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.conv = nn.Conv2d(1, 3, 2, stride=random.choice([1, 2]), padding=random.choice([0, 1]))
        self.last = nn.LazyLinear(classes)
        with torch.no_grad():
            self(torch.zeros(1, features))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.conv(x.view(len(x), 1, 2, -1))).flatten(1))


def perceptron(features: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 5), nn.Tanh(), nn.Linear(5, classes))


class Run:
    """A network, checkpoints of it on disk with learning rates, training data and inputs; the same for one seed."""

    def __init__(
        self, seed: int, folder: Path, *, make: Callable[[int, int], nn.Module] | None = None, dtype: Any = None
    ) -> None:
        self.draw = random.Random(seed)
        random.seed(seed)
        torch.manual_seed(seed)
        self.folder, self.dtype = folder, dtype or torch.float32
        self.features, self.classes = self.draw.choice([4, 6]), self.draw.choice([2, 3])
        make = make or self.draw.choice([perceptron, Convolutional])
        self.net = make(self.features, self.classes).to(self.dtype)
        self.rates: dict[str, float] = {}
        for number in range(self.draw.choice([1, 2, 3])):
            self._save(number)
        self.classify = self.draw.random() < 0.5
        self.train = TensorDataset(*self.examples(self.draw.randrange(3, 9)))
        self.inputs = self.examples(self.draw.randrange(1, 5))
        self.batch_size = self.draw.randrange(1, 5)

    def _save(self, number: int) -> None:
        path = self.folder / f"step-{number}.pt"
        weights = {k: v + 0.3 * torch.randn_like(v) for k, v in self.net.state_dict().items()}
        torch.save(weights, path)
        self.rates[str(path)] = round(self.draw.uniform(0.1, 2.0), 2)

    @property
    def checkpoints(self) -> list[str]:
        return list(self.rates)

    def load(self, net: nn.Module, path: str) -> float:
        net.load_state_dict(torch.load(path, weights_only=True))
        return self.rates[path]

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        x = torch.randn(count, self.features, dtype=self.dtype)
        if self.classify:
            return x, torch.randint(0, self.classes, (count,))
        return x, torch.randn(count, self.classes, dtype=self.dtype)

    def loss(self, reduction: str) -> nn.Module:
        if self.classify:
            return nn.CrossEntropyLoss(reduction=reduction)
        if reduction == "none":
            return RowMSE()
        return nn.MSELoss(reduction="sum")

    def loader(self) -> DataLoader[Any]:
        return DataLoader(self.train, self.batch_size)


class RowMSE(nn.Module):
    """The squared error of each example."""

    reduction = "none"

    def forward(self, output: Tensor, labels: Tensor) -> Tensor:
        return (output - labels).square().sum(1)


def quiet(work: Callable[[], Any]) -> Any:
    """What work gives; Captum warns of normal use, and loads with its own defaults."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def gradient_rows(net: nn.Module, losses: Tensor, parameters: Mapping[str, nn.Parameter]) -> Tensor:
    """The gradient of each loss by itself: (B, P)."""
    rows = []
    for loss in losses:
        found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
        rows.append(
            torch.cat(
                [
                    (torch.zeros_like(p) if g is None else g).reshape(-1)
                    for g, p in zip(found, parameters.values(), strict=True)
                ]
            )
        )
    return torch.stack(rows)


def by_hand(net: nn.Module, loss: Callable[..., Tensor], batch: Any, parameters: Mapping[str, nn.Parameter]) -> Tensor:
    """The gradient of each example's loss, from a pass with that example alone: (B, P)."""
    parts = []
    for i in range(len(batch[-1])):
        row = [t[i : i + 1] for t in batch]
        losses = loss(net(*row[:-1]), row[-1]).reshape(1, -1).sum(1)
        parts.append(gradient_rows(net, losses, parameters))
    return torch.cat(parts)


def same(got: Any, expected: Any) -> None:
    """Equal structure and values, to 1e-5 of the largest."""
    if isinstance(expected, dict):
        assert set(got) == set(expected)
        for key in expected:
            same(got[key], expected[key])
    elif isinstance(expected, tuple):
        assert getattr(got, "_fields", None) == getattr(expected, "_fields", None)
        assert len(got) == len(expected)
        for own_value, reference in zip(got, expected, strict=True):
            same(own_value, reference)
    else:
        assert got.shape == expected.shape
        scale = max(1.0, float(expected.detach().double().abs().max()))
        torch.testing.assert_close(got.double(), expected.detach().double(), atol=1e-5 * scale, rtol=1e-5)


def same_ranking(got: Any, expected: Any, scores: Tensor) -> None:
    """Equal scores, and indices whose scores these are; ties may stand in any order."""
    same(got.influence_scores, expected.influence_scores)
    assert got.indices.dtype == torch.long
    assert all(len(set(row)) == len(row) for row in got.indices.tolist())
    same(scores.gather(1, got.indices), expected.influence_scores)
