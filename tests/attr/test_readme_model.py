"""The numbers of Captum's README, and of Captum 0.9 where its README prints an older rule's."""

import torch

from tests.attr.networks import Toy
from xai_nlp.attr import IntegratedGradients, LayerConductance, NeuronConductance


def setup():
    model = Toy().eval()
    torch.manual_seed(123)
    return model, torch.rand(2, 3), torch.zeros(2, 3)


def test_integrated_gradients():
    model, x, x0 = setup()
    scores, delta = IntegratedGradients(model).attribute(x, x0, target=0, return_convergence_delta=True)
    expected = torch.tensor([[-0.5922, -1.5497, -1.0067], [0.0, -0.2219, -5.1991]])
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=0)
    assert delta.abs().max() < 1e-6


def test_neuron_conductance():
    model, x, _ = setup()
    scores = NeuronConductance(model, model.lin1).attribute(x, neuron_selector=1, target=0)
    torch.testing.assert_close(scores, torch.tensor([[0.0, 0, 0], [1.3358, 0, -1.6811]]), atol=1e-4, rtol=0)


def test_layer_conductance():
    model, x, x0 = setup()
    scores, delta = LayerConductance(model, model.lin1).attribute(x, x0, target=0, return_convergence_delta=True)
    torch.testing.assert_close(scores, torch.tensor([[0, 0, -3.1452], [0, -0.3555, -5.0596]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(delta, torch.tensor([0.0034, 0.0059]), atol=1e-4, rtol=0)
