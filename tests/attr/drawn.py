"""Small networks of every kind, and seeded inputs, targets, baselines and masks for comparisons with Captum."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, nn

Scale = Tensor | float


def scaled(out: Tensor, scale: Scale) -> Tensor:
    return out * (scale.view(-1, *[1] * (out.ndim - 1)) if isinstance(scale, Tensor) else scale)


class Linear(nn.Module):
    """Two linear layers and what lies between them."""

    def __init__(self, act: Callable[[], nn.Module] = nn.Tanh) -> None:
        super().__init__()
        self.left, self.act, self.last = nn.Linear(4, 5), act(), nn.Linear(5, 3)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.act(self.left(a))), scale)


class Convolutional(nn.Module):
    """Two convolutions; no activation touches the pooling, where Captum's hooks get into each other's way."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.act = nn.Conv2d(1, 2, 2, padding=1), nn.ReLU()
        self.mid, self.pool, self.last = nn.Conv2d(2, 2, 2), nn.MaxPool2d(2), nn.Linear(2, 3)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.pool(self.mid(self.act(self.left(a)))).flatten(1)), scale)


class Recurrent(nn.Module):
    """A recurrent layer of torch's; its last state is read."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.rnn, self.left, self.act = kind(3, 4, batch_first=True), nn.Linear(4, 5), nn.Tanh()
        self.last = nn.Linear(5, 3)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.act(self.left(self.rnn(a)[0][:, -1]))), scale)


class Embedding(nn.Module):
    """Token ids in; what comes later weighs what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.act, self.last = nn.Embedding(9, 4), nn.Tanh(), nn.Linear(4, 3)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.act(self.left(a).cumsum(1)).mean(1)), scale)


class Inputs(nn.Module):
    """Two inputs that are added."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.sum = nn.Linear(4, 5), nn.Linear(3, 5), Addition_Module()
        self.act, self.left, self.last = nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, a: Tensor, b: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.left(self.act(self.sum(self.one(a), self.other(b))))), scale)


class Outputs(nn.Module):
    """Six numbers for each example, as a matrix: (B, 2, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.act, self.last = nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 6)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        return scaled(self.last(self.act(self.left(a))).unflatten(1, (2, 3)), scale)


class Reused(nn.Module):
    """One linear layer and one activation, each used twice; or, unrolled, two of each with the same weights."""

    def __init__(self, *, unrolled: bool = False) -> None:
        super().__init__()
        self.left, self.act, self.inner, self.last = nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.Linear(5, 3)
        self.unrolled = unrolled
        if unrolled:
            self.again, self.inner_again = nn.ReLU(), nn.Linear(5, 5)

    def forward(self, a: Tensor, scale: Scale = 1.0) -> Tensor:
        hidden = self.act(self.inner(self.left(a)))
        inner, act = (self.inner_again, self.again) if self.unrolled else (self.inner, self.act)
        return scaled(self.last(act(inner(hidden))), scale)

    def unroll(self) -> Reused:
        """The same function without anything used twice."""
        made = Reused(unrolled=True).to(self.last.weight.dtype)
        own = self.state_dict()
        made.load_state_dict({name: own[name.replace("_again", "")] for name in made.state_dict()})
        return made


