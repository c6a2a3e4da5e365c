"""TracInCP against Captum where it is right, and against loops over gradients of single examples where it is not."""

from __future__ import annotations

import captum.influence as captum
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.influence as ours
from tests.influence.trained import Run, by_hand, quiet, same, same_ranking
from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint

BOTH = (ours, captum)
pytestmark = pytest.mark.filterwarnings("ignore:Input Tensor:UserWarning:captum")


def tracin(lib, run: Run, **how):
    reduced = how.pop("reduced")
    how = {"loss_fn": run.loss("sum" if reduced else "none"), "batch_size": run.batch_size, **how}
    return quiet(
        lambda: lib.TracInCP(run.net, run.train, run.checkpoints, run.load, sample_wise_grads_per_batch=reduced, **how)
    )


@pytest.mark.parametrize("seed", range(40))
def test_is_captums(seed, tmp_path):
    run = Run(seed, tmp_path)
    how = {"reduced": run.draw.random() < 0.5}
    if run.draw.random() < 0.3:
        how["layers"] = [name for name, _ in run.net.named_children()][-1:]
    if run.draw.random() < 0.3:
        how["test_loss_fn"] = run.loss("sum" if how["reduced"] else "none")
    own, reference = (tracin(lib, run, **how) for lib in BOTH)
    aggregate, k = run.draw.random() < 0.3, run.draw.choice([1, 2, 20])
    inputs = run.inputs if run.draw.random() < 0.5 else DataLoader(TensorDataset(*run.inputs), 2)
    same(own.influence(inputs, aggregate=aggregate), reference.influence(inputs, aggregate=aggregate))
    for proponents in (True, False):
        got = own.influence(inputs, k, proponents, aggregate=aggregate)
        expected = reference.influence(inputs, k, proponents, aggregate=aggregate)
        same_ranking(got, expected, own.influence(inputs, aggregate=aggregate))
    same(own.self_influence(), reference.self_influence())
    same(own.self_influence(run.inputs, outer_loop_by_checkpoints=True), reference.self_influence(run.inputs))


def test_intermediate_quantities_multiply_to_the_influence(tmp_path):
    """Captum's have the learning rate in both factors: their product has its square."""
    run = Run(3, tmp_path)
    own, reference = (tracin(lib, run, reduced=False) for lib in BOTH)
    influence = own.influence(run.inputs)
    keys = own.compute_intermediate_quantities(run.loader())
    same(own.compute_intermediate_quantities(run.inputs, test=True) @ keys.T, influence)
    total = own.compute_intermediate_quantities(run.loader(), aggregate=True)
    same(total, keys.sum(0, keepdim=True))
    captums = (
        reference.compute_intermediate_quantities(run.inputs)
        @ reference.compute_intermediate_quantities(run.loader()).T
    )
    assert (captums - influence).abs().max() > 0.01 * influence.abs().max()


class Words(nn.Module):
    """A classifier whose word embeddings and norm have parameters that Captum's fast way leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.norm, self.out = nn.Embedding(9, 4), nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(torch.tanh(self.norm(self.words(ids))).mean(1))


def test_every_parameter_counts_and_captums_fast_way_leaves_some_out(tmp_path):
    torch.manual_seed(0)
    net, loss = Words(), nn.CrossEntropyLoss(reduction="sum")
    train = torch.randint(0, 9, (6, 5)), torch.randint(0, 2, (6,))
    inputs = torch.randint(0, 9, (2, 5)), torch.tensor([0, 1])
    torch.save(net.state_dict(), tmp_path / "1.pt")
    scores = [
        quiet(lambda lib=lib: lib.TracInCP(net, TensorDataset(*train), [str(tmp_path / "1.pt")], loss_fn=loss,
                                           batch_size=4, sample_wise_grads_per_batch=True)).influence(inputs)
        for lib in BOTH
    ]  # fmt: skip
    parameters = dict(net.named_parameters())
    first, second = (by_hand(net, loss, batch, parameters) for batch in (inputs, train))
    same(scores[0], first @ second.T)
    assert (scores[1] - first @ second.T).abs().max() > 1e-3


def test_a_mean_with_class_weights_is_the_loss_of_each_example(tmp_path):
    """Captum multiplies the batch's weighted mean by its size: scores depend on who shares a batch."""
    run = Run(2, tmp_path, make=lambda f, c: nn.Linear(f, c))
    run.classify = True
    run.train, run.inputs = TensorDataset(*run.examples(6)), run.examples(3)
    loss = nn.CrossEntropyLoss(torch.linspace(1, 5, run.classes), reduction="mean")
    scores = [
        tracin(ours, run, reduced=True, loss_fn=loss, batch_size=size).influence(run.inputs) for size in (1, 2, 6)
    ]
    same(scores[1], scores[0])
    same(scores[2], scores[0])
    captums = tracin(captum, run, reduced=True, loss_fn=loss, batch_size=1).influence(
        DataLoader(TensorDataset(*run.inputs), 1)
    )
    same(scores[0], captums)


