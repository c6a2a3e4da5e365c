"""The calculation of one example: windows of occlusion, batches cut into samples."""

import pytest
import torch

from xai_nlp.errors import InvalidInput
from xai_nlp.insights.calculation import Batch, net_contributions, windows


def test_windows_fit_each_input():
    inputs = [torch.zeros(1, 3, 32, 16), torch.zeros(1, 5, 7), torch.zeros(1, 4)]
    own = ((3, 4, 2), (1, 7), (1,))
    assert windows(inputs) == {"sliding_window_shapes": own, "strides": own}
    arguments = windows(inputs, (3, 5, 5))
    assert arguments == {"sliding_window_shapes": ((3, 5, 5), *own[1:]), "strides": ((1, 1, 1), *own[1:])}
    assert windows(inputs, (3, 5, 5), (3, 2, 2))["strides"] == ((3, 2, 2), *own[1:])


def test_a_batch_is_cut_into_samples():
    batch = Batch((torch.arange(4.0).view(2, 2), torch.ones(2, 1)), [1, 0], (torch.tensor([5.0, 6.0]), "mode"))
    first, second = batch.examples()
    assert [x.tolist() for x in second.inputs] == [[[2.0, 3.0]], [[1.0]]]
    assert (first.label, second.label, second.extra[1]) == (1, 0, "mode")
    assert second.extra[0].tolist() == [6.0]
    with pytest.raises(InvalidInput, match="one row an example"):
        list(Batch(torch.ones(2, 1), [1]).examples())


def test_contributions_of_nothing_are_zero():
    assert net_contributions([torch.zeros(2), torch.zeros(1)]) == [0.0, 0.0]
