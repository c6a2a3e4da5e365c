"""Problems at inputs, layers and neurons, and re-entering a model at a layer."""

import pytest
import torch
from torch import nn

from tests.attr.networks import Net
from xai_nlp.attr.problems import flow_subject, from_layer, layer_points, neuron_subject, select_neuron, subject_of
from xai_nlp.core.captum_types import CaptumAssertion, TargetOutOfRange
from xai_nlp.core.forward import Forward


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