def test_losses_of_tokens_are_added(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7))
    batch = torch.randint(0, 7, (4, 5)), torch.randint(0, 7, (4, 5))

    def entropy(output: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output.flatten(0, 1), labels.flatten(), reduction="none")

    own = ours.TracInCP(net, TensorDataset(*batch), [net.state_dict()], loss_fn=entropy, batch_size=3)
    rows = by_hand(net, entropy, batch, dict(net.named_parameters()))
    same(own.influence(batch), rows @ rows.T)


def test_dicts_of_a_collator_with_the_models_own_loss():
    model, tokenizer = tiny("bert", fresh=True)
    texts, labels = ["great film", "dull plot, this", "a mess"], [1, 0, 0]
    rows = [{**tokenizer(text), "label": label} for text, label in zip(texts, labels, strict=True)]

    def collated(rows):
        padded = tokenizer.pad([{k: v for k, v in row.items() if k != "label"} for row in rows], return_tensors="pt")
        return {**padded, "labels": torch.tensor([row["label"] for row in rows])}

    loader = DataLoader(rows, 2, collate_fn=collated)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    for loss in (None, nn.CrossEntropyLoss(reduction="none")):
        scores = ours.TracInCP(model, loader, [state], loss_fn=loss).influence(collated(rows))
        gradients = []
        for row in rows:
            value = model(**collated([row])).loss
            found = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
            gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
        rows_by_hand = torch.stack(gradients)
        torch.testing.assert_close(scores, rows_by_hand @ rows_by_hand.T, rtol=1e-3, atol=1e-3)


def test_question_answering_has_two_labels():
    model, tokenizer = tiny("bert", fresh=True, task="question-answering")
    batch = dict(tokenizer(["who wrote it?"] * 2, ["mary wrote it", "the plot"], padding=True, return_tensors="pt"))
    batch |= {"start_positions": torch.tensor([5, 6]), "end_positions": torch.tensor([6, 7])}
    rows = [{k: v[i] for k, v in batch.items()} for i in range(2)]
    scores = ours.TracInCP(model, rows, [lambda net: 0.5], batch_size=2).influence(batch)
    gradients = []
    for i in range(2):
        value = model(**{k: v[i : i + 1] for k, v in batch.items()}).loss
        found = torch.autograd.grad(value, list(model.parameters()), allow_unused=True)
        gradients.append(torch.cat([g.flatten() for g in found if g is not None]))
    by_loop = torch.stack(gradients)
    torch.testing.assert_close(scores, by_loop @ by_loop.T * 0.5, rtol=1e-3, atol=1e-3)


def test_checkpoints_are_loaded_once_each(tmp_path):
    run = Run(1, tmp_path)
    loads: list[str] = []

    def load(net: nn.Module, path: str) -> float:
        loads.append(path)
        return run.load(net, path)

    own = ours.TracInCP(run.net, run.train, run.checkpoints, load, loss_fn=run.loss("none"), batch_size=1)
    own.influence(run.inputs, 2)
    assert loads == run.checkpoints


