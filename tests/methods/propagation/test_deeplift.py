"""Differences add up, and are what the published formulas say."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.methods.propagation.problems import WORDS_ONCE, of_words
from xai_nlp.core.batching import Batching
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods import find_method
from xai_nlp.methods.propagation.deeplift import DeepLiftMethod


@pytest.mark.parametrize("name", WORDS_ONCE)
def test_differences_add_up_on_every_architecture(name):
    model, problem = of_words(name)
    with frozen_model(model, evaluate=True):
        result = DeepLiftMethod().scores(problem)
    assert result.value is not None and result.baseline_value is not None
    total, size = result.tensors[0].flatten(2).sum(2), result.tensors[0].abs().flatten(2).sum(2)
    assert ((total - (result.value - result.baseline_value)).abs() < 1e-5 * size + 1e-5).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a * b,
        lambda a, b: a / (b * b + 1),
        lambda a, b: torch.softmax(a * b, 1),
        lambda a, b: torch.log_softmax(a + b, 1) * a,
        lambda a, b: torch.einsum("bi,bi->b", a, b)[:, None] * a,
        lambda a, b: (a[:, None] @ torch.tanh(b)[:, :, None]).flatten(1),
        lambda a, b: F.layer_norm(a, (4,)) * b.exp(),
        lambda a, b: F.max_pool1d(F.relu(a * b)[:, None], 3, 1).flatten(1),
        lambda a, b: F.rms_norm(a - b, (4,)),
        lambda a, b: (a + b) ** 3,
    ],
)
def test_differences_add_up_through_functions(function):
    torch.manual_seed(0)
    x, x0 = (tuple(torch.randn(5, 4).double() for _ in range(2)) for _ in range(2))
    problem = Problem(value=lambda z, owner: function(*z).sum(1, keepdim=True), x=x, baseline=x0)
    result = DeepLiftMethod().scores(problem)
    total = sum(t.flatten(2).sum(2) for t in result.tensors)
    torch.testing.assert_close(total, result.value - result.baseline_value, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(result.value, function(*x).sum(1, keepdim=True), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("function", [torch.softmax, torch.log_softmax])
def test_a_shift_of_all_logits_changes_nothing(function):
    """Multipliers are the slope then, and small; exponentials and their sum apart would be e⁹ times as large."""
    torch.manual_seed(0)
    x, weights = torch.randn(3, 5).double(), torch.randn(5).double()
    x[0, 2] = -torch.inf  # masked

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        return (function(z[0], -1).nan_to_num(neginf=0) * weights).sum(1, keepdim=True)

    shifted = Problem(value=value, x=(x + 9,), baseline=(x,))
    slope = find_method("saliency").scores(shifted).tensors[0]
    torch.testing.assert_close(DeepLiftMethod(multiply=False).scores(shifted).tensors[0], slope, atol=1e-12, rtol=1e-9)


def test_a_product_goes_by_its_shapley_value():
    a, b, a0, b0 = 3.0, 5.0, 1.0, -1.0
    x, x0 = (tuple(torch.tensor([[t]]) for t in pair) for pair in ((a, b), (a0, b0)))
    result = DeepLiftMethod().scores(Problem(value=lambda z, owner: z[0] * z[1], x=x, baseline=x0))
    shapley = ((a * b0 - a0 * b0 + a * b - a0 * b) / 2, (a0 * b - a0 * b0 + a * b - a * b0) / 2)
    assert [t.item() for t in result.tensors] == pytest.approx(shapley)


def test_what_does_not_change_goes_by_its_slope():
    x = torch.tensor([[0.5, -0.5]])
    result = DeepLiftMethod(multiply=False).scores(
        Problem(value=lambda z, owner: torch.tanh(z[0]), x=(x,), baseline=(x,))
    )
    slope = torch.diag_embed(1 - torch.tanh(x) ** 2)
    torch.testing.assert_close(result.tensors[0], slope)


@pytest.mark.parametrize("limit", [1, 2, 3, 8])
def test_an_example_and_its_baseline_count_as_two_rows(limit):
    sizes = []

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        sizes.append(len(owner))
        return torch.tanh(z[0]).sum(1, keepdim=True)

    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).double()
    problem = Problem(value=value, x=(x,), baseline=(x.roll(1, 0),), rows=Batching(limit=limit))
    result = DeepLiftMethod().scores(problem)
    torch.testing.assert_close(result.tensors[0].sum(2), result.value - result.baseline_value, atol=1e-12, rtol=0)
    assert max(sizes) == max(2, limit - limit % 2)
    assert sum(sizes) == 10
