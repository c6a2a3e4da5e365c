"""Operations found however they are called, gradients changed and values kept, and nothing left behind."""

import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as registry

from xai_nlp.hooks.gradient_rules import Call, depends_on_input, gradient_rules, slope_rule, with_gradient_of
from xai_nlp.hooks.graph_rules import graph_nodes
from xai_nlp.hooks.model_state import fingerprint, frozen_model

X = torch.tensor([[-1.0, 2.0, 3.0]])


def tripled(call: Call) -> Tensor:
    y = call.run()
    return with_gradient_of(y, 3 * call.x)


def test_gradients_may_be_scaled_in_all_rows_or_in_both_halves_alike():
    x, value = torch.ones(4, 2, requires_grad=True), torch.zeros(4, 2)
    for factor in (torch.arange(8.0).view(4, 2), torch.arange(4.0).view(2, 2)):
        y = with_gradient_of(value, x, factor)
        y += 1  # what is given out may be written on
        expected = factor if len(factor) == 4 else factor.repeat(2, 1)
        assert torch.equal(torch.autograd.grad(y.sum(), x)[0], expected)
        assert torch.equal(y, torch.ones(4, 2))
        value = torch.zeros(4, 2)


SPELLINGS: dict[str, Any] = {
    "module": nn.ReLU(),
    "module in place": lambda x: nn.ReLU(inplace=True)(x + 0),
    "functional": F.relu,
    "functional in place": lambda x: F.relu(x + 0, True),
    "keyword": lambda x: F.relu(input=x),
    "torch": torch.relu,
    "method": lambda x: x.relu(),
    "method in place": lambda x: (x + 0).relu_(),
    "torch in place": lambda x: torch.relu_(x + 0),
    "functional, underscore": lambda x: F.relu_(x + 0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_rule_for_every_spelling(spelling):
    x = X.clone().requires_grad_()
    with gradient_rules({"relu": tripled}):
        y = SPELLINGS[spelling](x)
    assert torch.equal(y, X.clamp(min=0))
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full_like(X, 3))
    y = SPELLINGS[spelling](x)  # as before
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], (X > 0).float())


def test_what_is_written_in_place_is_seen_under_its_other_names():
    x = X.clone().requires_grad_()
    with gradient_rules({"relu": tripled}):
        a = x + 0
        view = a[:, :2]
        a.relu_()
        a += 1
    assert torch.equal(view, X[:, :2].clamp(min=0) + 1)
    assert torch.equal(torch.autograd.grad(view.sum(), x)[0], torch.tensor([[3.0, 3.0, 0.0]]))


@pytest.mark.parametrize(
    ("name", "run"),
    {
        "add": lambda x, y: x + y,
        "sub": lambda x, y: x - y,
        "mul": lambda x, y: torch.multiply(x, y),
        "div": lambda x, y: torch.true_divide(x, y),
        "matmul": lambda x, y: x @ y.T,
        "linear": lambda x, y: nn.Linear(3, 2)(x),
        "softmax": lambda x, y: x.softmax(-1),
        "gelu": lambda x, y: nn.GELU()(x),
        "layer_norm": lambda x, y: nn.LayerNorm(3)(x),
        "max_pool1d": lambda x, y: nn.MaxPool1d(2)(x),
        "conv1d": lambda x, y: nn.Conv1d(1, 1, 1)(x[:, None]),
        "batch_norm": lambda x, y: nn.BatchNorm1d(3).eval()(x),
        "einsum": lambda x, y: torch.einsum("bi,bi->b", x, y),
        "cat": lambda x, y: torch.concat([x, y]),
        "scaled_dot_product_attention": lambda x, y: F.scaled_dot_product_attention(x, y, y),
    }.items(),
)
def test_names_of_operations(name, run):
    called = []

    def note(call: Call) -> Any:
        called.append(call.name)
        return call.run()

    x, y = X.clone().requires_grad_(), X.clone().requires_grad_()
    with gradient_rules({name: note}):
        run(x, y)
    assert name in called


def test_functions_made_of_operations_are_looked_into():
    called = set()

    def note(call: Call) -> Any:
        called.add(call.name)
        return call.run()

    torch.manual_seed(0)
    attention = nn.MultiheadAttention(4, 2, batch_first=True)
    x = torch.randn(2, 3, 4, requires_grad=True)
    expected = attention(x, x, x)[0]
    with frozen_model(attention), gradient_rules({"softmax": note, "bmm": note, "linear": note, "normalize": note}):
        got = attention(x, x, x)[0]
    torch.testing.assert_close(got, expected)
    assert {"softmax", "linear"} <= called


def test_unknown_operations_are_told_of_with_the_module_that_runs_them():
    reports = []
    layer = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    with gradient_rules(
        {"linear": Call.run}, on_unknown=lambda call, output: reports.append((call.name, type(call.module)))
    ):
        layer(X.clone().requires_grad_())
    assert reports == [("tanh", nn.Tanh)]


