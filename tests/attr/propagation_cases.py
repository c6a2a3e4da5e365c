"""Random networks and options for methods by gradient rules, and how two results are compared."""

from typing import Any

import captum.attr as captum
import torch
from captum.attr._utils.custom_modules import Addition_Module
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import xai_nlp.attr as ours

quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


TOLERANCE = 1e-5


ACTIVATIONS: dict[str, Any] = {
    "relu": nn.ReLU,
    "in place": lambda: nn.ReLU(inplace=True),
    "elu": nn.ELU,
    "leaky": lambda: nn.LeakyReLU(0.2),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softplus": nn.Softplus,
}


class Dense(nn.Module):
    """One input or two, that are added."""

    def __init__(self, width: int, classes: int, act: Any, *, softmax: bool) -> None:
        super().__init__()
        self.left, self.right, self.sum = nn.Linear(4, width), nn.Linear(3, width), Addition_Module()
        self.act1, self.mid, self.act2 = act(), nn.Linear(width, width), act()
        self.last = nn.Linear(width, classes)
        self.soft = nn.Softmax(1) if softmax else None

    def forward(self, a: Tensor, b: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        hidden = self.left(a) if b is None else self.sum(self.left(a), self.right(b))
        out = self.last(self.act2(self.mid(self.act1(hidden))))
        out = out if self.soft is None else self.soft(out)
        return out if scale is None else out * scale[:, None]


class Convolving(nn.Module):
    """Two convolutions; no activation touches the pooling, where Captum's hooks are in each other's way (see below)."""

    def __init__(self, channels: int, classes: int, act: Any, *, flat: bool) -> None:
        super().__init__()
        conv, pool = (nn.Conv1d, nn.MaxPool1d) if flat else (nn.Conv2d, nn.MaxPool2d)
        self.left, self.act1 = conv(2, channels, 3, padding=1), act()
        self.mid, self.pool = conv(channels, channels, 2), pool(2)
        self.wide, self.act2 = nn.Linear(channels * (2 if flat else 4), 4), act()
        self.last = nn.Linear(4, classes)

    def forward(self, a: Tensor, scale: Tensor | None = None) -> Tensor:
        out = self.pool(self.mid(self.act1(self.left(a))))
        out = self.last(self.act2(self.wide(out.flatten(1))))
        return out if scale is None else out * scale[:, None]


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any, acts: Any = tuple(ACTIVATIONS), kinds: Any = ("dense", "2d", "1d")) -> None:
        torch.manual_seed(draw(st.integers(0, 10_000)))
        kind, act = draw(st.sampled_from(kinds)), ACTIVATIONS[draw(st.sampled_from(acts))]
        self.batch, classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
        self.tuple_in = draw(st.booleans())
        self.softmax = draw(st.booleans()) and "softmax" in acts
        self.net: Any
        if kind == "dense":
            self.net = Dense(draw(st.integers(2, 5)), classes, act, softmax=self.softmax)
            shapes: list[tuple[int, ...]] = [(4,), (3,)] if self.tuple_in else [(4,)]
        else:
            self.net = Convolving(draw(st.integers(1, 3)), classes, act, flat=kind == "1d")
            shapes = [(2, 5) if kind == "1d" else (2, 5, 5)]
        self.net = self.net.double().eval()
        tensors = tuple(torch.randn(self.batch, *shape).double() for shape in shapes)
        others = tuple(torch.randn(3, *shape).double() for shape in shapes)
        self.inputs = tensors if self.tuple_in else tensors[0]
        self.drawn = others if self.tuple_in else others[0]  # a distribution of baselines
        each = {
            "none": None,
            "number": (0.5, -1.0)[: len(shapes)],
            "tensor": tuple(t.flip(0) * 0.3 for t in tensors),
            "one row": tuple(t[:1] for t in others),
        }[draw(st.sampled_from(["none", "number", "tensor", "one row"]))]
        self.baselines = each if self.tuple_in or each is None else each[0]
        column = draw(st.integers(0, classes - 1))
        columns = [(column + i) % classes for i in range(self.batch)]
        forms = [column, (column,), columns, torch.tensor(columns), torch.tensor(column), [(c,) for c in columns]]
        self.target = draw(st.sampled_from(forms + [None] * (classes == 1)))
        none = (None,) if kind == "dense" and not self.tuple_in else ()
        self.extra = draw(st.sampled_from([None, (*none, torch.rand(self.batch).double() + 0.5)]))

    def layer(self, name: str) -> nn.Module:
        return getattr(self.net, name)


cases = st.composite(lambda draw: Case(draw))()


def same(got: Any, expected: Any, tolerance: float = TOLERANCE) -> None:
    assert type(got) is type(expected)
    if not isinstance(expected, Tensor):
        assert len(got) == len(expected)
        for own, reference in zip(got, expected, strict=True):
            same(own, reference, tolerance)
        return
    assert got.shape == expected.shape
    scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
    torch.testing.assert_close(got, expected.detach(), atol=tolerance * scale, rtol=0)


def both(name: str, case: Case, *make: Any, init: dict[str, Any] | None = None, **call: Any) -> None:
    expected = getattr(captum, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    got = getattr(ours, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    same(got, expected)


def selected(case: Case, layer: str, kind: str) -> Any:
    """A neuron, the sum of two, or a function of the layer."""
    axes = (case.inputs[0] if case.tuple_in else case.inputs).ndim - 1 if layer == "mid" else 1
    index: Any = {"int": 0, "slice": slice(0, 2)}.get(kind)
    return (lambda hidden: hidden.flatten(1).sum(1)) if index is None else (*[0] * (axes - 1), index)


kinds = st.sampled_from(["int", "slice", "function"])
