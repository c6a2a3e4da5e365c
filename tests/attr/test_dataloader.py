"""Scores of whole data sets against Captum's."""

import math
from typing import Any

import captum.attr as captum
import pytest
import torch
from hypothesis import given
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import xai_nlp.attr as ours
from tests.attr.gradient_cases import SINGLE, quick, same
from tests.attr.helper_cases import BOTH, Words, drawn, seeds
from tests.attr.networks import Net

REFUSED_DATALOADER = {
    "other method": lambda lib: lib.DataLoaderAttribution(lib.Saliency(nn.Linear(2, 1))),
    "roles": lambda lib: over(lib, torch.ones(4, 2), input_roles=(0, 1)),
    "no role": lambda lib: over(lib, torch.ones(4, 2), input_roles=(1,)),
    "rows of baselines": lambda lib: over(lib, torch.ones(4, 2), baselines=(torch.ones(2, 2),)),
    "number of baselines": lambda lib: over(lib, torch.ones(4, 2), baselines=(0, 1)),
    "rows of masks": lambda lib: over(lib, torch.ones(4, 2), feature_mask=(torch.ones(2, 2).long(),)),
    "no tensor": lambda lib: over(lib, torch.ones(4, 2), reduce=lambda *_: 1.0),
}


@pytest.mark.parametrize("why", sorted(REFUSED_DATALOADER))
def test_dataloader_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_DATALOADER[why](lib)


def over(lib: Any, data: Any, **how: Any) -> Any:
    data = data if isinstance(data, tuple) else (data,)
    loader = DataLoader(TensorDataset(*data), batch_size=3)
    return lib.DataLoaderAttribution(lib.FeatureAblation(how.pop("net", nn.Flatten()))).attribute(loader, **how)


def correct(state: Any, output: torch.Tensor, inputs: tuple[Any, ...]) -> Any:
    """Counts of what was right, and of all."""
    right = (output.argmax(1) == inputs[-1]).sum() + (state[0] if state else 0)
    return right, len(output) + (state[1] if state else 0)


METRICS: dict[str, dict[str, Any]] = {
    "outputs": {},
    "sum": {"reduce": lambda state, output, inputs: output.sum(0) + (0 if state is None else state)},
    "loss": {"reduce": lambda state, output, inputs: output.square().sum() + (0 if state is None else state)},
    "accuracy": {"reduce": correct, "to_metric": lambda state: state[0] / state[1]},
}


@given(seeds)
@quick
def test_data_sets(seed):
    dice = drawn(seed)
    rows, net = dice.randint(1, 7), Net(dice.randint(1, 4), 3, smooth=True)
    a, b, labels = torch.randn(rows, 4), torch.randn(rows, 3), torch.randint(0, 3, (rows,))
    metric = dice.choice(sorted(METRICS))
    data, roles, shapes = dice.choice(
        [((a, b, labels), (0, 0, 2), [4, 3]), ((a, b, labels), (0, 1, 2), [4]), ((a, labels), (0, 2), [4])]
    )
    how: dict[str, Any] = {
        "net": net,
        "input_roles": roles,
        "baselines": dice.choice([None, tuple(dice.choice([0.5, torch.randn(1, n)]) for n in shapes)]),
        "feature_mask": dice.choice([None, tuple(torch.randint(0, 5, (1, n)) for n in shapes)]),
        "perturbations_per_pass": dice.randint(1, 4),
        "return_input_shape": dice.random() < 0.7,
        **METRICS[metric],
    }
    found = [over(lib, data, **dict(how)) for lib in BOTH]
    same(found[1], found[0], torch.float32, SINGLE)


def test_data_sets_of_images_without_roles():
    """Every entry of a picture, several axes."""
    data = torch.randn(5, 2, 3)
    found = [over(lib, data, reduce=lambda state, output, inputs: output.sum(0)) for lib in BOTH]
    same(found[1], found[0], torch.float32, SINGLE)
    assert found[1][0].shape == (6, 2, 3)


