"""Networks that give probabilities, and random arguments of attacks on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import captum.robust as captum
import torch
from torch import Tensor, nn

import xai_nlp.robust as ours
from tests.attr.drawn import Case

BOTH = (ours, captum)


class Probabilities(nn.Module):
    """A network's outputs as probabilities."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *args: Any) -> Tensor:
        return self.net(*args).softmax(-1)


def case_of(kind: str, seed: str) -> Case:
    """A network that gives probabilities, with inputs and the rest."""
    case = Case(kind, seed, single=False)
    case.net = Probabilities(case.net)
    return case


def zeros_and_ones(case: Case) -> Any:
    """A mask of the inputs' shapes, or none."""
    return case.draw.choice([None, case.shaped([torch.rand(t.shape).round() for t in case.tensors])])


def cross_entropy(output: Tensor, labels: Tensor) -> Tensor:
    return nn.functional.nll_loss(output.log(), labels, reduction="none")


def aimed(case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of an attack's class and of `perturb`: a target, and a loss that goes with it."""
    make: dict[str, Any] = {"lower_bound": -2.0, "upper_bound": 1.5} if case.flag() else {}
    target = case.target
    if case.kind != "outputs" and case.flag():
        make["loss_func"] = cross_entropy
        target = torch.tensor([case.draw.randrange(3) for _ in range(case.batch)])
    how = {
        "target": target, "additional_forward_args": case.extra, "targeted": case.flag(),
        "mask": zeros_and_ones(case),
    }  # fmt: skip
    return make, how


def from_seed(work: Callable[[], Any], seed: int) -> Any:
    """What work gives when torch's generator starts from the seed; Captum warns of what it changes."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


def both(call: Callable[[Any], Any], seed: int = 0) -> tuple[Any, Any]:
    """What ours gives and what Captum's does, from the same seed."""
    ours_too, captums = (from_seed(partial(call, lib), seed) for lib in BOTH)
    return ours_too, captums


def same(got: Any, expected: Any) -> None:
    """Equal structure and values, to 1e-5 of the largest."""
    if isinstance(expected, Tensor):
        assert got.shape == expected.shape
        torch.testing.assert_close(got.double(), expected.detach().double(), atol=1e-5, rtol=1e-5)
    elif isinstance(expected, dict):
        assert set(got) == set(expected)
        for key in expected:
            same(got[key], expected[key])
    elif isinstance(expected, tuple):
        assert len(got) == len(expected)
        assert getattr(got, "_fields", None) == getattr(expected, "_fields", None)
        for own, reference in zip(got, expected, strict=True):
            same(own, reference)
    elif isinstance(expected, float):
        assert abs(got - expected) < 1e-9
    else:
        assert got == expected
