"""Where a model takes its inputs, and weights that are only there while it runs."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.offload import device_of, weight_of


def test_inputs_go_where_the_first_weight_is_or_is_brought():
    class Hook:
        execution_device = "cpu"

    away = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.Linear(2, 2))
    assert device_of(away) == torch.device("cpu")
    nowhere = nn.Sequential(nn.Linear(2, 2, device="meta"))
    assert device_of(nowhere) == torch.device("cpu")
    Hook.execution_device = "cuda:1"
    nowhere[0]._hf_hook = Hook()
    assert device_of(nowhere) == torch.device("cuda:1")


def test_a_weight_that_is_never_brought_is_missed():
    with pytest.raises(InvalidInput, match="no device"):
        weight_of(nn.Linear(2, 2, device="meta"), lambda: torch.ones(1) + 1)


def test_a_weight_is_read_while_the_model_runs():
    away, brought = nn.Linear(2, 2, device="meta"), torch.eye(2)

    def run():
        away.weight = nn.Parameter(brought.clone())
        torch.ones(1) + 1
        away.weight = nn.Parameter(brought.to("meta"))

    assert torch.equal(weight_of(away, run), brought)
    assert away.weight.is_meta


def test_a_weight_that_is_there_names_the_device_before_a_hook():
    layer = torch.nn.Linear(2, 2)
    layer._hf_hook = SimpleNamespace(execution_device="meta")
    assert device_of(layer) == torch.device("cpu")
    assert device_of(layer.to("meta")) == torch.device("meta")
