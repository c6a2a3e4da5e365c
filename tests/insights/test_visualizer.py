"""Captum Insights' names: predictions, filters, scores and features, against values worked out by hand."""

import base64
import io

import pytest
import torch
from PIL import Image
from torch import nn

from tests.insights.networks import Weighed, numbers
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.insights import (
    AttributionVisualizer,
    Batch,
    EmptyFeature,
    GeneralFeature,
    ImageFeature,
    TextFeature,
)
from xai_nlp.insights.calculation import transform
from xai_nlp.insights.config import METHODS

ROWS = [[3.0, 1.0], [1.0, 2.0], [5.0, 4.0], [0.0, 1.0], [2.0, 1.0]]  # predicted a, b, a, b, a
LABELS = [0, 0, 1, 1, 0]  # right, wrong, wrong, right, right


def labels_of(results):
    return [example[0].predicted[0].label for example in results]


def bases(results):
    return [example[0].feature_outputs[0].base[0] for example in results]


def test_an_example_is_told_as_captum_tells_it():
    [[one], *_] = numbers(ROWS, LABELS, score_func=lambda o: torch.softmax(o, 1)).visualize()
    assert [score.label for score in one.predicted] == ["a", "b"]
    assert one.predicted[0].score == pytest.approx(1 / (1 + torch.tensor(-2.0).exp().item()))
    assert one.actual == (100.0, 0, "a")
    assert (one.active_index, one.model_index) == (0, 0)
    [feature] = one.feature_outputs
    assert feature.base == ["p: 3.00", "q: 1.00"]
    assert feature.modified == pytest.approx([100.0, 0.0])  # class a is p alone: IG gives 3 and 0, of norm 3
    assert (feature.name, feature.type, feature.contribution) == ("numbers", "general", 1.0)


def test_each_round_gives_the_next_and_begins_again():
    shown = numbers(ROWS, LABELS, num_examples=2)
    assert [bases(shown.visualize()) for _ in range(3)] == [
        ["p: 3.00", "p: 1.00"], ["p: 5.00", "p: 0.00"], ["p: 2.00", "p: 3.00"],
    ]  # fmt: skip
    assert bases(shown.visualize()) == ["p: 1.00", "p: 5.00"]


def test_no_example_comes_twice_in_a_round():
    shown = numbers(ROWS, LABELS, num_examples=50)
    assert len(shown.visualize()) == 5
    assert sorted(bases(shown.visualize())) == sorted(f"p: {p:.2f}" for p, _ in ROWS)


@pytest.mark.parametrize(
    ("settings", "accepted"),
    [
        ({"prediction": "correct"}, "p: 3.00 p: 0.00 p: 2.00"),
        ({"prediction": "incorrect"}, "p: 1.00 p: 5.00"),
        ({"classes": ["b"]}, "p: 1.00 p: 0.00"),
        ({"classes": ["a"], "prediction": "incorrect"}, "p: 5.00"),
        ({"classes": ["a", "b"]}, "p: 3.00 p: 1.00 p: 5.00 p: 0.00 p: 2.00"),
    ],
)
def test_filters(settings, accepted):
    shown = numbers(ROWS, LABELS, num_examples=5)
    shown.settings = shown.settings.changed(settings)
    assert " ".join(bases(shown.visualize())) == accepted


def test_without_labels_nothing_is_wrong_and_all_are_kept():
    shown = numbers(ROWS, None, num_examples=5)
    shown.settings = shown.settings.changed({"prediction": "incorrect"})
    results = shown.visualize()
    assert len(results) == 5
    assert all(example[0].actual is None for example in results)


def test_another_target_explains_the_same_examples_again():
    shown = numbers(ROWS, LABELS, num_examples=2)
    first = shown.fetch()
    assert [why.target.label for why in first] == ["a", "b"]
    shown.settings = shown.settings.changed({"target": "b"})
    again = shown.again()
    assert [why.target.label for why in again] == ["b", "b"]
    assert [why.segments for why in again] == [why.segments for why in first]
    assert again[0].scores == pytest.approx((0.0, 1.0))


def test_two_models_side_by_side():
    models = [Weighed([[1.0, 0.0], [0.0, 1.0]]), Weighed([[0.0, 1.0], [1.0, 0.0]])]
    features, data = GeneralFeature("x", ["p", "q"]), [Batch(torch.tensor([[3.0, 1.0]]), torch.tensor([0]))]
    shown = AttributionVisualizer(models, ["a", "b"], features, data)
    [[one, two]] = shown.visualize()
    assert (one.predicted[0].label, two.predicted[0].label) == ("a", "b")
    assert (one.model_index, two.model_index) == (0, 1)
    assert [why.model for why in shown.again()] == ["Weighed 1", "Weighed 2"]


class Sees(nn.Module):
    """Pixels weighed 1, words weighed by their embedding, and a number that counts thrice."""

    def forward(self, image, words, number, scale=1.0):
        total = image.flatten(1).sum(1) + words.flatten(1).sum(1) + 3 * number.flatten(1).sum(1)
        return torch.stack([total * scale, torch.zeros_like(total)], 1)


