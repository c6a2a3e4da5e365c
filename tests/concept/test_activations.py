"""The store of activations: by layer and batch, from the disk or from the model."""

import pytest
import torch
from torch import nn

from tests.concept.explained import Calls
from xai_nlp.concept import Concept
from xai_nlp.concept.activations import ActivationStore
from xai_nlp.core.captum_types import CaptumAssertion


def store(net, folder, layers=("0",), key="model", **how):
    named = {name: net.net.get_submodule(name) for name in layers}
    return ActivationStore(model=net, model_key=key, layers=named, folder=folder, **how)


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Calls(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))


def test_vectors_are_those_of_the_layer(net, tmp_path):
    batches = [torch.rand(2, 3), torch.rand(4, 3)]
    for _ in range(2):
        found = store(net, tmp_path, ("0", "1")).of(Concept(0, "a", batches))
        with torch.no_grad():
            expected = net.net[0](torch.cat(batches))
        torch.testing.assert_close(found["0"].vectors, expected)
        torch.testing.assert_close(found["1"].vectors, expected.tanh())
        assert found["0"].key != found["1"].key
        inside = store(net, tmp_path, ("1",), layer_input=True).of(Concept(0, "a", batches))
        torch.testing.assert_close(inside["1"].vectors, expected)


def test_a_pass_stops_after_the_last_layer(net, tmp_path):
    net.net[2].register_forward_hook(lambda *_: pytest.fail("the head ran"))
    store(net, tmp_path).of(Concept(0, "a", [torch.rand(2, 3)]))


def test_only_missing_layers_and_batches_are_computed(net, tmp_path):
    batches = [torch.rand(2, 3), torch.rand(4, 3)]
    store(net, tmp_path).of(Concept(0, "a", batches))
    assert net.count == 2
    store(net, tmp_path, ("0", "1")).of(Concept(0, "a", batches))
    assert net.count == 4  # for layer 1
    store(net, tmp_path, ("0", "1")).of(Concept(0, "a", [*batches, torch.rand(1, 3)]))
    assert net.count == 5
    store(net, tmp_path, key="other").of(Concept(0, "a", batches))
    assert net.count == 7
    store(net, tmp_path, key="other").of(Concept(1, "a", batches))
    assert net.count == 9  # a file for each concept
    assert len(list(tmp_path.iterdir())) == 3


def test_a_batch_that_comes_twice_runs_once_and_counts_twice(net, tmp_path):
    batch = torch.rand(2, 3)
    assert len(store(net, tmp_path).of(Concept(0, "a", [batch, batch]))["0"].vectors) == 4
    assert net.count == 1


def test_without_a_folder_nothing_is_kept(net, tmp_path):
    for count in (1, 2):
        store(net, None).of(Concept(0, "a", [torch.zeros(2, 3)]))
        assert net.count == count
    assert not list(tmp_path.iterdir())


def test_keys_tell_models_data_and_layers_apart(net):
    def key(key="model", name="0", data=0.0, **how):
        return store(net, None, (name,), key, **how).of(Concept(0, "a", [torch.full((2, 3), data)]))[name].key

    assert key() == key()
    assert len({key(), key("other"), key(name="1"), key(data=1.0), key(layer_input=True)}) == 5


def test_lengths_that_differ_are_refused(tmp_path):
    net = Calls(nn.Sequential(nn.Identity()))
    with pytest.raises(CaptumAssertion, match=r"4 and 6 numbers.*pooling"):
        store(net, tmp_path).of(Concept(0, "a", [torch.zeros(2, 2, 2), torch.zeros(2, 3, 2)]))
