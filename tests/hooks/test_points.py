"""`capture` and `edit` on small modules of any kind: what is kept, what goes on, and what is refused."""

import copy
import threading
from dataclasses import replace

import pytest
import torch
from torch import nn

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.passes import rows_counted
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks import ModulePoint, capture, edit
from xai_nlp.hooks.model_state import fingerprint


class Pair(nn.Module):
    """Gives out two tensors and a number."""

    def forward(self, x):
        return x + 1, 3, x * 2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.pair, self.act = nn.Linear(2, 2), Pair(), nn.ReLU(inplace=True)

    def forward(self, x):
        left, count, right = self.pair(self.first(x))
        return self.act(left) * count + self.act(right)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def test_captured_tensors_are_those_that_pass(net):
    points, x = xai_nlp.points(net), torch.randn(3, 2)
    before, output = fingerprint(net), net(x)
    with capture(points["first"], points["pair"]) as captured:
        assert torch.equal(net(x), output)
    assert torch.equal(captured[points["first"]], net.first(x))
    left, right = captured[points["pair"]]
    assert torch.equal(left, net.first(x) + 1) and torch.equal(right, net.first(x) * 2)  # before the ReLU in place
    assert fingerprint(net) == before


def test_captured_tensors_carry_gradients_where_they_are_enabled(net):
    points, x = xai_nlp.points(net), torch.randn(3, 2)
    with capture(points["first"]) as captured:
        output = net(x)
    (gradient,) = torch.autograd.grad(output.sum(), captured[points["first"]])
    first = net.first(x)
    expected = 3.0 * (first + 1 > 0) + 2.0 * (first > 0)
    assert torch.equal(gradient, expected)
    with torch.no_grad(), capture(points["first"]) as captured:
        net(x)
    assert not captured[points["first"]].requires_grad


def test_the_last_pass_counts_and_the_input_of_a_module_is_a_point_too(net):
    side, x = replace(xai_nlp.points(net)["first"], side="input"), torch.randn(3, 2)
    with capture(side, side) as captured:
        net(torch.zeros(1, 2))
        net(x)
    assert torch.equal(captured[side], x)


def test_an_edit_puts_something_else_there(net):
    points, x = xai_nlp.points(net), torch.randn(3, 2)
    before = fingerprint(net)
    with edit({points["pair"]: lambda tensors: (tensors[0] * 0, tensors[1]), ModulePoint(net.act): lambda t: t + 1}):
        edited = net(x)
    first = net.first(x)
    assert torch.equal(edited, torch.ones(3, 2) * 3 + (first * 2).relu())  # the first call of `act` alone is edited
    assert fingerprint(net) == before
    with edit({points["first"]: lambda t: None}):
        assert torch.equal(net(x), (first + 1).relu() * 3 + (first * 2).relu())
    with edit({}):
        net(x)


def test_an_edit_and_a_capture_of_one_point_follow_their_order(net):
    point, x = xai_nlp.points(net)["first"], torch.randn(3, 2)
    with edit({point: torch.zeros_like}), capture(point) as captured:
        net(x)
    assert captured[point].eq(0).all()
    with capture(point) as captured, edit({point: torch.zeros_like}):
        net(x)
    assert torch.equal(captured[point], net.first(x))


@pytest.mark.parametrize(
    ("function", "given"),
    [
        (lambda t: t[:1], r"\[\(1, 2\)\]"),
        (lambda t: (t, t), r"\[\(3, 2\), \(3, 2\)\]"),
        (lambda t: 0, r"\['int'\]"),
        (lambda t: (), r"\[\]"),
    ],
)
def test_an_edit_that_returns_another_shape_is_refused(net, function, given):
    before = fingerprint(net)
    with pytest.raises(InvalidInput, match=rf"the output of first carries \[\(3, 2\)\]; the edit returned {given}"):
        with edit({xai_nlp.points(net)["first"]: function}):
            net(torch.randn(3, 2))
    assert fingerprint(net) == before


@pytest.mark.parametrize("value", [None, "first", nn.Linear(2, 2), 3])
def test_what_is_no_hook_point_is_refused_before_a_hook_is_placed(net, value):
    before, good = fingerprint(net), xai_nlp.points(net)["first"]
    with pytest.raises(InvalidInput, match=r"a hook point is needed, as .*; got \w+"):
        capture(good, value)
    with pytest.raises(InvalidInput, match="a hook point is needed"), edit({good: torch.zeros_like, value: abs}):
        pass
    assert fingerprint(net) == before


def test_points_that_were_not_captured_or_not_reached_say_so(net):
    points = xai_nlp.points(net)
    with capture(points["first"]) as captured:
        pass
    with pytest.raises(InvalidInput, match="the output of first was not reached by the forward pass"):
        captured[points["first"]]
    with pytest.raises(InvalidInput, match="the output of act was not captured; name it in"):
        captured[points["act"]]


def test_another_thread_is_left_alone(net):
    point, x, results = xai_nlp.points(net)["first"], torch.randn(3, 2), []
    plain = net(x)
    with edit({point: torch.zeros_like}), capture(point) as captured:
        thread = threading.Thread(target=lambda: results.append(net(x)))
        thread.start()
        thread.join()
        assert torch.equal(results[0], plain)
        with pytest.raises(InvalidInput, match="not reached"):
            captured[point]


def test_attention_is_found_by_one_pass_and_again_in_a_changed_model():
    model, tokenizer = tiny("bert", fresh=True)
    explainer = xai_nlp.load(model, tokenizer)
    counts = []
    for _ in range(2):
        with rows_counted(model) as sizes:
            explainer.explain("a film that is long and dull", method="attention_relevance")
        counts.append(len(sizes))
    assert counts[1] == counts[0] - 1
    model.bert.encoder.layer[1].attention.self = copy.deepcopy(model.bert.encoder.layer[1].attention.self)
    why = explainer.explain("a dull film", method="attention_relevance")
    fresh = xai_nlp.load(model, tokenizer).explain("a dull film", method="attention_relevance")
    assert why.scores == fresh.scores and why.attention["self"] == fresh.attention["self"]
