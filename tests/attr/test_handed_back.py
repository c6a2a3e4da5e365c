"""Every attribution name: what it was lent comes back, and what it cannot work with is refused as by Captum.

`tests.attr.calls` says what each name is called with.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import captum.attr as captum
import pytest
import torch
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.calls import ROWS
from tests.attr.drawn import Case
from tests.attr.test_random_comparison import asked, same
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import attached

NAMES = list(ROWS)


def drawn(name: str, number: int = 0) -> tuple[Case, list[Any], dict[str, Any]]:
    """A name with a network it goes with, arguments for the constructor, and for `attribute`."""
    kinds = ROWS[name].kinds
    case = Case("linear" if "linear" in kinds else kinds[0], f"{name} handed back {number}")
    return (case, *ROWS[name].call(case))


# Handed back ----------------------------------------------------------------------------------------------------------


def tensors_in(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def breaking(net: nn.Module, failure: str | None) -> list[Callable[[], Any]]:
    return [partial(net.left.register_forward_hook, BREAKS[failure])] if failure else []


def in_forward(module: nn.Module, args: Any, output: Tensor) -> None:
    raise ZeroDivisionError


def in_backward(module: nn.Module, args: Any, output: Tensor) -> None:
    if output.requires_grad:
        output.register_hook(lambda gradient: 1 / 0)


BREAKS: dict[str, Callable[..., None]] = {"forward": in_forward, "backward": in_backward}


@pytest.mark.parametrize("failure", [None, *BREAKS])
@pytest.mark.parametrize("name", NAMES)
def test_model_and_tensors_come_back_as_they_were(name, failure):
    for number in range(3):
        case, make, how = drawn(name, number)
        case.net.train()  # a mode that must come back too
        given = [*tensors_in(case.inputs), *tensors_in(how)]
        before, copies = fingerprint(case.net), [tensor.clone() for tensor in given]
        with attached(breaking(case.net, failure)), suppress(ZeroDivisionError):
            asked(ours, name, case.net, case, make, how)
            assert failure != "forward" or name == "LayerActivation"  # which may be there before it breaks
        assert fingerprint(case.net) == before
        for tensor, copy in zip(given, copies, strict=True):
            assert torch.equal(tensor, copy)
            assert not tensor.requires_grad
            assert tensor.grad is None
        assert all(parameter.requires_grad for parameter in case.net.parameters())


class Scribbling(nn.Module):
    """A network behind a layer that writes into its arguments."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name) if name == "net" else getattr(super().__getattr__("net"), name)

    def forward(self, *args: Any) -> Any:
        output = self.net(*(arg.clone() if isinstance(arg, Tensor) else arg for arg in args))
        with torch.no_grad():
            for arg in args:
                if isinstance(arg, Tensor):
                    arg.detach().fill_(1)
        return output


@pytest.mark.parametrize("name", NAMES)
def test_a_function_that_changes_its_arguments_gets_copies(name):
    """Scores are those of the function that changes nothing, and the caller's tensors stay as they are."""
    for number in range(3):
        case, make, how = drawn(name, number)
        given = [*tensors_in(case.inputs), *tensors_in(how)]
        copies = [tensor.clone() for tensor in given]
        expected = asked(ours, name, case.net, case, make, how)
        same(asked(ours, name, Scribbling(case.net), case, make, how), expected)
        assert all(map(torch.equal, given, copies))


# Refused --------------------------------------------------------------------------------------------------------------

#: For each argument, values that make no sense.
SENSELESS: dict[str, list[Any]] = {
    "target": [99, [0] * 9, "cat", (0, 0, 0, 0)],
    "baselines": [(torch.zeros(1, 4),) * 3, "zero"],
    "layer_baselines": ["zero"],
    "neuron_selector": [999, (0, 0, 0, 0, 0)],
    "method": ["simpson"],
    "n_steps": [0],
    "perturbations_per_eval": [0, 1.5],
    "feature_mask": [(torch.zeros(1, 1, dtype=torch.long),) * 5],
    "sliding_window_shapes": [(99,), ((1,),) * 4],
    "strides": [99],
    "nt_type": ["average"],
    "stdevs": [(0.1,) * 4],
    "grad_kwargs": [{"nonsense": 1}],
    "custom_attribution_func": [lambda a, b, c, d: a],
    "interpolate_mode": ["guess"],
    "inputs": [3.0, "text"],
}
#: Where Captum does not say what is wrong, but stumbles over it: a shape, a zero, an attribute of what is not there.
STUMBLES = (RuntimeError, ZeroDivisionError, AttributeError)
#: The same, by other types.
STUMBLES_ALSO = {("FeaturePermutation", "feature_mask"), ("LimeBase", "inputs"), ("LayerActivation", "inputs")}


def senseless(name: str) -> Iterator[tuple[str, Any]]:
    taken = inspect.signature(getattr(captum, name).attribute).parameters
    return ((key, value) for key, values in SENSELESS.items() if key in taken for value in values)


def refusal(lib: Any, name: str, key: str, value: Any) -> Exception | None:
    case, make, how = drawn(name)
    net = case.net if lib is ours or not ROWS[name].plain else ROWS[name].plain(case.net)
    if key == "inputs":
        case.inputs = value
    else:
        how[key] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            asked(lib, name, net, case, make, how)
        except Exception as error:
            return error
    return None


@pytest.mark.parametrize("name", NAMES)
def test_is_refused_by_an_error_of_captums_type(name):
    told = 0
    for key, value in senseless(name):
        reference = refusal(captum, name, key, value)
        stumbled = isinstance(reference, STUMBLES) and not isinstance(reference, NotImplementedError)
        if reference is None or stumbled or (name, key) in STUMBLES_ALSO:
            continue
        own = refusal(ours, name, key, value)
        assert isinstance(own, type(reference)), f"{key}={value!r}: {reference!r} is Captum's, ours is {own!r}"
        assert len(str(own)) > 20, f"{key}={value!r}: {own!r} does not say what is wrong"
        told += 1
    assert told or name in {"LRP", "LayerLRP", "LayerActivation"}  # there Captum checks nothing


# In other modes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_inference_mode_around_a_call_is_left_inside(name):
    """Also with tensors that were made in it, in which no gradient passes."""
    for number in range(3):
        case, make, how = drawn(name, number)
        expected = asked(ours, name, case.net, case, make, how)
        with torch.inference_mode():
            case.inputs = copied(case.inputs)
            scores = asked(ours, name, case.net, case, make, {key: copied(value) for key, value in how.items()})
            assert torch.is_inference_mode_enabled()
        same(scores, expected)


def copied(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(copied, value))
    return value.clone() if isinstance(value, Tensor) else value


@pytest.mark.parametrize("name", NAMES)
def test_a_compiled_network_runs_as_it_was_written(name):
    """No graph of it is compiled: hooks and rules would not be in it."""
    compiled = []

    def backend(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    case, make, how = drawn(name)
    expected = asked(ours, name, case.net, case, make, how)
    same(asked(ours, name, torch.compile(case.net, backend=backend), case, make, how), expected)
    assert not compiled
