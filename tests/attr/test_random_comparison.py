"""Every attribution name of Captum's, on every kind of network that it takes, at random: 3,000 cases and more.

`tests.attr.calls` says what each name is called with. Both get the same seeds, so what is sampled is the same sample.
Scores are equal to 1e-5 of the largest (of 1, where that is less). Captum is given the networks as they are, but for
two things that it cannot do and ours can, where it is given the same function written in another way (`Row.plain`): an
operation in place behind the layer that it re-enters, and modules used twice.
"""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.calls import EACH, LEAST, ROWS, Row
from tests.attr.drawn import Case

TOTAL = 3000
TOLERANCE = 1e-5


def same(got: Any, wanted: Any) -> None:
    """Equal structure, shapes and values; relative to the largest score where that is above 1."""
    assert type(got) is type(wanted), (type(got), type(wanted))
    if not isinstance(wanted, Tensor):
        assert len(got) == len(wanted)
        for mine, theirs in zip(got, wanted, strict=True):
            same(mine, theirs)
        return
    assert got.shape == wanted.shape
    scale = max(1.0, float(wanted.detach().abs().max())) if wanted.numel() else 1.0
    torch.testing.assert_close(got.double(), wanted.detach().double(), atol=TOLERANCE * scale, rtol=0)


def made(lib: Any, name: str, net: nn.Module, make: list[Any]) -> Any:
    """A library's attribution of that name; layers go by their names, since Captum may be given another network."""
    if name == "NoiseTunnel":
        return lib.NoiseTunnel(made(lib, make[0], net, make[1]))
    return getattr(lib, name)(net, *(getattr(net, item) if isinstance(item, str) else item for item in make))


def asked(lib: Any, name: str, net: nn.Module, case: Case, make: list[Any], how: dict[str, Any]) -> Any:
    """What a library answers, from the same state of both generators."""
    torch.manual_seed(case.seed)
    np.random.seed(case.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return made(lib, name, net, make).attribute(case.inputs, **how)


def says_something(scores: Any) -> bool:
    """Is there a score other than zero?"""
    return bool(scores.abs().max() > 1e-3) if isinstance(scores, Tensor) else any(map(says_something, scores))


def compare(name: str, row: Row, kind: str, number: int) -> bool:
    """Are they equal? Returns whether that means much."""
    case = Case(kind, f"{name} {kind} {number}", single=row.single)
    make, how = row.call(case)
    theirs = case.net if row.plain is None else row.plain(case.net)
    wanted = asked(captum, name, theirs, case, make, how)
    same(asked(ours, name, case.net, case, make, how), wanted)
    return says_something(wanted)


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, row in ROWS.items() for kind in row.kinds])
def test_is_captums(name, kind):
    telling = 0
    for number in range(ROWS[name].each):
        try:
            telling += compare(name, ROWS[name], kind, number)
        except Exception as error:
            raise AssertionError(f"{name} on {kind}, case {number}: {error}") from error
    assert telling >= ROWS[name].each / 4  # ReLU may shut everything off


#: Asked otherwise than a network with tensors, and compared with Captum there: tests/attr/test_llm.py, test_remote.py
#: and test_helpers.py.
ELSEWHERE = {"LLMAttribution", "LLMGradientAttribution", "RemoteLLMAttribution", "DataLoaderAttribution"}


def test_every_name_is_compared_often_enough():
    """Names are found, not listed: what attributes is a class of Captum's that has its own `attribute`."""
    classes = {name: getattr(captum, name) for name in captum.__all__ if inspect.isclass(getattr(captum, name))}
    kinds = {name for name in classes if name.endswith("Attribution")} - ELSEWHERE
    attributing = {name for name, cls in classes.items() if callable(getattr(cls, "attribute", None))}
    assert set(ROWS) == attributing - kinds - ELSEWHERE
    counts = {name: row.each * len(row.kinds) for name, row in ROWS.items()}
    assert min(counts.values()) >= LEAST
    assert sum(counts.values()) >= TOTAL


#: At a layer that is used twice Captum's hook comes by twice: it keeps the last call's tensors, and where the layer's
#: own tensors move it puts the same points in the place of both calls, which is no path of the model. Ours is asked at
#: the first call, as of a model with two layers in its place.
TWICE = ["LayerActivation", "LayerGradientXActivation", "LayerIntegratedGradients", "LayerConductance", "LayerGradCam"]


@pytest.mark.parametrize("name", TWICE)
def test_a_layer_used_twice_is_asked_at_its_first_call(name):
    for number in range(EACH):
        case = Case("reused", f"{name} twice {number}", single=False)
        how = {"additional_forward_args": case.extra} if name == "LayerActivation" else case.at
        wanted = asked(captum, name, case.net.unroll(), case, ["act"], how)
        same(asked(ours, name, case.net, case, ["act"], how), wanted)
