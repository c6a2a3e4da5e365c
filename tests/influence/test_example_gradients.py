"""Gradients of each example against a loop, on modules of every kind, shared weights and odd layouts included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.influence.trained import gradient_rows
from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.influence.batches import Loss
from xai_nlp.influence.example_gradients import GradientFunction


def rowwise(output: Tensor, labels: Tensor) -> Tensor:
    return (output.flatten(1).sin() - labels[:, None]).square().sum(1)


class Tied(nn.Module):
    """Word embeddings that are also the output layer's weights, and positions that all examples share."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(7, 4, padding_idx=0), nn.Embedding(9, 4)
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.words(ids) + self.positions(torch.arange(ids.shape[1])[None])
        return self.head(self.norm(hidden))


class Direct(nn.Module):
    """Parameters used outside of the module that holds them, and one that the module adds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.inner, self.unused = nn.Parameter(torch.randn(1, 3)), nn.Linear(3, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(torch.tanh(self.inner(x) + self.shift), self.inner.weight)


class Transposed(nn.Module):
    """Examples in the second dimension; as many tokens as examples."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.inner(x.transpose(0, 1))).transpose(0, 1))


class InPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.out = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.inner(x)
        hidden += 1
        return self.out(nn.functional.relu(hidden, inplace=True))


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.scale = nn.Linear(3, 3), nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(torch.tanh(self.inner(x.flatten(0, -2)) * self.scale)).view(*x.shape)


def normalized() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 4, 1), nn.GroupNorm(2, 4), nn.PReLU(4), nn.BatchNorm2d(4))


def attention() -> nn.Module:
    return nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)


NETS = {
    "linear": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), (5, 3)),
    "tied words": (Tied, "ids"),
    "direct": (Direct, (4, 3)),
    "transposed": (Transposed, (4, 4, 3)),
    "in place": (InPlace, (4, 3)),
    "twice": (Twice, (4, 2, 3)),
    "attention": (attention, (3, 5, 4)),
    "conv2d": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3, stride=2, padding=1, dilation=1), nn.Tanh()), (3, 2, 6, 5)),
    "grouped conv2d": (lambda: nn.Conv2d(4, 4, 2, groups=2), (3, 4, 4, 4)),
    "same conv2d": (lambda: nn.Conv2d(2, 2, 3, padding="same", padding_mode="circular"), (3, 2, 4, 4)),
    "conv1d": (lambda: nn.Conv1d(2, 3, 2), (3, 2, 5)),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2), (2, 1, 3, 3, 3)),
    "transposed conv": (lambda: nn.ConvTranspose2d(2, 3, 2), (3, 2, 3, 3)),
    "norms": (normalized, (3, 2, 3, 3)),
}  # fmt: skip


def batch_for(shape: object) -> tuple[Tensor, Tensor]:
    if shape == "ids":
        ids = torch.tensor([[1, 2, 3, 2], [4, 1, 0, 0], [6, 6, 6, 5]])
        return ids, torch.randn(3)
    x = torch.randn(*shape)  # type: ignore[misc]
    return x, torch.randn(len(x))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_is_a_loop_over_examples(name, training):
    torch.manual_seed(0)
    make, shape = NETS[name]
    net = make().double().train(training)
    batch = tuple(t.double() if t.is_floating_point() else t for t in batch_for(shape))
    function = GradientFunction(net)
    loss = Loss(rowwise, "none")
    with lent_weights(net):
        for _ in range(2):  # the second time knows which parameters need a loop
            got = function(batch, loss)
    parameters = dict(net.named_parameters())
    expected = gradient_rows(net, rowwise(net(*batch[:-1]), batch[-1]), parameters)
    assert list(got.terms) == list(parameters)
    torch.testing.assert_close(got.matrix(), expected, atol=1e-10, rtol=1e-8)
    torch.testing.assert_close(got.products(got), expected @ expected.T, atol=1e-9, rtol=1e-8)
    torch.testing.assert_close(got.squares(), expected.square().sum(1), atol=1e-9, rtol=1e-8)
    assert all(p.grad is None for p in net.parameters())


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.cell(x)[0][:, -1])


def test_recurrent_modules():
    torch.manual_seed(0)
    net, batch = Recurrent().double(), (torch.randn(3, 5, 3).double(), torch.randn(3).double())
    function = GradientFunction(net)
    with lent_weights(net):
        got = function(batch, Loss(rowwise, "none"))
    expected = gradient_rows(net, rowwise(net(batch[0]), batch[1]), dict(net.named_parameters()))
    torch.testing.assert_close(got.matrix(), expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5", "deberta", "roberta", "albert", "llama", "modernbert"])
def test_is_a_loop_on_language_models(name):
    model, tokenizer = tiny(name, fresh=True)
    model = model.double()
    encoded = tokenizer(["a gripping film", "the plot is thin and dull", "great"], padding=True, return_tensors="pt")
    labels = torch.tensor([0, 1, 1])
    batch = {**encoded, "labels": labels}
    entropy = nn.CrossEntropyLoss(reduction="none")
    function = GradientFunction(model)
    with lent_weights(model):
        got = function(batch, Loss(entropy, "none"))
        own = function(batch, Loss(None, "sum"))
    parameters = {k: p for k, p in model.named_parameters() if p.requires_grad}
    expected = gradient_rows(model, entropy(model(**encoded).logits, labels), parameters)
    torch.testing.assert_close(got.matrix(), expected, atol=1e-6, rtol=1e-5)  # norms compute in float32
    torch.testing.assert_close(own.matrix(), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("first", [3, 4, 5])
@pytest.mark.parametrize("name", ["t5", "deberta"])
def test_what_is_learned_of_one_length_holds_for_others(name, first):
    """Tables of relative positions have rows that are no examples, in some lengths as many."""
    model, _ = tiny(name, fresh=True)
    model = model.double()
    eos = model.config.eos_token_id
    function, entropy = GradientFunction(model), nn.CrossEntropyLoss(reduction="none")
    labels = torch.tensor([0, 1, 1])
    for length in (first, 6, 7, 12):
        ids = torch.randint(10, 30, (3, length))
        ids[:, -1] = 1 if eos is None else eos
        with lent_weights(model):
            got = function({"input_ids": ids, "labels": labels}, Loss(entropy, "none"))
        expected = gradient_rows(model, entropy(model(input_ids=ids).logits, labels), dict(model.named_parameters()))
        torch.testing.assert_close(got.matrix(), expected, atol=1e-6, rtol=1e-5)


def test_bert_needs_no_loop():
    """The embeddings of positions, which have one row, included."""
    model, tokenizer = tiny("bert", fresh=True)
    encoded = tokenizer(["a gripping film", "the plot is thin and dull", "great"], padding=True, return_tensors="pt")
    function = GradientFunction(model)
    with lent_weights(model):
        function({**encoded, "labels": torch.tensor([0, 1, 1])}, Loss(nn.CrossEntropyLoss(reduction="none"), "none"))
    assert not any(function._slow.values())


def test_parameters_are_needed():
    with pytest.raises(CaptumAssertion, match="no parameters"):
        GradientFunction(nn.ReLU())
    frozen = nn.Linear(2, 2).requires_grad_(False)
    with pytest.raises(CaptumAssertion, match="requires_grad"):
        GradientFunction(frozen)
    assert list(GradientFunction(frozen, [frozen], ["weight"]).parameters()) == ["weight"]


def test_frozen_parameters_do_not_count():
    net = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 1))
    assert list(GradientFunction(net).parameters()) == ["1.weight", "1.bias"]
