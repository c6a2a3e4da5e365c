"""Trials together in one pass: what is joined, repeated and taken apart again."""

from typing import NamedTuple

import pytest
import torch
from torch import nn
from transformers.modeling_outputs import SequenceClassifierOutput

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.robust.trials import Trial, TrialModel, joined, repeated, rows_of


def test_tensors_and_tuples_are_joined_and_nothing_else():
    a, b = torch.zeros(1, 2), torch.ones(2, 2)
    assert torch.equal(joined([a, b]), torch.cat([a, b]))
    assert torch.equal(joined([(a, a), (b, b)])[1], torch.cat([a, b]))
    with pytest.raises(CaptumAssertion, match="perturbations_per_eval=1"):
        joined(["text", "more"])


def test_only_rows_of_examples_are_repeated():
    assert repeated(torch.tensor([1, 2]), 2, 2).tolist() == [1, 2, 1, 2]
    assert repeated(torch.tensor([1, 2, 3]), 2, 2).tolist() == [1, 2, 3]
    assert repeated(torch.tensor(5), 1, 2).item() == 5
    assert repeated("word", 2, 2) == "word"


def test_rows_of_every_kind_of_output():
    class Pair(NamedTuple):
        left: torch.Tensor
        right: list

    t, rows = torch.arange(6).view(3, 2), slice(1, 3)
    assert torch.equal(rows_of(t, rows), t[1:])
    output = rows_of(SequenceClassifierOutput(logits=t), rows)
    assert isinstance(output, SequenceClassifierOutput) and torch.equal(output.logits, t[1:])
    pair = rows_of(Pair(t, [t, "word"]), rows)
    assert isinstance(pair, Pair) and torch.equal(pair.right[0], t[1:]) and pair.right[1] == "word"


def test_neighbours_share_a_pass_unless_they_are_of_another_layer():
    net, passes = nn.Linear(2, 1), []

    def forward(x):
        passes.append(len(x))
        return net(x)

    x, here = torch.ones(1, 2), torch.full((1, 1), 7.0)
    plain = [Trial(label, x, x) for label in "abc"]
    at_layer = [Trial(label, here, x, net, (here,)) for label in "de"]
    outputs = list(TrialModel(forward, None, ()).outputs([*plain, *at_layer], 2))
    assert [trial.label for trial, _ in outputs] == list("abcde")
    assert passes == [2, 1, 2]
    for trial, output in outputs:
        torch.testing.assert_close(output, here if trial.layer is not None else net(x))


def test_inputs_of_different_shapes_go_alone():
    passes = []
    trials = [Trial(length, None, torch.ones(1, length)) for length in (2, 2, 3)]
    outputs = TrialModel(lambda x: passes.append(len(x)) or x.sum(1), None, ()).outputs(trials, 8)
    assert [(trial.label, int(output)) for trial, output in outputs] == [(2, 2), (2, 2), (3, 3)]
    assert passes == [2, 1]


def test_trials_are_made_when_they_are_needed():
    made = []

    def trials():
        for label in range(9):
            made.append(label)
            yield Trial(label, None, torch.ones(1, 2))

    next(TrialModel(lambda x: x, None, ()).outputs(trials(), 2))
    assert made == [0, 1]


def test_the_model_comes_back_as_it_was_also_on_failure():
    net = nn.Linear(2, 1)
    before = fingerprint(net)
    trial = Trial("a", None, torch.ones(1, 2), net, (torch.ones(1, 1), torch.ones(1, 1)))
    with pytest.raises(ValueError, match="carries 1"):
        list(TrialModel(net, None, ()).outputs([trial], 1))
    with pytest.raises(RuntimeError):
        list(TrialModel(net, None, ()).outputs([Trial("a", None, torch.ones(1, 3))], 1))
    assert fingerprint(net) == before
