"""Random networks, inputs and options for methods by gradients, and how two results are compared."""

import warnings
from typing import Any

import captum.attr as captum
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import xai_nlp.attr as ours
from tests.attr.networks import Net

TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-9}


METHODS = ["gausslegendre", "riemann_left", "riemann_right", "riemann_middle", "riemann_trapezoid"]


quick = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


class Case:
    """A network, inputs and arguments, drawn once and given to both."""

    def __init__(self, draw: Any) -> None:
        self.seed = draw(st.integers(0, 10_000))
        self.dtype = draw(st.sampled_from([torch.float32, torch.float64]))
        self.tuple_in = draw(st.booleans())
        self.batch = draw(st.integers(1, 4))
        classes = draw(st.integers(1, 4))
        torch.manual_seed(self.seed)
        self.net = Net(draw(st.integers(1, 5)), classes, smooth=draw(st.booleans())).to(self.dtype)
        a, b = (torch.randn(self.batch, n, dtype=self.dtype) for n in (4, 3))
        self.inputs = (a, b) if self.tuple_in else a
        column = draw(st.integers(0, classes - 1))
        columns = [(column + i) % classes for i in range(self.batch)]
        self.target = draw(
            st.sampled_from(
                [column, (column,), columns, torch.tensor(columns), torch.tensor(column), [(c,) for c in columns]]
                + [None] * (classes == 1)
            )
        )
        kind = draw(st.sampled_from(["none", "number", "tensor", "one row"]))
        self.baselines = {
            "none": None,
            "number": (0.5, -1) if self.tuple_in else 0.5,
            "tensor": (a.flip(0), b * 0.1) if self.tuple_in else a.flip(0) * 0.3,
            "one row": (a[:1] * 0.2, b[:1]) if self.tuple_in else a[:1] * 0.2,
        }[kind]
        extra = torch.rand(self.batch, dtype=self.dtype) + 0.5
        none = () if self.tuple_in else (None,)
        self.extra = draw(st.sampled_from([None, (*none, extra), (*none, 2.0)]))
        self.steps = dict(
            n_steps=draw(st.integers(2, 20)),
            method=draw(st.sampled_from(METHODS)),
            internal_batch_size=draw(st.sampled_from([None, 4 * self.batch, 7 * self.batch])),
        )


def same(got: Any, expected: Any, dtype: torch.dtype, tolerance: float | None = None) -> None:
    """Equal structure, shapes and values; relative to the largest score where that is above 1."""
    assert type(got) is type(expected), (type(got), type(expected))
    if isinstance(expected, torch.Tensor):
        assert got.shape == expected.shape
        scale = max(1.0, float(expected.detach().abs().max())) if expected.numel() else 1.0
        if expected.dtype != got.dtype:  # Captum's Occlusion turns float64 into float32; ours keeps it
            assert (expected.dtype, got.dtype) == (torch.float32, torch.float64)
            expected = expected.double()
        torch.testing.assert_close(got, expected.detach(), atol=(tolerance or TOLERANCE[dtype]) * scale, rtol=0)
        return
    assert len(got) == len(expected)
    for own, reference in zip(got, expected, strict=True):
        same(own, reference, dtype, tolerance)


def both(
    name: str, case: Case, *make: Any, init: dict[str, Any] | None = None, tolerance: float | None = None, **call: Any
):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = getattr(captum, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    got = getattr(ours, name)(case.net, *make, **(init or {})).attribute(case.inputs, **call)
    same(got, expected, case.dtype, tolerance)


cases = st.composite(lambda draw: Case(draw))()


SINGLE = 1e-6  # float64 too: Captum's weights, and its Riemann nodes, are float32


LAYERS = {
    "one": lambda net: net.first,
    "two tensors": lambda net: net.pair,
    "list": lambda net: [net.first, net.second],
    "nested list": lambda net: [net.first, net.pair],
    "last": lambda net: net.out,
}


SELECTORS = {
    "int": 0,
    "tuple": (0,),
    "slice": (slice(0, 2),),
    "function": lambda hidden: (hidden if isinstance(hidden, torch.Tensor) else hidden[0])[:, 0],
}