def test_a_module_may_count_as_one_operation():
    class Square(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x) * torch.relu(x)

    square, x = Square(), X.clone().requires_grad_()
    with gradient_rules({"relu": tripled}, module_rule=lambda module: tripled if isinstance(module, Square) else None):
        y = nn.Sequential(square)(x)
    assert torch.equal(y, X.clamp(min=0) ** 2)
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full_like(X, 3))


def test_constants_and_parameters_go_by():
    def fail(call: Call) -> None:
        raise AssertionError

    weight = nn.Parameter(X.clone())
    assert not depends_on_input(weight)
    with gradient_rules({"relu": fail, "mul": fail}):
        torch.relu(X)
        weight * 2
        with torch.no_grad():
            torch.relu(X.clone().requires_grad_())


def test_rules_may_be_made_of_operations_that_have_rules():
    def parts(x: Tensor, inplace: bool) -> Tensor:
        return x * x.sigmoid()

    x = X.clone().requires_grad_()
    with gradient_rules({"silu": lambda call: call.run_as(parts), "sigmoid": lambda call: call.run().detach()}):
        y = F.silu(x)
    torch.testing.assert_close(y, F.silu(X))
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], X.sigmoid())


@pytest.mark.parametrize("failure", [False, True])
def test_nothing_is_left_behind(failure):
    net, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True)), X.clone().requires_grad_()
    before = fingerprint(net)

    def rule(call: Call) -> Tensor:
        if failure:
            raise ZeroDivisionError
        return tripled(call)

    try:
        with gradient_rules({"relu": rule}, module_rule=lambda module: None):
            net(x)
        assert not failure
    except ZeroDivisionError:
        assert failure
    assert fingerprint(net) == before
    assert not registry._global_forward_hooks
    assert not registry._global_forward_pre_hooks
    assert torch.equal(torch.autograd.grad(torch.relu(x).sum(), x)[0], (X > 0).float())


def test_a_forward_pass_that_was_left_half_way_does_not_mix_up_the_next():
    class Stop(BaseException):
        pass

    observed: list[nn.Module | None] = []
    stop = True

    class Leaves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if stop:
                raise Stop
            return torch.relu(x)

    def note(call: Call) -> Any:
        observed.append(call.module)
        return call.run()

    net = nn.Sequential(Leaves(), nn.Tanh())
    with gradient_rules({"relu": note, "tanh": note}):
        with pytest.raises(Stop):
            net(X.clone().requires_grad_())
        stop = False
        net(X.clone().requires_grad_())
    assert observed == list(net)


def test_an_error_that_the_model_catches_does_not_mix_up_modules():
    class Bad(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError

    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad = Bad()

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.bad(x)
            except ValueError:
                return x

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.careful = Careful()

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.careful(x))

    observed: list[nn.Module | None] = []

    def note(call: Call) -> Any:
        observed.append(call.module)
        return call.run()

    net = Outer()
    with gradient_rules({"relu": note}):
        net(X.clone().requires_grad_())
    assert observed == [net]


def test_another_thread_goes_on_as_before():
    net, x = nn.Sequential(nn.ReLU()), X.clone().requires_grad_()
    inside, done = threading.Event(), threading.Event()
    got: list[Tensor] = []

    def other() -> None:
        inside.wait(10)
        z = X.clone().requires_grad_()
        got.append(torch.autograd.grad(net(z).sum(), z)[0])
        done.set()

    def rule(call: Call) -> Tensor:
        inside.set()
        assert done.wait(10)
        return tripled(call)

    thread = threading.Thread(target=other)
    thread.start()
    with gradient_rules({"relu": rule}, module_rule=lambda module: None):
        y = net(x)
    thread.join()
    assert torch.equal(got[0], (X > 0).float())
    assert torch.equal(torch.autograd.grad(y.sum(), x)[0], torch.full_like(X, 3))


@pytest.mark.parametrize("layer", [nn.LSTM(3, 3), nn.GRU(3, 3), nn.RNN(3, 3)])
def test_an_operation_of_many_nodes_may_be_a_single_one(layer):
    x = torch.randn(2, 4, 3, requires_grad=True)
    expected = torch.autograd.grad(layer(x)[0].square().sum(), x)[0]
    name = {"RNN": "rnn_tanh"}.get(type(layer).__name__, type(layer).__name__.lower())
    with frozen_model(layer), gradient_rules({name: slope_rule}):
        y = layer(x)[0].square().sum()
    assert set(graph_nodes(y)) == {"SumBackward0", "PowBackward0", "_OneNodeBackward", "AccumulateGrad"}
    for _ in range(2):
        torch.testing.assert_close(torch.autograd.grad(y, x, retain_graph=True)[0], expected)


def test_a_gradient_may_go_by_a_function_of_it():
    x = X.clone().requires_grad_()
    y = with_gradient_of(X.square(), x, lambda gradient: gradient.flip(1))
    assert torch.autograd.grad((y * X).sum(), x)[0].tolist() == [[3, 2, -1]]
