"""TracIn through one layer against Captum, and against loops where its outputs are not the layer's."""

from __future__ import annotations

import captum.influence as captum
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import xai_nlp.influence as ours
from tests.influence.trained import Run, by_hand, quiet, same, same_ranking
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.influence.nearest_neighbors import DotProductNeighbors

BOTH = (ours, captum)
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning:captum")


def last_layer(net: nn.Module) -> nn.Module:
    return [m for m in net.modules() if isinstance(m, nn.Linear)][-1]


def made(lib, name: str, run: Run, **how):
    layer = last_layer(run.net)
    how = {"loss_fn": run.loss("sum"), "batch_size": run.batch_size, **how}
    return quiet(lambda: getattr(lib, name)(run.net, layer, run.train, run.checkpoints, run.load, **how))


@pytest.mark.parametrize("seed", range(30))
def test_fast_is_captums(seed, tmp_path):
    run = Run(seed, tmp_path)
    how = {"loss_fn": run.loss("mean")} if run.classify and run.draw.random() < 0.5 else {}
    own, reference = (made(lib, "TracInCPFast", run, vectorize=seed % 2 == 0, **how) for lib in BOTH)
    k = run.draw.choice([1, 3, 20])
    same(own.influence(run.inputs), reference.influence(run.inputs).detach())
    for proponents in (True, False):
        got, expected = (one.influence(run.inputs, k, proponents) for one in (own, reference))
        same_ranking(got, expected, own.influence(run.inputs))
    same(own.self_influence(), reference.self_influence())
    same(own.self_influence(run.inputs, outer_loop_by_checkpoints=True), reference.self_influence(run.inputs))


@pytest.mark.parametrize("seed", range(30))
def test_random_projections_are_captums(seed, tmp_path):
    run = Run(seed, tmp_path)
    dim = run.draw.choice([None, 1, 4, 9, 10_000])
    how = [{"nearest_neighbors": DotProductNeighbors(), "projection_dim": dim, "seed": seed} for _ in BOTH]
    own, reference = (made(lib, "TracInCPFastRandProj", run, **one) for lib, one in zip(BOTH, how, strict=True))
    same(own.influence(run.inputs, k=None), reference.influence(run.inputs, k=None).detach())
    same(
        own.compute_intermediate_quantities(run.inputs), reference.compute_intermediate_quantities(run.inputs).detach()
    )
    for proponents in (True, False):
        got, expected = (one.influence(run.inputs, 2, proponents) for one in (own, reference))
        same_ranking(got, expected, own.influence(run.inputs, None))


def test_projections_know_the_loss_of_the_inputs_from_that_of_training(tmp_path):
    """Captum computes the vectors of training examples by the test loss too."""
    run = Run(7, tmp_path)
    run.classify = True
    run.train, run.inputs = TensorDataset(*run.examples(6)), run.examples(2)

    class Logit(nn.Module):
        reduction = "sum"

        def forward(self, output: Tensor, labels: Tensor) -> Tensor:
            return output.gather(1, labels[:, None]).sum()

    how = {"test_loss_fn": Logit()}
    exact = made(ours, "TracInCPFast", run, **how).influence(run.inputs)
    neighbors = DotProductNeighbors()
    own, reference = (made(lib, "TracInCPFastRandProj", run, nearest_neighbors=neighbors, **how) for lib in BOTH)
    same(exact, made(captum, "TracInCPFast", run, **how).influence(run.inputs).detach())
    same(own.influence(run.inputs, None), exact)
    assert (reference.influence(run.inputs, None) - exact).abs().max() > 1e-2


class Averaged(nn.Module):
    """The layer gives an output for each token, and more comes after it."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.fc = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, ids: Tensor) -> Tensor:
        return self.fc(self.words(ids)).tanh().mean(1)


def test_a_layer_within_the_model_and_with_an_output_for_each_token():
    torch.manual_seed(0)
    net, loss = Averaged(), nn.CrossEntropyLoss(reduction="sum")
    train, inputs = ((torch.randint(0, 9, (n, 5)), torch.randint(0, 3, (n,))) for n in (6, 2))
    weight = {"fc.weight": net.fc.weight}
    first, second = (by_hand(net, loss, batch, weight) for batch in (inputs, train))
    for name in ("TracInCPFast", "TracInCPFastRandProj"):
        make = getattr(ours, name)
        own = make(net, "fc", TensorDataset(*train), [net.state_dict()], loss_fn=loss, batch_size=4)
        same(own.influence(inputs, None), first @ second.T)
    projected = ours.TracInCPFastRandProj(
        net, "fc", TensorDataset(*train), [net.state_dict()], loss_fn=loss, batch_size=4, projection_dim=9
    )
    assert projected.src_intermediate_quantities.shape == (6, 9)


def test_default_neighbours_need_no_annoy_and_are_exact(tmp_path):
    run = Run(11, tmp_path)
    own = made(ours, "TracInCPFastRandProj", run)
    exact = made(ours, "TracInCPFast", run)
    for proponents in (True, False):
        got, expected = (one.influence(run.inputs, 2, proponents) for one in (own, exact))
        same(got.influence_scores, expected.influence_scores)
        assert torch.equal(got.indices, expected.indices)


@pytest.mark.parametrize("lib", BOTH)
def test_errors_are_captums(lib, tmp_path):
    run = Run(0, tmp_path)
    how = [run.train, run.checkpoints, run.load]
    with pytest.raises(ValueError, match="nowhere"):
        lib.TracInCPFast(run.net, "nowhere", *how, nn.MSELoss(reduction="sum"))
    with pytest.raises(AssertionError):
        lib.TracInCPFast(run.net, last_layer(run.net), *how)
    with pytest.raises(AssertionError):
        lib.TracInCPFast(run.net, last_layer(run.net), *how, nn.MSELoss(reduction="none"))
    neighbors = DotProductNeighbors()
    projected = made(lib, "TracInCPFastRandProj", run, nearest_neighbors=neighbors)
    with pytest.raises(NotImplementedError):
        quiet(projected.self_influence)
    with pytest.raises(AssertionError):
        projected.influence(None)


def test_model_is_untouched(tmp_path):
    run = Run(0, tmp_path)
    run.net.requires_grad_(False)
    before, state = fingerprint(run.net), torch.get_rng_state()
    own = made(ours, "TracInCPFastRandProj", run, projection_dim=2)
    own.influence(run.inputs)
    assert fingerprint(run.net) == before
    assert torch.equal(torch.get_rng_state(), state)
    with pytest.raises(InvalidInput, match="projection_dim"):
        made(ours, "TracInCPFastRandProj", run, projection_dim=0)
