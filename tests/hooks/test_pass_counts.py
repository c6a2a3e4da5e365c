"""Counting what goes forward through a module."""

import pytest
import torch
from torch import nn

from xai_nlp.hooks.pass_counts import PassCount, forward_passes


def test_passes_and_rows_are_counted_by_position_and_by_name():
    layer = nn.Bilinear(2, 2, 1)
    told = []
    with forward_passes(layer, told.append) as count:
        layer(torch.zeros(4, 2), torch.zeros(4, 2))
        layer(input1=torch.zeros(3, 2), input2=torch.zeros(3, 2))
    assert count == PassCount(passes=2, rows=7)
    assert told == [4, 3]


def test_the_module_is_handed_back_also_after_an_error():
    layer = nn.Linear(2, 1)
    with pytest.raises(RuntimeError), forward_passes(layer) as count:
        layer(torch.zeros(5, 3))
    assert count.passes == 1
    layer(torch.zeros(5, 2))
    assert count.passes == 1
    assert not layer._forward_pre_hooks


def test_arguments_without_rows_count_as_none():
    module = nn.Identity()
    with forward_passes(module) as count:
        module(torch.zeros(3))
    assert count == PassCount(passes=1, rows=0)
