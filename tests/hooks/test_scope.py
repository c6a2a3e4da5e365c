"""Hooks that come off, and what they catch."""

import threading
from functools import partial

import pytest
import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import ModulePoint, attached, captured, modules_of, replaced, tensors_at


class Net(nn.Module):
    """A linear layer called twice, an in-place ReLU, a tuple, a ModelOutput and keyword arguments."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.relu, self.pair, self.wrap, self.unused = (
            nn.Linear(3, 3), nn.ReLU(inplace=True), Pair(), Wrap(), nn.Linear(1, 1),
        )  # fmt: skip

    def forward(self, x):
        first = self.shared(x)
        hidden = self.relu(first)
        left, note, right = self.pair(hidden)
        assert note == "kept"
        return self.shared(self.wrap(hidden_states=left * right).last_hidden_state)


class Pair(nn.Module):
    def forward(self, x):
        return x + 1, "kept", x * 2


class Wrap(nn.Module):
    def forward(self, *, hidden_states):
        return BaseModelOutput(last_hidden_state=hidden_states - 1)


@pytest.fixture
def net():
    return Net()


X = torch.tensor([[1.0, -2.0, 3.0]])


def by_hand(net, x):
    first = nn.functional.linear(x, net.shared.weight, net.shared.bias)
    hidden = first.clamp_min(0)
    left, right = hidden + 1, hidden * 2
    inner = left * right - 1
    return first, left, right, inner, nn.functional.linear(inner, net.shared.weight, net.shared.bias)


def test_a_registration_that_fails_takes_the_others_off(net):
    before = fingerprint(net)

    def fails():
        raise RuntimeError("no")

    hook = partial(net.relu.register_forward_hook, lambda *_: None)
    with pytest.raises(RuntimeError, match="no"), attached([hook, hook, fails]):
        pass
    assert fingerprint(net) == before


@pytest.mark.parametrize("differentiable", [False, True])
def test_captures_outputs_inputs_calls_tuples_and_model_outputs(net, differentiable):
    outputs = [ModulePoint(net.shared), ModulePoint(net.shared, call=1), ModulePoint(net.pair), ModulePoint(net.wrap)]
    sites = [*outputs, ModulePoint(net.wrap, "input"), ModulePoint(net.relu, "input")]
    before = fingerprint(net)
    with captured(sites, differentiable=differentiable) as result:
        out = net(X)
    first, left, right, inner, last = by_hand(net, X)
    expected = [(first,), (last,), (left, right), (inner,), (left * right,), (first,)]
    for got, want in zip(result.tensors(), expected, strict=True):
        for a, b in zip(got, want, strict=True):
            torch.testing.assert_close(a, b)  # the first is not what ReLU made of it in place
    torch.testing.assert_close(out, last)
    assert fingerprint(net) == before


def test_captured_nodes_can_be_differentiated(net):
    with captured([ModulePoint(net.shared)], differentiable=True) as result:
        out = net(X).sum()
    ((first,),) = result.tensors()
    (gradient,) = torch.autograd.grad(out, first)
    hidden = first.detach().clamp_min(0)  # out = Σ W(2h² + 2h − 1): slope (4h + 2) Wᵀ1 where h > 0
    torch.testing.assert_close(gradient, (first > 0) * (4 * hidden + 2) * net.shared.weight.sum(0))


def test_a_module_that_is_not_reached_is_named(net):
    with captured([ModulePoint(net.unused, name="unused")]) as result:
        net(X)
    with pytest.raises(InvalidInput, match="output of unused was not reached"):
        result.tensors()


def test_replaced_output_input_and_call(net):
    other = torch.tensor([[0.5, 1.0, 2.0]])
    with torch.no_grad():
        with replaced([(ModulePoint(net.relu), [other])]):
            torch.testing.assert_close(
                net(X), nn.functional.linear((other + 1) * 2 * other - 1, net.shared.weight, net.shared.bias)
            )
        with replaced([(ModulePoint(net.shared, call=1), [other])]):
            torch.testing.assert_close(net(X), other)
        with replaced([(ModulePoint(net.wrap, "input"), [other])]):
            torch.testing.assert_close(net(X), nn.functional.linear(other - 1, net.shared.weight, net.shared.bias))
        with replaced([(ModulePoint(net.pair), [other, other])]):
            torch.testing.assert_close(
                net(X), nn.functional.linear(other * other - 1, net.shared.weight, net.shared.bias)
            )


def test_a_leaf_can_be_put_before_an_operation_in_place(net):
    leaf = X.clone().requires_grad_()
    with replaced([(ModulePoint(net.shared), [leaf])]):
        net(X).sum().backward()
    assert leaf.grad is not None
    assert torch.equal(leaf.detach(), X)


def test_replacing_with_the_wrong_number_is_refused(net):
    with (
        pytest.raises(InvalidInput, match="carries 2 floating-point tensors; 1"),
        replaced([(ModulePoint(net.pair), [X])]),
    ):
        net(X)


def test_threads_do_not_see_each_others_data(net):
    before = fingerprint(net)
    with captured([ModulePoint(net.pair)]) as result, replaced([(ModulePoint(net.relu), [X])]):
        found = {}
        thread = threading.Thread(target=lambda: found.update(out=net(X)))
        thread.start()
        thread.join()
        assert not result.values
    torch.testing.assert_close(found["out"], by_hand(net, X)[-1])
    assert fingerprint(net) == before


def test_evaluating_sites_stops_early_and_honours_replacements(net):
    ran = []
    before = fingerprint(net)
    with attached([lambda: net.wrap.register_forward_hook(lambda *_: ran.append(1))]), torch.no_grad():
        ((left, right),) = tensors_at(
            [ModulePoint(net.pair)], lambda: net(X), replacements=[(ModulePoint(net.relu), [X])]
        )
    torch.testing.assert_close(left, X + 1)
    torch.testing.assert_close(right, X * 2)
    assert not ran
    assert fingerprint(net) == before
    with pytest.raises(ZeroDivisionError):
        tensors_at([ModulePoint(net.pair)], lambda: 1 / 0)
    assert fingerprint(net) == before


def test_what_passes_once_for_a_batch_is_caught_for_every_row(net):
    with captured([ModulePoint(net.pair)], differentiable=True, rows=4) as result:
        net(X)
    assert [t.shape[0] for t in result.tensors()[0]] == [4, 4]


def test_all_modules_of_a_model_each_once():
    shared = nn.Linear(2, 2)
    net = nn.Sequential(shared, nn.Sequential(nn.ReLU(), shared))
    net.register_module("none", None)

    shared._modules["around"] = net  # a circle
    assert modules_of(net)[0] is net
    assert set(modules_of(net)) == set(net.modules())
    assert len(modules_of(net)) == len(list(net.modules())) == 4
    net[1].append(nn.Tanh())
    assert set(modules_of(net)) == set(net.modules())
