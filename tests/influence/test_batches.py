"""Batches, loaders and losses of examples."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.influence.batches import Batch, Loss, loader_of, training_loader

CPU = torch.device("cpu")


def test_labels_are_taken_out_of_dicts():
    data = {"input_ids": torch.ones(2, 3), "labels": torch.tensor([0, 1])}
    batch = Batch.of(data, CPU)
    assert set(batch.kwargs) == {"input_ids"}
    assert batch.labels.tolist() == [0, 1]
    assert set(Batch.of(data, CPU, own_loss=True).kwargs) == set(data)
    pair = Batch.of({"x": torch.ones(1), "start_positions": torch.ones(1), "end_positions": torch.ones(1)}, CPU)
    assert set(pair.labels) == {"start_positions", "end_positions"}
    assert Batch.of((1, 2, 3), CPU).args == (1, 2)
    rows = list(batch.rows(2))
    assert [row.labels.tolist() for row in rows] == [[0], [1]]
    assert rows[0].kwargs["input_ids"].shape == (1, 3)


def test_loaders():
    data = TensorDataset(torch.arange(6))
    shuffled = DataLoader(data, 2, shuffle=True)
    assert torch.cat([batch[0] for batch in loader_of(shuffled)]).tolist() == list(range(6))
    plain = DataLoader(data, 2)
    assert loader_of(plain) is plain
    one = loader_of((torch.ones(2),))
    assert [len(batch) for batch in one] == [1]
    assert loader_of(one) is one
    assert len(training_loader(data, 4)) == 2
    with pytest.raises(CaptumAssertion, match="batch_size"):
        training_loader(data, None)


def test_losses_of_examples():
    output, labels = torch.randn(3, 4), torch.tensor([0, 1, 3])
    expected = nn.functional.cross_entropy(output, labels, reduction="none")
    for reduction in ("none", "sum", "mean"):
        loss = Loss.checked(nn.CrossEntropyLoss(reduction=reduction), "loss_fn", reduced=reduction != "none")
        torch.testing.assert_close(loss.of_examples(output, labels), expected)
    torch.testing.assert_close(Loss(None, "sum").of_examples(output, None), output.sum(1))
    tokens = Loss(nn.CrossEntropyLoss(reduction="none"), "none")
    spread, targets = torch.randn(2, 4, 5), torch.randint(0, 4, (2, 5))
    torch.testing.assert_close(
        tokens.of_examples(spread, targets), nn.functional.cross_entropy(spread, targets, reduction="none").sum(1)
    )


def test_wrong_losses():
    output = torch.randn(3, 4)
    for function in (lambda out, labels: out.sum(), lambda out, labels: out[:2, 0], lambda out, labels: 1.0):
        with pytest.raises(CaptumAssertion, match="one loss for each example"):
            Loss(function, "none").of_examples(output, None)
    with pytest.raises(CaptumAssertion, match="one number for a batch"):
        Loss(lambda out, labels: out, "sum").of_examples(output, None)
    with pytest.raises(CaptumAssertion, match="one row for each example"):
        Loss(None, "sum").of_examples(torch.tensor(1.0), None)
    with pytest.raises(CaptumAssertion, match="callable"):
        Loss.checked(3, "loss_fn", reduced=True)  # type: ignore[arg-type]
