"""Influence functions against Captum, a Hessian in closed form, and training again without an example."""

from __future__ import annotations

from copy import deepcopy

import captum.influence as captum
import pytest
import torch
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction as CaptumArnoldi
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.influence as ours
from tests.captum_names import called_alike
from tests.influence.trained import Run, quiet, same, same_ranking
from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.influence.hessian import HessianOfLoss, NoPositiveEigenvalue

pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning:captum")
CLASSES = {
    "NaiveInfluenceFunction": (ours.NaiveInfluenceFunction, captum.NaiveInfluenceFunction),
    "ArnoldiInfluenceFunction": (ours.ArnoldiInfluenceFunction, CaptumArnoldi),
}


def both(name: str, run: Run, **how):
    checkpoint = run.checkpoints[0]
    how = {"batch_size": run.batch_size, "hessian_reg": 0.1, **how}
    return (quiet(lambda make=make: make(run.net, run.train, checkpoint, run.load, **how)) for make in CLASSES[name])


def test_arnoldi_is_called_as_captums_is():
    called_alike(*CLASSES["ArnoldiInfluenceFunction"])


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("seed", range(30))
def test_is_captums(name, seed, tmp_path):
    run = Run(seed, tmp_path, dtype=torch.float64)
    reduced = run.draw.random() < 0.5
    how = {
        "loss_fn": run.loss("sum" if reduced else "none"), "sample_wise_grads_per_batch": reduced,
        "projection_dim": run.draw.choice([2, 5, 50]),
    }  # fmt: skip
    if name.startswith("Naive"):
        how |= {"hessian_reg": 1e-6, "hessian_inverse_tol": 1e-3}  # no eigenvalue is kept twice
    else:
        how |= {"seed": seed, "arnoldi_dim": run.draw.choice([4, 8]), "arnoldi_tol": 1e-9}
    if run.draw.random() < 0.4:
        how["hessian_dataset"] = TensorDataset(*run.examples(4))
    own, reference = both(name, run, **how)
    quantities = [one.compute_intermediate_quantities(run.inputs) for one in (own, reference)]
    same(quantities[0] @ quantities[0].T, quantities[1] @ quantities[1].T)  # a vector's sign is of no account
    scores = reference.influence(run.inputs)
    same(own.influence(run.inputs), scores)
    for proponents in (True, False):
        same_ranking(own.influence(run.inputs, 2, proponents), reference.influence(run.inputs, 2, proponents), scores)
    same(own.self_influence(), reference.self_influence())
    same(own.self_influence(run.inputs), reference.self_influence(run.inputs))
    summed = own.compute_intermediate_quantities(DataLoader(run.train, 2), aggregate=True)
    same(summed, own.compute_intermediate_quantities(run.loader()).sum(0, keepdim=True))


def ridge() -> tuple[nn.Module, TensorDataset, tuple[Tensor, Tensor], Tensor]:
    """A linear model, its data, inputs, and the Hessian of the squared error: 2 XᵀX."""
    torch.manual_seed(0)
    x, y = torch.randn(12, 4).double(), torch.randn(12, 1).double()
    net = nn.Linear(4, 1, bias=False).double()
    return net, TensorDataset(x, y), (torch.randn(3, 4).double(), torch.randn(3, 1).double()), 2 * x.T @ x


def squared(output: Tensor, labels: Tensor) -> Tensor:
    return (output - labels).square().sum(1)


@pytest.mark.parametrize("name", CLASSES)
def test_closed_form_of_least_squares(name):
    """Captum's Arnoldi leaves out a vector of the exact basis, and so a direction of the Hessian."""
    net, train, inputs, hessian = ridge()
    x, y = train.tensors

    def gradients(x: Tensor, y: Tensor) -> Tensor:
        return 2 * (x @ net.weight.T - y) * x

    expected = (gradients(*inputs) @ torch.linalg.inv(hessian) @ gradients(x, y).T).detach()
    how = {"loss_fn": squared, "batch_size": 5, "hessian_reg": 0.0}
    if name.startswith("Arnoldi"):
        how["arnoldi_tol"] = 1e-8
    state = {k: v.clone() for k, v in net.state_dict().items()}
    own = CLASSES[name][0](net, train, state, **how)
    torch.testing.assert_close(own.influence(inputs), expected, atol=1e-9, rtol=1e-9)
    reference = quiet(lambda: CLASSES[name][1](net, train, state, lambda net, checkpoint: 1.0, **how))
    off = (reference.influence(inputs) - expected).abs().max()
    assert off > 0.1 if name.startswith("Arnoldi") else off < 1e-9


def test_eigenvalues_that_repeat(tmp_path):
    """Captum's eigenvectors, not those of a symmetric matrix, are not orthogonal where an eigenvalue repeats."""
    run = Run(12, tmp_path, dtype=torch.float64)
    own, reference = both("NaiveInfluenceFunction", run, loss_fn=run.loss("none"), projection_dim=500)
    gradients = ours.TracInCP(run.net, run.train, run.checkpoints[:1], run.load, loss_fn=run.loss("none"))
    rows = gradients.compute_intermediate_quantities(run.inputs) / run.rates[run.checkpoints[0]] ** 0.5
    with lent_weights(run.net):
        run.load(run.net, run.checkpoints[0])
        hessian = HessianOfLoss(gradients.gradients, gradients.loss, run.loader(), None).matrix()
    values, vectors = torch.linalg.eigh(hessian)
    kept = vectors[:, values + 0.1 > 1e-5]
    inverse = kept @ torch.diag(1 / (values + 0.1)[values + 0.1 > 1e-5]) @ kept.T
    quantities = [one.compute_intermediate_quantities(run.inputs) for one in (own, reference)]
    same(quantities[0] @ quantities[0].T, rows @ inverse @ rows.T)
    assert (quantities[1] @ quantities[1].T - rows @ inverse @ rows.T).abs().max() > 1


