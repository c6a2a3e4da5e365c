"""Problems at inputs, layers and neurons, and re-entering a model at a layer."""

from typing import Any

import captum.attr as captum
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xai_nlp.attr as ours
from tests.attr.networks import Net
from xai_nlp.attr.problems import flow_subject, from_layer, layer_points, neuron_subject, select_neuron, subject_of
from xai_nlp.core.captum_types import CaptumAssertion, TargetOutOfRange
from xai_nlp.core.forward import Forward, as_tuple


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net(3, 2, smooth=True).double()


@pytest.fixture
def forward(net):
    return Forward.bind(net, torch.randn(2, 4).double(), target=1)


def test_inputs_give_the_functions_own_values(net, forward):
    problem = subject_of(forward, 0.5).problem()
    torch.testing.assert_close(problem.values(problem.x, problem.everyone)[:, 0], net(*forward.inputs)[:, 1])
    assert torch.equal(problem.baseline[0], torch.full((2, 4), 0.5).double())


def test_a_layer_is_entered_with_its_own_tensors(net, forward):
    problem = subject_of(forward).at(layer_points(net.first)).problem()
    assert len(problem.x) == 1
    torch.testing.assert_close(problem.x[0], net.first(*forward.inputs))
    torch.testing.assert_close(problem.values(problem.x, problem.everyone)[:, 0], net(*forward.inputs)[:, 1])
    start = net(torch.zeros_like(forward.inputs[0]))[:, 1]
    torch.testing.assert_close(problem.values(problem.baseline, problem.everyone)[:, 0], start)


def test_a_layers_tensors_are_the_inputs_of_the_same_function(net, forward):
    inner = from_layer(forward, net.first)
    (tensors,) = subject_of(forward).tensors(layer_points(net.first))
    torch.testing.assert_close(inner.inputs, tensors)
    torch.testing.assert_close(inner.value(tensors, forward.everyone), forward.value(forward.inputs, forward.everyone))
    torch.testing.assert_close(inner.value((tensors[0][:1],), torch.tensor([0])), forward.value(
        (forward.inputs[0][:1],), torch.tensor([0])
    ))  # fmt: skip


class Deep(nn.Module):
    """A layer that is done before the place, and what follows it: by row, or of the batch as a whole."""

    def __init__(self, end: Any) -> None:
        super().__init__()
        self.first, self.last, self.end = nn.Linear(3, 4), nn.Linear(4, 2), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.last(torch.tanh(self.first(x))))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(
    ("end", "known"),
    [(lambda y: y[:, 0], True), (lambda y: y.mean(), False), (lambda y: y.mean(0), False), (lambda y: y[:1, 0], False)],
)
def test_a_layer_that_was_entered_tells_whether_outputs_have_rows(end, known, batch):
    """A mean over equal rows has the value that it has of one of them, but not as many numbers as there are rows."""
    torch.manual_seed(0)
    net = Deep(end).eval()
    inner = from_layer(Forward.bind(net, torch.randn(1, 3).expand(batch, 3)), net.first)
    assert inner.rowwise is known


def test_a_neurons_flow_has_the_gradient_of_the_target_through_it(net, forward):
    (site,) = layer_points(net.first)
    subject = subject_of(forward)

    def slope(subject):
        return subject.problem().slope_at_x().gradients[0]

    torch.testing.assert_close(sum(slope(flow_subject(subject, forward, site, i)) for i in range(3)), slope(subject))


def test_a_neuron_is_read_where_the_pass_stops(net, forward):
    (site,) = layer_points(net.first)
    problem = neuron_subject(subject_of(forward), forward, site, 1).problem()
    torch.testing.assert_close(problem.values(problem.x, problem.everyone)[:, 0], net.first(*forward.inputs)[:, 1])


def test_neurons_are_selected_by_index_slice_or_function():
    tensor = torch.arange(12.0).view(2, 3, 2)
    assert select_neuron((tensor,), (1, 0), 2).tolist() == [[2.0], [8.0]]
    assert select_neuron((tensor,), (slice(0, 2), 1), 2).tolist() == [[4.0], [16.0]]
    assert select_neuron((tensor, tensor), lambda pair: pair[1][:, 0, 0], 2).tolist() == [[0.0], [6.0]]
    for wrong, error in (((3, 0), TargetOutOfRange), (1, CaptumAssertion)):
        with pytest.raises(error, match="neuron"):
            select_neuron((tensor,), wrong, 2)
    with pytest.raises(CaptumAssertion, match="2 tensors"):
        select_neuron((tensor, tensor), 0, 2)


def test_a_layer_is_a_module():
    with pytest.raises(CaptumAssertion, match="torch module"):
        layer_points("encoder")  # type: ignore[arg-type]
    assert [point.side for point in layer_points([nn.ReLU(), nn.ReLU()], layer_input=True)] == ["input", "input"]