@dataclass(frozen=True)
class Kind:
    """How to build a network, and the shape of one example of each of its inputs."""

    build: Callable[[random.Random], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = ((4,),)
    ids: int = 0  # inputs are so many different ids
    deep: bool = False  # its output is (B, 2, 3), not (B, 3)


KINDS = {
    "linear": Kind(lambda draw: Linear(draw.choice([nn.Tanh, nn.ReLU, nn.Sigmoid]))),
    "convolutional": Kind(lambda draw: Convolutional(), ((1, 3, 3),)),
    "recurrent": Kind(lambda draw: Recurrent(draw.choice([nn.RNN, nn.GRU, nn.LSTM])), ((3, 3),)),
    "embedding": Kind(lambda draw: Embedding(), ((4,),), ids=9),
    "inputs": Kind(lambda draw: Inputs(), ((4,), (3,))),
    "outputs": Kind(lambda draw: Outputs(), deep=True),
    "in place": Kind(lambda draw: Linear(lambda: nn.ReLU(inplace=True))),
    "reused": Kind(lambda draw: Reused()),
}


class Case:
    """A network and arguments that follow from a seed; what is optional is drawn as well. `single`: in float32 too."""

    def __init__(self, kind: str, seed: str, *, single: bool = True) -> None:
        self.kind, self.draw = kind, random.Random(seed)
        self.seed = self.draw.randrange(2**31)
        torch.manual_seed(self.seed)
        self.dtype = torch.float32 if single and self.draw.random() < 0.25 else torch.float64
        made = KINDS[kind]
        self.net: Any = made.build(self.draw).to(self.dtype).eval()
        self.batch = self.draw.randint(2, 3)
        self.shapes = made.shapes
        self.tensors = tuple(self.some(shape) for shape in made.shapes)
        self.tuple_in = len(self.tensors) > 1 or self.draw.random() < 0.3
        self.inputs: Any = self.shaped(self.tensors)
        self.target: Any = self.draw.choice(self._targets(made.deep))
        self.baselines: Any = self._baselines()
        scale = torch.rand(self.batch, dtype=self.dtype) + 0.5
        self.extra: Any = self.draw.choice([None, None, (scale,), (2.0,)])
        self.mask: Any = self._mask()

    def some(self, shape: tuple[int, ...], rows: int | None = None) -> Tensor:
        """Random rows of an input."""
        rows, ids = rows or self.batch, KINDS[self.kind].ids
        return torch.randint(ids, (rows, *shape)) if ids else torch.randn(rows, *shape, dtype=self.dtype)

    def shaped(self, each: Any) -> Any:
        """One value an input, as the inputs are given: alone or in a tuple."""
        return tuple(each) if self.tuple_in else next(iter(each))

    def _targets(self, deep: bool) -> list[Any]:
        columns = [self.draw.randrange(3) for _ in range(self.batch)]
        if deep:
            return [(1, 2), (0, 1), [(b % 2, column) for b, column in enumerate(columns)]]
        one = columns[0]
        return [one, (one,), columns, torch.tensor(columns), torch.tensor(one), [(c,) for c in columns]]

    def _baselines(self) -> Any:
        number = 3 if KINDS[self.kind].ids else 0.5
        each: Any = {
            "none": None,
            "number": [number] * len(self.shapes),
            "tensor": [self.some(shape) for shape in self.shapes],
            "one row": [self.some(shape, 1) for shape in self.shapes],
            "mixed": [self.some(self.shapes[0]), *[number] * (len(self.shapes) - 1)],
        }[self.draw.choice(["none", "number", "tensor", "one row", "mixed"])]
        return None if each is None else self.shaped(each)

    def distribution(self) -> Any:
        """Baselines to draw from, or a function that gives them."""
        rows = self.draw.randint(2, 4)
        drawn = self.shaped([self.some(shape, rows) for shape in self.shapes])
        return self.draw.choice([drawn, lambda: drawn, lambda inputs: drawn])

    def _mask(self) -> Any:
        each: Any = {
            "none": None,
            "groups": [(torch.arange(t[0].numel()) % 3 + i).view(1, *t.shape[1:]) for i, t in enumerate(self.tensors)],
            "gaps": [(torch.arange(t[0].numel()) % 2 * 2).view(1, *t.shape[1:]) for t in self.tensors],
            "per example": [(torch.arange(t.numel()) // 2 % 4).view(t.shape) for t in self.tensors],
        }[self.draw.choice(["none", "groups", "gaps", "per example"])]
        return None if each is None else self.shaped(each)

    @property
    def mask_of_each(self) -> bool:
        """Has every example a mask of its own?"""
        first = self.mask[0] if isinstance(self.mask, tuple) else self.mask
        return first is not None and len(first) > 1

    def steps(self) -> dict[str, Any]:
        rules = ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"]
        return {
            "n_steps": self.draw.randint(2, 12),
            "method": self.draw.choice(rules),
            "internal_batch_size": self.draw.choice([None, 4 * self.batch]),
        }

    def flag(self) -> bool:
        return self.draw.random() < 0.5

    @property
    def at(self) -> dict[str, Any]:
        return {"target": self.target, "additional_forward_args": self.extra}