@pytest.mark.parametrize("name", CLASSES)
def test_leave_one_out_of_logistic_regression(name):
    """The loss of inputs after training again without each example, by scikit-learn: rank correlation above 0.9."""
    torch.manual_seed(1)
    penalty, count = 1.0, 60
    x = torch.randn(count, 5).double()
    y = (x @ torch.randn(5).double() + 0.7 * torch.randn(count).double() > 0).long()
    test_x, test_y = torch.randn(8, 5).double(), torch.randint(0, 2, (8,))

    def trained(keep: Tensor) -> Tensor:
        model = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-12, max_iter=10_000)
        return torch.tensor(model.fit(x[keep].numpy(), y[keep].numpy()).coef_)

    def loss(output: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.binary_cross_entropy_with_logits(output[:, 0], labels.double(), reduction="none")

    everyone = torch.arange(count)
    best = trained(everyone)
    before = loss(test_x @ best.T, test_y)
    changes = torch.stack([loss(test_x @ trained(everyone[everyone != i]).T, test_y) - before for i in range(count)], 1)
    net = nn.Linear(5, 1, bias=False).double()
    how = {"loss_fn": loss, "batch_size": 16, "hessian_reg": penalty}  # the Hessian of the penalty
    own = CLASSES[name][0](net, TensorDataset(x, y), {"weight": best}, **how)
    scores = own.influence((test_x, test_y))
    correlations = [spearmanr(*pair).statistic for pair in zip(scores, changes, strict=True)]
    assert min(correlations) > 0.9, correlations
    torch.testing.assert_close(scores, changes, atol=0.05, rtol=0.25)  # in size too, to first order


def test_test_loss_of_the_inputs_is_used_for_the_ranking_too(tmp_path):
    """Captum's ranking uses the loss of training for the inputs."""
    run = Run(2, tmp_path, dtype=torch.float64)

    def first(output: Tensor, labels: Tensor) -> Tensor:
        return output[:, 0]

    own, reference = both("NaiveInfluenceFunction", run, loss_fn=run.loss("none"), test_loss_fn=first)
    scores = own.influence(run.inputs)
    same(scores, reference.influence(run.inputs))
    same(own.influence(run.inputs, 1).influence_scores, scores.topk(1).values)
    assert (reference.influence(run.inputs, 1).influence_scores - scores.topk(1).values).abs().max() > 1e-3


def test_arnoldi_on_a_language_model_with_its_own_loss():
    model, tokenizer = tiny("bert", fresh=True)
    batch = dict(tokenizer(["a gripping film", "dull plot, a mess"], padding=True, return_tensors="pt"))
    rows = [{**{k: v[i] for k, v in batch.items()}, "labels": torch.tensor(i)} for i in range(2)]
    before = fingerprint(model)
    arnoldi = ours.ArnoldiInfluenceFunction(
        model, rows, lambda net: None, layers=["classifier"], batch_size=2, arnoldi_dim=20, arnoldi_tol=1e-6
    )
    naive = ours.NaiveInfluenceFunction(
        model, rows, lambda net: None, layers=["classifier"], batch_size=2, hessian_reg=1e-3, hessian_inverse_tol=1e-4
    )
    inputs = {**batch, "labels": torch.tensor([1, 1])}
    same(arnoldi.self_influence(), naive.self_influence())
    same(arnoldi.influence(inputs), naive.influence(inputs))
    assert fingerprint(model) == before
    whole = ours.ArnoldiInfluenceFunction(model, rows, lambda net: None, batch_size=2, arnoldi_dim=5)
    assert whole.influence(inputs).isfinite().all()


def test_model_is_untouched_and_errors(tmp_path):
    run = Run(0, tmp_path)
    before, state = fingerprint(run.net), torch.get_rng_state()
    for name in CLASSES:
        make = CLASSES[name][0]
        make(run.net, run.train, run.checkpoints[0], run.load, loss_fn=run.loss("none")).influence(run.inputs)
        with pytest.raises(CaptumAssertion, match="projection_dim"):
            make(run.net, run.train, run.checkpoints[0], run.load, projection_dim=0)
        with pytest.raises(NoPositiveEigenvalue, match="hessian_reg"):
            make(run.net, run.train, run.checkpoints[0], run.load, loss_fn=run.loss("none"), hessian_inverse_tol=1e9)
        for wrong in ({"loss_fn": nn.MSELoss()}, {"batch_size": None}):
            for one, net in zip(CLASSES[name], (run.net, deepcopy(run.net)), strict=True):
                with pytest.raises(AssertionError):
                    one(net, run.train, run.checkpoints[0], run.load, **wrong)
        with pytest.raises(CaptumAssertion, match="inputs"):
            make(run.net, run.train, run.checkpoints[0], run.load, loss_fn=run.loss("none")).influence(None)
    assert fingerprint(run.net) == before
    assert torch.equal(torch.get_rng_state(), state)


def test_show_progress(tmp_path, capsys):
    run = Run(0, tmp_path)
    for name in CLASSES:
        make = CLASSES[name][0]
        own = make(run.net, run.train, run.checkpoints[0], run.load, loss_fn=run.loss("none"), show_progress=True)
        own.influence(run.inputs, show_progress=True)
        shown = capsys.readouterr().err
        assert name in shown
        assert "100%" in shown