def test_a_loader_that_shuffles_is_read_in_the_order_of_its_data(tmp_path):
    run = Run(5, tmp_path)
    shuffling = DataLoader(run.train, 2, shuffle=True)
    loss = run.loss("none")
    scores = [
        ours.TracInCP(run.net, data, run.checkpoints, run.load, loss_fn=loss, batch_size=2).influence(run.inputs)
        for data in (run.train, shuffling)
    ]
    same(scores[1], scores[0])


def test_model_is_untouched_after_success_and_failure(tmp_path):
    run = Run(4, tmp_path)
    run.net[0].weight.requires_grad_(False) if isinstance(run.net, nn.Sequential) else None
    run.net.train()
    before, files = fingerprint(run.net), {p: p.read_bytes() for p in tmp_path.iterdir()}
    x = run.inputs[0].clone()
    own = ours.TracInCP(run.net, run.train, run.checkpoints, run.load, loss_fn=run.loss("none"))
    own.influence(run.inputs)
    own.self_influence()
    assert fingerprint(run.net) == before

    def failing(output: Tensor, labels: Tensor) -> Tensor:
        raise ZeroDivisionError

    own = quiet(lambda: ours.TracInCP(run.net, run.train, run.checkpoints, run.load, loss_fn=failing))
    with pytest.raises(ZeroDivisionError):
        own.influence(run.inputs)
    assert fingerprint(run.net) == before
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == files
    assert torch.equal(run.inputs[0], x)


@pytest.mark.parametrize("lib", BOTH)
def test_errors_are_captums(lib, tmp_path):
    run = Run(0, tmp_path)
    how = {"loss_fn": nn.MSELoss(reduction="none")}
    with pytest.raises(AssertionError):
        lib.TracInCP(run.net, run.train, run.checkpoints, batch_size=None, **how)
    with pytest.raises(AssertionError):
        lib.TracInCP(run.net, run.train, run.checkpoints, loss_fn=nn.MSELoss())
    with pytest.raises(AssertionError):
        lib.TracInCP(run.net, run.train, run.checkpoints, sample_wise_grads_per_batch=True, **how)
    with pytest.raises(AssertionError):
        lib.TracInCP(run.net, run.train, run.checkpoints, layers=[], **how)
    with pytest.raises(AttributeError):
        lib.TracInCP(run.net, run.train, run.checkpoints, layers=["nowhere"], **how)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="checkpoints"):
        lib.TracInCP(run.net, run.train, str(tmp_path / "empty"), **how)
    tracin = quiet(lambda: lib.TracInCP(run.net, run.train, [None], loss_fn=run.loss("none")))
    with pytest.raises(AssertionError):
        tracin.self_influence()
    with pytest.raises(AssertionError):
        tracin.influence(None)
    summed = quiet(lambda: lib.TracInCP(run.net, run.train, run.checkpoints, run.load, loss_fn=lambda a, b: a.sum()))
    with pytest.raises(AssertionError):
        summed.influence(run.inputs)


def test_errors_of_ours(tmp_path):
    run = Run(0, tmp_path)
    own = ours.TracInCP(run.net, run.train, run.checkpoints, run.load, loss_fn=run.loss("none"))
    for k in (0, -1, 1.5, True):
        with pytest.raises(CaptumAssertion, match="k must be"):
            own.influence(run.inputs, k)
    with pytest.raises(CaptumAssertion, match="a batch must be"):
        own.influence(torch.zeros(2, 2))
    with pytest.raises(InvalidInput, match="none found"):
        own.checkpoints = 3


def test_show_progress_names_the_method(tmp_path, capsys):
    run = Run(0, tmp_path)
    own = ours.TracInCP(run.net, run.train, run.checkpoints, run.load, loss_fn=run.loss("none"))
    own.influence(run.inputs, show_progress=True)
    own.self_influence(show_progress=True)
    shown = capsys.readouterr().err
    assert shown.count("100%") >= 2
    assert "TracInCP" in shown
