"""Rules remembered for a model: whatever is done to it, its gradients are those of a model that is new."""

import copy
import gc
import weakref
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from xai_nlp.hooks.gradient_rules import Call, with_gradient_of
from xai_nlp.hooks.model_rules import Memory, ModelRules
from xai_nlp.hooks.model_state import fingerprint, frozen_model

X = torch.tensor([[-1.0, 2.0, 3.0]])


def tripled(call: Call) -> Tensor:
    with torch.no_grad():
        y = call.run()
    return with_gradient_of(y, 3 * call.x)


def negated(nodes):
    for node in nodes:
        node.register_hook(lambda to_inputs, to_outputs: tuple(-gradient for gradient in to_inputs))


class Branch(nn.Module):
    """Which operations run depends on a flag, on the mode and on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)
        self.double_tanh = False

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first(x))
        x = torch.tanh(torch.tanh(x)) if self.double_tanh else x
        x = torch.sin(x) if self.training else x
        return self.last(torch.tanh(x) if x.shape[1] > 9 else x)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Branch().eval()


@pytest.fixture
def memory():
    return weakref.WeakKeyDictionary()


def rules(memory: Memory, looked_up: list[str] | None = None) -> ModelRules:
    def noted(call: Call) -> Tensor:
        if looked_up is not None:
            looked_up.append(call.name)
        return tripled(call)

    return ModelRules(
        rules={"tanh": noted},
        module_rule=lambda module: noted if isinstance(module, nn.Sigmoid) else None,
        graph_rules={"SinBackward0": negated},
        memory=memory,
    )


def gradient(net: nn.Module, memory: Memory) -> Tensor:
    x = X.clone().requires_grad_()

    def work(by_rules):
        return torch.autograd.grad(by_rules(lambda: net(x)).sum(), x)[0]

    with frozen_model(net):
        return rules(memory).apply(work)


def replace_module(net):
    net.act = nn.Sequential(nn.Tanh(), nn.Tanh())


def replace_module_by_a_single_operation(net):
    net.act = nn.Sequential(nn.Sigmoid(), nn.Sigmoid())


def take_the_other_branch(net):
    net.double_tanh = True


def train(net):
    net.train()


def hook(net):
    net.last.register_forward_hook(lambda module, args, output: torch.tanh(output))


def weights_that_are_trained(net):
    net.first.weight.requires_grad_(False)


def another_forward(net):
    net.last.forward = lambda x: torch.tanh(x)


CHANGES = [
    replace_module,
    replace_module_by_a_single_operation,
    take_the_other_branch,
    train,
    hook,
    weights_that_are_trained,
    another_forward,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_model_is_as_a_new_one(change, net, memory):
    before = gradient(net, memory)
    assert torch.equal(gradient(net, memory), before)
    change(net)
    state = fingerprint(net)
    new = gradient(copy.deepcopy(net), weakref.WeakKeyDictionary())
    assert change is weights_that_are_trained or not torch.allclose(new, before)
    for _ in range(2):
        assert torch.equal(gradient(net, memory), new)
    assert fingerprint(net) == state


def test_later_passes_look_up_the_operations_of_one_module_alone(net, memory):
    gradient(net, memory)
    (known,) = memory.values()
    assert list(known.modules) == [net.act]
    assert not known.outside


def test_a_module_that_counts_as_one_operation_is_run_as_one_later_too(net, memory):
    net.act = nn.Sigmoid()
    slopes = [gradient(net, memory) for _ in range(3)]
    assert torch.equal(slopes[0], slopes[1]) and torch.equal(slopes[1], slopes[2])
    expected = 3 * net.last.weight.sum(0) @ net.first.weight
    torch.testing.assert_close(slopes[0][0], expected.detach())


def test_operations_outside_of_modules_have_their_rules_in_every_pass(net, memory):
    x = X.clone().requires_grad_()

    def work(by_rules):
        return torch.autograd.grad(by_rules(lambda: torch.tanh(x) + 0 * net(x)).sum(), x)[0]

    with frozen_model(net):
        for _ in range(3):
            assert rules(memory).apply(work).tolist() == [[3, 3, 3]]


def test_a_model_that_is_not_frozen_is_looked_up_every_time(net, memory):
    x = X.clone().requires_grad_()

    def work(by_rules):
        return torch.autograd.grad(by_rules(lambda: net(x)).sum(), x)[0]

    for _ in range(2):
        slope = rules(memory).apply(work)
    assert not memory
    torch.testing.assert_close(slope, gradient(net, memory))


def test_what_is_remembered_keeps_no_model_alive(memory):
    net = Branch()
    gradient(net, memory)
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    assert not memory


@pytest.mark.parametrize("known", [False, True])
def test_the_model_comes_back_after_an_error(net, memory, known):
    if known:
        gradient(net, memory)
    before = fingerprint(net)

    def fail(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), frozen_model(net):
        rules(memory).apply(lambda by_rules: by_rules(lambda: fail(net(X.clone().requires_grad_()))))
    failing = ModelRules(rules={"tanh": fail}, module_rule=lambda module: None, graph_rules={}, memory=memory)
    with pytest.raises(ZeroDivisionError), frozen_model(net):
        failing.apply(lambda by_rules: by_rules(partial(net, X.clone().requires_grad_())))
    assert fingerprint(net) == before
