"""A Subject: entered at a layer with a cached prefix, moved input by input, in parts, against closed forms."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.tasks.passes import calls_of, rows_counted
from xai_nlp.core.batching import Batching
from xai_nlp.core.features import FeatureMask
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import find_method

B, WIDTH = 5, 6


class Block(nn.Module):
    """A layer of its own class, so that its calls can be counted."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        return torch.tanh(self.linear(x)) + x


class Net(nn.Module):
    """Four layers over a sum of two inputs, and two outputs."""

    def __init__(self, dtype=torch.float64):
        super().__init__()
        self.question, self.image = nn.Linear(WIDTH, WIDTH), nn.Linear(3, WIDTH)
        self.layers = nn.ModuleList(Block() for _ in range(4))
        self.head = nn.Linear(WIDTH, 2)
        self.to(dtype)

    def forward(self, question, image):
        x = self.question(question) * self.image(image)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def subject_of(net, *, target=0, batching=None):
    """The net with two inputs that enter as arguments; baselines are not zero."""
    draws = torch.Generator().manual_seed(1)
    question, image, question0, image0 = (
        torch.randn(B, size, generator=draws, dtype=torch.float64) for size in (WIDTH, 3, WIDTH, 3)
    )

    def forward(arguments, owner):
        return net(arguments.get("question", question[owner]), arguments.get("image", image[owner]))

    return Subject(
        forward=forward,
        read=lambda run, owner: run()[:, [target]],
        inputs={
            "question": MovableInput(x=(question,), baseline=(question0,)),
            "image": MovableInput(x=(image,), baseline=(image0,)),
        },
        examples=B,
        batching=batching or Batching(),
    )


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


EXACT = {"steps": 40, "rule": "gauss_legendre"}


# Inputs that move ----------------------------------------------------------------------------------------------------


def test_all_inputs_move_together(net):
    subject = subject_of(net)
    scores = find_method("integrated_gradients", EXACT).attribute(subject)
    ends = (
        net(*(one.x[0] for one in subject.inputs.values())),
        net(*(one.baseline[0] for one in subject.inputs.values())),
    )
    change = (ends[0] - ends[1])[:, :1].detach()
    assert [t.shape for t in scores.tensors] == [(B, 1, WIDTH), (B, 1, 3)]
    torch.testing.assert_close(sum(t.sum(2) for t in scores.tensors), change, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("moving", "still"), [("question", "image"), ("image", "question")])
def test_an_input_that_does_not_move_stays_at_x(net, moving, still):
    subject = subject_of(net)
    problem = subject.problem([moving])
    assert len(problem.x) == 1
    scores = find_method("integrated_gradients", EXACT).scores(problem)
    ends = {name: one.x[0] for name, one in subject.inputs.items()}
    start = {**ends, moving: subject.inputs[moving].baseline[0]}
    change = (net(**ends) - net(**start))[:, :1].detach()
    torch.testing.assert_close(scores.tensors[0].sum(2), change, atol=1e-9, rtol=0)
    without = {**ends, still: subject.inputs[still].baseline[0]}
    assert not torch.allclose(change, (net(**ends) - net(**without))[:, :1])


