"""Nodes of a graph found and hooked after the pass."""

import pytest
import torch
import torch.nn.functional as F
from torch.autograd.graph import saved_tensors_hooks

from xai_nlp.errors import Unsupported
from xai_nlp.hooks.graph_rules import graph_nodes, hook_nodes, replace_saved


def negated(nodes):
    for node in nodes:
        node.register_hook(lambda to_inputs, to_outputs: tuple(-gradient for gradient in to_inputs))


def test_every_node_is_found_once_by_its_kind():
    x = torch.randn(3, requires_grad=True)
    inner = torch.relu(x)
    kinds = graph_nodes((inner * inner + F.relu(x) + x.clone().relu_()).sum())
    counts = {"SumBackward0": 1, "AddBackward0": 2, "MulBackward0": 1, "ReluBackward0": 3, "CloneBackward0": 1}
    assert {kind: len(nodes) for kind, nodes in kinds.items()} == counts | {"AccumulateGrad": 1}
    assert graph_nodes(torch.ones(2).sum()) == {}
    assert list(graph_nodes(x)) == []


def test_hooks_hold_for_every_backward_pass_of_the_graph_and_for_no_other():
    x = torch.tensor([1.0, -1.0], requires_grad=True)
    y = torch.relu(x)
    hook_nodes(graph_nodes(y), {"ReluBackward0": negated, "TanhBackward0": negated})
    for _ in range(2):
        assert torch.autograd.grad(y.sum(), x, retain_graph=True)[0].tolist() == [-1, 0]
    assert torch.autograd.grad(torch.relu(x).sum(), x)[0].tolist() == [1, 0]


def test_what_a_node_saved_is_replaced_for_every_backward_pass():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = x * torch.tensor([3.0, 4.0])
    asked = []
    replace_saved(y.grad_fn, "other", lambda: asked.append(1) or torch.tensor([5.0, 6.0]))
    assert not asked
    for _ in range(2):
        assert torch.autograd.grad(y.sum(), x, retain_graph=True)[0].tolist() == [5, 6]
    assert len(asked) == 2 and y.tolist() == [3, -8]


def test_hooks_of_others_on_saved_tensors_are_refused():
    x = torch.tensor([1.0], requires_grad=True)
    with saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
        y = x * torch.tensor([3.0])
    with pytest.raises(Unsupported, match="save_on_cpu"):
        replace_saved(y.grad_fn, "other", lambda: x.detach())
    assert torch.autograd.grad(y, x)[0].tolist() == [3]