def several(**options):
    table = nn.Parameter(torch.tensor([[0.0, 0.0], [1.0, 2.0], [-4.0, 0.5]]))
    features = [
        ImageFeature("Photo", lambda x: x * 0, [lambda x: x * 2]),
        TextFeature("Words", [lambda x: x * 0], lambda x: table[x], lambda x: [f"w{int(i)}" for i in x.squeeze(0)]),
        EmptyFeature("number"),
    ]
    image = torch.arange(12.0).reshape(1, 3, 2, 2) / 12
    batch = Batch((image, torch.tensor([[1, 2]]), torch.tensor([[0.5]])), (0,), options.pop("extra", None))
    return AttributionVisualizer([Sees()], ["yes", "no"], features, [batch], **options)


def test_features_of_several_kinds():
    shown = several()
    [[one]] = shown.visualize()
    image, words, number = one.feature_outputs
    pixels, text, third = 2 * sum(range(12)) / 12, 3 - 3.5, 1.5
    total = abs(pixels) + abs(text) + abs(third)
    assert [f.contribution for f in one.feature_outputs] == pytest.approx([pixels / total, text / total, third / total])
    assert words.base == ["w1", "w2"]
    assert words.modified == pytest.approx([100 * 3 / 3.5, -100.0])
    assert (number.base, number.modified, number.type) == (None, None, "empty")
    photo = Image.open(io.BytesIO(base64.b64decode(image.base)))
    assert photo.size == (2, 2)
    assert photo.getpixel((1, 1)) == tuple(round(255 * n / 12) for n in (3, 7, 11))
    assert Image.open(io.BytesIO(base64.b64decode(image.modified))).size == (2, 2)
    [why] = shown.again()
    assert why.image.scores == pytest.approx([2 * (12 + 3 * k) / 12 for k in range(4)])
    assert why.scores == pytest.approx((3.0, -3.5))
    assert not why.complete  # the number has no place in the drawing
    assert why.value - why.baseline_value == pytest.approx(pixels + text + third)


def test_other_arguments_reach_the_model():
    [[one]] = several(extra=torch.tensor([10.0])).visualize()
    [[plain]] = several().visualize()
    assert one.predicted[0].score == pytest.approx(10 * plain.predicted[0].score, rel=1e-6)


def test_scores_add_up_in_the_drawing():
    why, *_ = numbers(ROWS, LABELS).fetch()
    assert why.complete
    assert why.residual == pytest.approx(0, abs=1e-6)
    assert why.gold == ("a",)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_runs_and_hands_the_model_back(name):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(2 * 16, 3)).train()
    feature = ImageFeature("Photo", lambda x: x * 0, None)
    shown = AttributionVisualizer(model, ["a", "b", "c"], feature, [Batch(torch.rand(2, 1, 6, 6), [0, 1])])
    arguments = {"sliding_window_shapes": "1 2 2", "strides": "1 2 2"} if name == "Occlusion" else {}
    shown.settings = shown.settings.changed({"method": name, "arguments": arguments})
    before = fingerprint(model)
    results = shown.fetch()
    assert len(results) == 2
    assert fingerprint(model) == before
    if results[0].complete:
        assert abs(results[0].residual) < 0.02


def test_occlusion_takes_several_inputs():
    shown = several()
    shown.settings = shown.settings.changed({"method": "Occlusion"})
    [[one]] = shown.visualize()
    words = one.feature_outputs[1]
    assert words.modified == pytest.approx([100 * 3 / 3.5, -100.0])  # one word at a time, with all of its embedding


def test_one_output_whose_class_is_read_from_it():
    model = nn.Sequential(Weighed([[0.0, 1.0]]), nn.Sigmoid())
    shown = AttributionVisualizer(model, ["neg", "pos"], GeneralFeature("x", ["p", "q"]),
                                  [Batch(torch.tensor([[1.0, 4.0]]), [1])], use_label_for_attr=False)  # fmt: skip
    [[one]] = shown.visualize()
    assert (one.predicted[0].label, one.actual.label) == ("pos", "pos")
    assert one.feature_outputs[0].modified[0] == pytest.approx(0)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"method": "Nope"}, UnknownName, "Nope"),
        ({"target": "Nope"}, UnknownName, "Nope"),
        ({"prediction": "Nope"}, UnknownName, "Nope"),
        ({"examples": 0}, InvalidInput, "from 1 to 100"),
        ({"examples": "many"}, InvalidInput, "an integer"),
        ({"arguments": {"n_steps": 1}}, InvalidInput, "from 2 on"),
        ({"arguments": {"nope": 1}}, UnknownName, "nope"),
        ({"nope": 1}, UnknownName, "nope"),
    ],
)
def test_settings_that_cannot_be(values, error, message):
    shown = numbers(ROWS, LABELS)

    def visualize():
        shown.settings = shown.settings.changed(values)
        shown.visualize()

    with pytest.raises(error, match=message):
        visualize()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: numbers(ROWS, [0, 1]).visualize(), "one row an example"),
        (lambda: numbers(ROWS, LABELS, dataset=[]).visualize(), "gives no example"),
        (lambda: GeneralFeature("x", ["p"]).words(torch.ones(1, 2)), "1 categories and 2 columns"),
        (lambda: ImageFeature("x", None, None).image(torch.ones(1, 4, 2, 2)), "one or three channels"),
        (lambda: transform(several().features, next(Batch(torch.ones(1, 2), None).examples())), "as many features"),
    ],
)
def test_data_that_does_not_fit(make, message):
    with pytest.raises(InvalidInput, match=message):
        make()
