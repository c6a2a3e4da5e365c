"""A forward function bound to its arguments: targets, baselines and outputs of any legal kind, refusals by name."""

import pytest
import torch
from torch import nn

from xai_nlp.core.captum_types import CaptumAssertion, NotRowwise, TargetOutOfRange
from xai_nlp.core.forward import Forward, baseline_distribution, baseline_tensors, output_tensor, select
from xai_nlp.hooks.model_state import fingerprint

OUTPUT = torch.arange(24.0).reshape(4, 3, 2)
OWNER = torch.tensor([1, 0, 1, 0])


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        (OUTPUT, (2, 1), [[5.0], [11.0], [17.0], [23.0]]),
        (OUTPUT, 2, [[4.0, 5.0], [10.0, 11.0], [16.0, 17.0], [22.0, 23.0]]),
        (OUTPUT, [(0, 0), (2, 1)], [[5.0], [6.0], [17.0], [18.0]]),
        (OUTPUT[..., 0], [0, 2], [[4.0], [6.0], [16.0], [18.0]]),
        (OUTPUT[..., 0], torch.tensor([0, 2]), [[4.0], [6.0], [16.0], [18.0]]),
        (OUTPUT[..., 0], torch.tensor(1), [[2.0], [8.0], [14.0], [20.0]]),
        (OUTPUT[:, 0, 0], None, [[0.0], [6.0], [12.0], [18.0]]),
    ],
)
def test_a_target_is_selected_in_each_row(output, target, expected):
    assert select(output, target, OWNER).tolist() == expected


def test_a_target_that_is_not_there_is_refused():
    with pytest.raises(TargetOutOfRange, match="target 3"):
        select(OUTPUT, 3, OWNER)
    with pytest.raises(CaptumAssertion, match="give an int"):
        select(OUTPUT, "cat", OWNER)  # type: ignore[arg-type]
    for output in (torch.tensor(1.0), OUTPUT[:3]):
        with pytest.raises(NotRowwise, match="4 rows"):
            select(output, 0, OWNER)


def test_baselines_take_the_shapes_of_their_inputs():
    inputs = (torch.ones(2, 3), torch.ones(2, 1, dtype=torch.long))
    numbers = baseline_tensors(inputs, (0.5, 7))
    assert [t.tolist() for t in numbers] == [[[0.5] * 3] * 2, [[7], [7]]]
    row = baseline_tensors(inputs[:1], torch.tensor([[1, 2, 3]]))
    assert row[0].dtype == torch.float32 and row[0].tolist() == [[1, 2, 3]] * 2
    for wrong in (0.0, (0, "zero"), (torch.zeros(2, 4), 0), (torch.zeros(3, 3), 0)):
        with pytest.raises(CaptumAssertion, match="baseline"):
            baseline_tensors(inputs, wrong)


def test_a_distribution_may_be_a_function_of_the_inputs():
    x = torch.ones(2, 3)
    assert baseline_distribution(x, lambda: (x, x)) == (x, x)
    assert torch.equal(baseline_distribution(x, lambda inputs: 2 * inputs)[0], 2 * x)
    assert baseline_distribution(x, x) == (x,)


def test_the_tensor_of_any_output():
    t = torch.ones(2)
    for output in (t, {"logits": t, "loss": 0}, {"loss": None, "scores": t}, (t, "cache"), [t]):
        assert output_tensor(output) is t
    assert output_tensor(1.5).item() == 1.5
    for output in ("text", (), {}):
        with pytest.raises(CaptumAssertion, match="forward function must return"):
            output_tensor(output)


def test_extra_arguments_follow_the_example_of_their_row():
    rows = torch.tensor([10.0, 20.0])
    forward = Forward.bind(lambda x, each, all_of_them: x[:, 0] + each + all_of_them, torch.zeros(2, 1), (rows, 3.0))
    assert forward.at_examples(torch.tensor([1, 1, 0])).tolist() == [23.0, 23.0, 13.0]
    assert forward.value(forward.inputs, forward.everyone).tolist() == [[13.0], [23.0]]


def test_arguments_that_do_not_fit_each_other_are_refused():
    x = torch.zeros(2, 3)
    for inputs, target in ((3.0, None), ((), None), ((x, x[:1]), None), (x[:0], None), (x.sum(), None), (x, [0, 1, 2])):
        with pytest.raises(CaptumAssertion):
            Forward.bind(nn.Identity(), inputs, target=target)
    assert Forward.bind(nn.Identity(), (x, x[:1]), batch_output=True).examples == 2
    with pytest.raises(CaptumAssertion, match="one number"):
        Forward.bind(nn.Identity(), x).one_number(x)


def test_results_are_shaped_as_the_inputs_were():
    x = torch.zeros(2, 3)
    assert Forward.bind(nn.Identity(), x).like_inputs([x]) is x
    assert Forward.bind(nn.Identity(), (x,)).like_inputs([x]) == (x,)


def test_the_model_behind_a_function_is_frozen_and_comes_back():
    model = nn.Linear(3, 2)
    before = fingerprint(model)
    for func in (model, model.forward):
        forward = Forward.bind(func, torch.zeros(2, 3))
        assert forward.model is model
        with forward.frozen():
            assert not model.weight.requires_grad
    assert fingerprint(model) == before
    assert Forward.bind(lambda x: model(x), torch.zeros(2, 3)).model is None


def test_a_parallel_model_runs_on_one_device():
    model = nn.Linear(3, 2)
    x = torch.randn(2, 3)
    forward = Forward.bind(nn.DataParallel(model), x)
    torch.testing.assert_close(forward.at_examples(forward.everyone), model(x))