def test_data_sets_of_bare_tensors():
    """Captum goes through a bare tensor row by row, and explains the first row alone; ours takes it for the batch."""
    rows = [torch.tensor([1.0, 2.0]), torch.tensor([3.0, 5.0])]
    attribution = ours.DataLoaderAttribution(ours.FeatureAblation(lambda x: x.sum(1)))

    def total(state, output, inputs):
        return output.sum() + (0 if state is None else state)

    scores = attribution.attribute(DataLoader(rows, batch_size=2), reduce=total)  # type: ignore[arg-type]
    assert torch.equal(scores, torch.tensor([[4.0, 7.0]]))


def test_whole_numbers_stay_whole():
    """Token ids are replaced, not multiplied: Captum's turn into floats, which an embedding refuses."""
    net = Words(2)
    ids = torch.randint(0, 11, (5, 3))
    scores = over(
        ours, ids, net=net, reduce=lambda state, output, inputs: output.sum(0) + (0 if state is None else state)
    )
    without = ids.clone()
    without[:, 1] = 0
    expected = net(ids).sum(0) - net(without).sum(0)
    torch.testing.assert_close(scores[0][:, 1], expected.detach())


def test_a_float_baseline_of_whole_numbers_stays_a_float():
    """Closed form: of a sum over the data each entry's score is the sum of its distances from the baseline."""
    data = torch.tensor([[3, 0], [1, 5], [2, 2], [4, 1]])
    total = {"reduce": lambda state, output, inputs: output.sum() + (0 if state is None else state)}
    (scores,) = over(ours, data, net=lambda x: x.float().sum(1), baselines=(0.5,), **total)
    torch.testing.assert_close(scores, torch.tensor([[8.0, 6.0]]))
    (reference,) = over(captum, data, net=lambda x: x.float().sum(1), baselines=(0.5,), **total)
    torch.testing.assert_close(scores, reference)


class Counted:
    """A data loader that counts the passes over it."""

    def __init__(self, data: torch.Tensor) -> None:
        self.loader, self.passes = DataLoader(TensorDataset(data), batch_size=3), 0

    def __iter__(self) -> Any:
        self.passes += 1
        return iter(self.loader)


@pytest.mark.parametrize("per_pass", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("mask", [None, (torch.tensor([[0, 0, 1, 3, 3]]),)])
def test_a_pass_for_each_block_of_features(per_pass, mask):
    data, features = torch.randn(7, 5), 5 if mask is None else 4
    found = []
    for lib in BOTH:
        counted = Counted(data)
        scores = lib.DataLoaderAttribution(lib.FeatureAblation(lambda x: torch.tanh(x))).attribute(
            counted,
            feature_mask=mask,
            perturbations_per_pass=per_pass,
            reduce=lambda state, output, inputs: output.sum(0) + (0 if state is None else state),
        )
        assert counted.passes == math.ceil(features / per_pass) + 2
        found.append(scores)
    same(found[1], found[0], torch.float32, SINGLE)
    for lib in BOTH:
        with pytest.raises(AssertionError):
            over(lib, data, perturbations_per_pass=0)


def test_progress_over_a_data_set(capsys):
    over(ours, torch.randn(7, 5), perturbations_per_pass=2, show_progress=True)
    assert "Data Loader Attribution attribution: 100%" in capsys.readouterr().err.splitlines()[-1]


def test_no_graph_is_kept_of_the_passes():
    """As in Captum: the function runs without gradients."""
    net, data = torch.nn.Linear(5, 2), torch.randn(7, 5)
    recorded = []
    for lib in BOTH:
        method = lib.DataLoaderAttribution(
            lib.FeatureAblation(lambda x: recorded.append(torch.is_grad_enabled()) or net(x))
        )
        (scores,) = method.attribute(DataLoader(TensorDataset(data), batch_size=3))
        assert not scores.requires_grad
    assert not any(recorded)