def test_inputs_keep_their_order_and_their_features(net):
    subject = subject_of(net)
    assert subject.problem(["image", "question"]).x[0].shape == (B, 3)
    assert subject.problem().features is None
    columns = {"question": torch.arange(WIDTH)[None] // 2, "image": torch.arange(3)[None] * 0 + 3}
    inputs = {name: replace(one, features=columns[name]) for name, one in subject.inputs.items()}
    problem = replace(subject, inputs=inputs).problem()
    assert isinstance(problem.features, FeatureMask) and problem.features.count == 4
    removed = find_method("occlusion").scores(problem).tensors
    x, x0 = ([one.x[0] for one in inputs.values()], [one.baseline[0] for one in inputs.values()])
    plain = net(*x)[:, 0]
    for feature in range(4):
        moved = [torch.where(columns[name] == feature, b, a) for name, a, b in zip(inputs, x, x0, strict=True)]
        loss = plain - net(*moved)[:, 0]
        at = removed[0][:, 0, 2 * feature] if feature < 3 else removed[1][:, 0, 0]
        torch.testing.assert_close(at, loss.detach(), atol=1e-9, rtol=0)


def test_observed_points_come_before_the_inputs(net):
    subject = subject_of(net)
    points = [ModulePoint(net.layers[1]), ModulePoint(net.layers[3])]
    slope = subject.problem(observe=points).slope_at_x()
    assert [t.shape for t in slope.sites] == [(B, WIDTH), (B, WIDTH)]
    torch.testing.assert_close(slope.gradients[1][:, 0], net.head.weight[0].detach().expand(B, WIDTH))
    tensors = (
        find_method("conductance", {"steps": 40}).scores(subject.problem(observe=points, also_inputs=True)).tensors
    )
    assert [t.shape[2:] for t in tensors] == [(WIDTH,), (WIDTH,), (WIDTH,), (3,)]
    flow = tensors[0].sum(2)
    torch.testing.assert_close(tensors[1].sum(2), flow, atol=1e-4, rtol=0)  # what flows through one layer flows on
    torch.testing.assert_close(tensors[2].sum(2) + tensors[3].sum(2), flow, atol=1e-4, rtol=0)


# Entered at a layer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [None, 2, 1])
@pytest.mark.parametrize("k", range(4))
def test_a_layer_entered_with_a_cached_prefix_is_complete_in_float64(net, k, rows):
    subject = subject_of(net, batching=Batching(limit=rows))
    entered = subject.at(ModulePoint(net.layers[k]))
    scores = find_method("integrated_gradients", EXACT).attribute(entered)
    values = [net(*(getattr(one, end)[0] for one in subject.inputs.values()))[:, :1] for end in ("x", "baseline")]
    torch.testing.assert_close(scores.tensors[0].sum(2), (values[0] - values[1]).detach(), atol=1e-9, rtol=0)
    torch.testing.assert_close(scores.value, values[0].detach())
    torch.testing.assert_close(scores.baseline_value, values[1].detach())


@pytest.mark.parametrize("k", range(4))
def test_scores_of_an_entered_layer_are_those_of_the_rest_of_the_net_alone(net, k):
    """The rest of the net as a function of the layer's output, without hooks."""
    subject = subject_of(net)
    entered = subject.at(ModulePoint(net.layers[k]))
    (one,) = entered.inputs.values()

    def rest(arguments, owner):
        x = arguments["layer"]
        for layer in net.layers[k + 1 :]:
            x = layer(x)
        return net.head(x)

    alone = replace(entered, forward=rest, inputs={"layer": replace(one, point=None)}, prefix=type(entered.prefix)())
    for method in ("saliency", "integrated_gradients", "shapley", "input_x_gradient"):
        ours, expected = (find_method(method).attribute(one).tensors[0] for one in (entered, alone))
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


@pytest.mark.parametrize("rows", [None, 2, 1])
def test_modules_before_an_entered_layer_do_not_run_again(net, rows):
    """Not at any step: those before it run for its tensors and for the cache, however many steps follow."""
    subject = subject_of(net, batching=Batching(limit=rows))
    parts = 1 if rows is None else -(-B // rows)
    for k in (1, 2, 3):
        counts = []
        for steps in (8, 64):
            entered = subject.at(ModulePoint(net.layers[k]))
            method = find_method("integrated_gradients", {"steps": steps})
            counts.append([calls_of(layer, lambda: method.attribute(entered)) for layer in net.layers])  # noqa: B023
        assert [count[: k + 1] for count in counts] == [[0] * (k + 1)] * 2
        assert k == 3 or counts[1][3] >= counts[0][3] >= parts
    before = calls_of(net.layers[0], lambda: subject.at(ModulePoint(net.layers[2])))
    assert before == 2 * parts  # x, whose pass is recorded, and the baseline; the trial uses what was recorded


def test_layers_run_where_the_inputs_move(net):
    """Conductance goes from the inputs through the layer: every module runs at every step."""
    problem = subject_of(net, batching=Batching(limit=4)).problem(observe=[ModulePoint(net.layers[2])])
    method = find_method("conductance", {"steps": 16})
    first, last = (calls_of(layer, lambda: method.scores(problem)) for layer in (net.layers[0], net.layers[3]))
    assert first == last >= 16 * B / 4


def test_no_pass_has_more_rows_than_the_limit(net):
    for rows in (1, 2, 3):
        subject = subject_of(net, batching=Batching(limit=rows))
        with rows_counted(net.head) as sizes:
            entered = subject.at(ModulePoint(net.layers[2]))
            find_method("integrated_gradients").attribute(entered)
            subject.tensors([ModulePoint(net.layers[0])], at_baseline=True)
        assert max(sizes) == rows


def test_out_of_memory_in_the_first_pass_halves_it(net):
    expected = find_method("integrated_gradients", EXACT).attribute(subject_of(net).at(ModulePoint(net.layers[1])))
    with rows_counted(net.head, limit=2) as sizes:
        entered = subject_of(net).at(ModulePoint(net.layers[1]))
        scores = find_method("integrated_gradients", EXACT).attribute(entered)
    assert sizes[0] == B and sizes[1] == 2
    torch.testing.assert_close(scores.tensors[0], expected.tensors[0], atol=1e-12, rtol=0)


# Several points ------------------------------------------------------------------------------------------------------


def test_points_entered_apart_share_their_passes(net):
    """`at_each` gives what `at` gives for each, from the passes of one."""
    subject, points = subject_of(net), [ModulePoint(net.layers[k]) for k in (0, 2)]
    together = subject.at_each([[point] for point in points])
    for entered, point in zip(together, points, strict=True):
        ours, alone = (find_method("saliency").attribute(one).tensors[0] for one in (entered, subject.at(point)))
        torch.testing.assert_close(ours, alone, atol=0, rtol=0)
    one = calls_of(net.layers[0], lambda: subject.at(points[1]))
    assert calls_of(net.layers[0], lambda: subject.at_each([[point] for point in points])) == one


def test_points_that_move_together_are_complete(net):
    """The two projections of the inputs, which do not depend on each other."""
    subject = subject_of(net)
    entered = subject.at([ModulePoint(net.question), ModulePoint(net.image)])
    scores = find_method("integrated_gradients", EXACT).attribute(entered)
    assert len(scores.tensors) == len(entered.inputs) == 2
    change = scores.value - scores.baseline_value
    torch.testing.assert_close(sum(t.sum(2) for t in scores.tensors), change, atol=1e-9, rtol=0)


def test_a_baseline_of_ones_own_at_a_layer(net):
    point = ModulePoint(net.layers[3])
    entered = subject_of(net).at(point, torch.zeros_like)
    (one,) = entered.inputs.values()
    assert not one.baseline[0].any()
    scores = find_method("integrated_gradients", {"steps": 9}).attribute(entered)
    torch.testing.assert_close(scores.tensors[0][:, 0], one.x[0] * net.head.weight[0].detach())  # linear from there on


def test_a_subject_entered_twice(net):
    first = subject_of(net).at(ModulePoint(net.layers[0]))
    twice, direct = first.at(ModulePoint(net.layers[2])), subject_of(net).at(ModulePoint(net.layers[2]))
    ours, expected = (find_method("integrated_gradients", EXACT).attribute(one).tensors[0] for one in (twice, direct))
    torch.testing.assert_close(ours, expected, atol=1e-10, rtol=0)


# Tensors at points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("at_baseline", [False, True])
def test_tensors_at_points_for_x_and_for_the_baseline(net, at_baseline, rows):
    subject = subject_of(net, batching=Batching(limit=rows))
    end = "baseline" if at_baseline else "x"
    question, image = (getattr(one, end)[0] for one in subject.inputs.values())
    expected = net.question(question) * net.image(image)
    points = [ModulePoint(net.layers[0], "input"), ModulePoint(net.layers[0])]
    (entered,), (left,) = subject.tensors(points, at_baseline=at_baseline)
    torch.testing.assert_close(entered, expected.detach())
    torch.testing.assert_close(left, net.layers[0](expected).detach())


def test_a_tensor_that_passes_once_counts_for_every_example(net):
    """As position embeddings do: one row for the whole batch."""
    table = nn.Embedding(1, WIDTH, dtype=torch.float64)
    plain = subject_of(net)

    def forward(arguments, owner):
        return plain.forward(
            {"question": plain.inputs["question"].x[0][owner] + table(torch.zeros(1, dtype=int))}, owner
        )

    for rows in (None, 2):
        subject = replace(plain, forward=forward, batching=Batching(limit=rows))
        ((once,),) = subject.tensors([ModulePoint(table)])
        torch.testing.assert_close(once, table.weight.detach().expand(B, WIDTH))


def test_one_example_of_a_batch_is_as_it_is_alone(net):
    subject = subject_of(net)
    for e in range(B):
        one = {
            n: replace(i, x=(i.x[0][e : e + 1],), baseline=(i.baseline[0][e : e + 1],))
            for n, i in subject.inputs.items()
        }

        def forward(arguments, owner, e=e):
            return subject.forward(arguments, owner * 0 + e)

        alone = replace(subject, forward=forward, inputs=one, examples=1)
        for method in ("integrated_gradients", "shapley"):
            ours, expected = (
                find_method(method).attribute(s.at(ModulePoint(net.layers[1]))).tensors[0] for s in (subject, alone)
            )
            torch.testing.assert_close(ours[e : e + 1], expected, atol=1e-9, rtol=0)


def test_the_run_is_at_x(net):
    subject = subject_of(net)
    owner = torch.tensor([3, 0, 3])
    question, image = (one.x[0][owner] for one in subject.inputs.values())
    torch.testing.assert_close(subject.run(owner), net(question, image))
    assert subject.everyone.tolist() == list(range(B))
    values = torch.cat([values for _, values in subject.chunks(lambda part: subject.run(subject.everyone[part]))])
    torch.testing.assert_close(values, net(*(one.x[0] for one in subject.inputs.values())))
