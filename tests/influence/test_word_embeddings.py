"""Influence through word embeddings, whole and by token, against sums over shared words by a loop."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.influence.trained import same
from tests.models.tiny import tiny
from xai_nlp.errors import Unsupported
from xai_nlp.influence import TracInCP, TracInWE


def test_splits_over_shared_tokens():
    model, tokenizer = tiny("bert", fresh=True)
    loss = nn.CrossEntropyLoss(reduction="none")

    def batch(texts: list[str], labels: list[int]) -> dict[str, torch.Tensor]:
        return {**tokenizer(texts, padding=True, return_tensors="pt"), "labels": torch.tensor(labels)}

    inputs, examples = (
        batch(["a great film", "the plot is dull"], [1, 0]),
        batch(["great plot", "film", "who"], [1, 0, 1]),
    )
    rows = [{k: v[i] for k, v in examples.items()} for i in range(3)]
    states = [{k: v * scale for k, v in model.state_dict().items()} | {"learning_rate": scale} for scale in (0.9, 1.1)]
    tracin = TracInWE(model, rows, states, loss_fn=loss, batch_size=2)
    scores = tracin.influence(inputs)
    name = "bert.embeddings.word_embeddings"
    same(scores, TracInCP(model, rows, states, layers=[name], loss_fn=loss, batch_size=2).influence(inputs))
    gradients = TracInCP(model, rows, states, layers=[name], loss_fn=loss)
    whole = [gradients.compute_intermediate_quantities(b).view(len(b["labels"]), 2, -1, 32) for b in (inputs, examples)]
    by_word = torch.einsum("acvd,bcvd->abv", *whole)  # (inputs, examples, vocabulary)
    split = tracin.split(inputs, examples)
    same(split[0].sum(2), scores)
    same(split[1].sum(2), scores)
    for side, ids in ((split[0], inputs["input_ids"][:, None]), (split[1], examples["input_ids"][None])):
        index = ids.expand(side.shape)
        found = torch.zeros_like(by_word).scatter_add_(2, index, side)
        same(found, by_word)


def test_models_without_word_embeddings_or_with_several_uses():
    with pytest.raises(Unsupported, match="embeddings="):
        TracInWE(nn.Linear(2, 2), [(torch.zeros(2), 0)], [{}])
    net = nn.Sequential(nn.Embedding(4, 4), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    data = [(torch.tensor([1, 2]), torch.tensor(0))]
    tracin = TracInWE(net, data, [lambda model: None], embeddings=net[0])
    assert tracin.influence((torch.tensor([[1, 2]]), None)).shape == (1, 1)
    with pytest.raises(Unsupported, match="more than once"):
        tracin.split((torch.tensor([[1, 2]]), None), (torch.tensor([[1, 2]]), None))