class Neurons(nn.Module):
    """A layer that is read, and two that the target does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.act, self.last = nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2)
        self.side, self.conv, self.shut = nn.Linear(3, 5), nn.Conv1d(1, 2, 2), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        self.conv(self.shut(self.side(x))[:, None])
        return self.last(self.act(self.left(x)))


#: Additive over the batch, so that the sum's gradient does not depend on how many rows a pass has.
SUMS = {"all": lambda h: h.sum(), "one": lambda h: h[:, 1].sum().reshape(1), "squares": lambda h: (h**2).sum()}
BY_NEURON: dict[str, dict[str, Any]] = {
    "NeuronGradient": {}, "NeuronGuidedBackprop": {}, "NeuronDeconvolution": {}, "NeuronFeatureAblation": {},
    "NeuronIntegratedGradients": {"n_steps": 7, "internal_batch_size": 9}, "NeuronDeepLift": {},
    "NeuronGradientShap": {"baselines": True}, "NeuronDeepLiftShap": {"baselines": True},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's
@pytest.mark.parametrize("name", BY_NEURON)
@pytest.mark.parametrize("which", SUMS)
def test_selectors_that_sum_over_the_batch(name, which):
    torch.manual_seed(0)
    net, x, options = Neurons().double(), torch.randn(4, 3).double(), dict(BY_NEURON[name])
    if options.get("baselines"):
        options["baselines"] = torch.randn(6, 3).double()
    if "DeepLift" in name and which == "squares":
        return  # Captum takes the slope of the square, as of any function; ours adds up

    def scores(lib: Any, selector: Any) -> Tensor:
        torch.manual_seed(1)
        np.random.seed(1)
        return getattr(lib, name)(net, net.act).attribute(x, neuron_selector=selector, **options)

    got, wanted = (scores(lib, SUMS[which]) for lib in (ours, captum))
    torch.testing.assert_close(got, wanted.detach(), atol=1e-6, rtol=0)
    if which == "all":
        by_row = scores(ours, lambda hidden: hidden.sum(1))
        by_row = by_row.sum(0, keepdim=True) if name == "NeuronFeatureAblation" else by_row
        torch.testing.assert_close(got, by_row, atol=1e-9, rtol=0)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Captum's
def test_selectors_that_are_refused():
    net, x = Neurons(), torch.randn(4, 3)
    for selector in (lambda hidden: hidden[:2, 0], lambda hidden: hidden.sum(0)):
        with pytest.raises(CaptumAssertion, match="neuron_selector"):
            ours.NeuronGradient(net, net.act).attribute(x, selector)
    for lib in (ours, captum):
        with pytest.raises((AssertionError, RuntimeError)):
            lib.NeuronConductance(net, net.act).attribute(x, lambda hidden: hidden.sum(), target=0)


UNUSED: dict[str, dict[str, Any]] = {
    "LayerGradCam": {}, "LayerDeepLift": {"return_convergence_delta": True}, "LayerConductance": {},
    "LayerGradientXActivation": {}, "InternalInfluence": {}, "LayerDeepLiftShap": {"baselines": True},
    "LayerIntegratedGradients": {"return_convergence_delta": True, "n_steps": 3},
    "LayerGradientShap": {"baselines": True, "return_convergence_delta": True},
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSED)
@pytest.mark.parametrize("layer", ["side", "conv", "shut"])
def test_a_layer_that_the_target_does_not_use(name, layer):
    """Zeros, as Captum's that take `grad_kwargs` return with materialize_grads=True; its others raise there."""
    torch.manual_seed(0)
    net, x, options = Neurons(), torch.randn(4, 3), dict(UNUSED[name])
    if options.get("baselines"):
        options["baselines"] = torch.randn(6, 3)
    for layer_input in (False, True) if layer != "side" else (False,):  # the input of `side` is used
        where = {"target": 0, "attribute_to_layer_input": layer_input}
        got = getattr(ours, name)(net, getattr(net, layer)).attribute(x, **where, **options)
        scores = got[0] if isinstance(got, tuple) else got
        assert torch.equal(scores, torch.zeros_like(scores))
        if name in (
            *("LayerGradCam", "LayerGradientXActivation", "InternalInfluence", "LayerDeepLift"),
            "LayerIntegratedGradients",
        ):
            more = {"grad_kwargs": {"allow_unused": True, "materialize_grads": True}}
            wanted = getattr(captum, name)(net, getattr(net, layer)).attribute(x, **where, **options, **more)
            for own, reference in zip(as_tuple(got), as_tuple(wanted), strict=True):
                torch.testing.assert_close(own, reference.detach())
    if name == "LayerConductance":
        none = ours.NeuronConductance(net, getattr(net, layer)).attribute(x, lambda h: h.flatten(1)[:, 0], target=0)
        assert torch.equal(none, torch.zeros_like(x))
