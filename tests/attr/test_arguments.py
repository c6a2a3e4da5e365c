"""Every `attribute` method documents its result, its arguments and its errors, and takes numbers of every kind."""

import inspect
import re

import captum.attr
import numpy as np
import pytest
import torch

import xai_nlp.attr as ours
from tests.attr.shared_names import CLASSES
from xai_nlp.attr.arguments import SHARED as ARGUMENTS
from xai_nlp.attr.arguments import document
from xai_nlp.errors import InvalidInput

ATTRIBUTING = [name for name in CLASSES if inspect.isfunction(getattr(getattr(ours, name), "attribute", None))]


@pytest.mark.parametrize("name", ATTRIBUTING)
def test_attribute_documents_its_result_its_arguments_and_its_errors(name):
    attribute = getattr(ours, name).attribute
    text = inspect.getdoc(attribute)
    summary, _, rest = text.partition("\n")
    assert re.search(r"\([1BMTn](, [^)]+)?\)", summary) or "shape" in summary or "LimeBase" in attribute.__qualname__, (
        summary
    )
    for parameter in inspect.signature(attribute).parameters:
        assert parameter == "self" or re.search(rf"^    {parameter}: \S", rest, re.M), f"{parameter} is not described"
    assert "Raises" in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_every_shared_description_is_used():
    taken = {
        key
        for name in ATTRIBUTING
        for parameter in inspect.signature(getattr(ours, name).attribute).parameters.values()
        for key in (parameter.name, str(parameter.annotation))
    }
    assert set(ARGUMENTS) <= taken


def test_a_docstring_is_completed():
    def attribute(self, inputs, baselines: "BaselineDistribution", own=1):  # noqa: F821
        """Scores: (B,).

        own: its own,
            in two lines.

        A note.
        """

    document(attribute)
    summary, arguments, errors, note = attribute.__doc__.split("\n\n")
    assert (summary, note) == ("Scores: (B,).", "A note.")
    assert [
        line.split(":")[0].strip() for line in arguments.splitlines() if line.startswith("    ") and line[4] != " "
    ] == [
        "inputs",
        "baselines",
        "own",
    ]
    assert "to take baselines from" in arguments and arguments.endswith("own: its own,\n        in two lines.")
    assert errors.splitlines()[0] == "Raises:" and len(errors.splitlines()) == 3


# Numbers and types -----------------------------------------------------------------------------------------------


def test_whole_numbers_work_as_features_and_not_as_ids():
    features = torch.tensor([[1, 2, 3]])
    steps = np.int64(5)
    for cls in (ours.IntegratedGradients, captum.attr.IntegratedGradients):
        scores = cls(lambda x: (x.float() ** 2).sum(1)).attribute(features, n_steps=int(steps))
        assert scores.tolist() == [pytest.approx([1.0, 4.0, 9.0])]
    scores = ours.IntegratedGradients(lambda x: (x.float() ** 2).sum(1)).attribute(features, n_steps=steps)
    assert scores.tolist() == [pytest.approx([1.0, 4.0, 9.0])]
    table = torch.nn.Embedding(5, 2)
    with pytest.raises(InvalidInput, match="Token ids can be explained at a layer"):
        ours.IntegratedGradients(lambda ids: table(ids).sum((1, 2))).attribute(features)


def test_a_negative_standard_deviation_is_refused():
    with pytest.raises(InvalidInput, match="stdevs is a number of at least 0"):
        ours.NoiseTunnel(ours.Saliency(lambda x: x.sum(1))).attribute(torch.ones(1, 3), stdevs=-1.0)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (ours.FeatureAblation, {}),
        (ours.Occlusion, {"sliding_window_shapes": (1,)}),
        (ours.ShapleyValueSampling, {}),
        (ours.ShapleyValues, {}),
        (ours.KernelShap, {"n_samples": 200}),
        (ours.Lime, {"n_samples": 200}),
    ],
)
def test_a_forward_function_may_change_its_input_in_place(cls, options):
    inputs = torch.ones(1, 3)

    def doubled(x):
        x *= 2
        return x.sum(1)

    scores = cls(doubled).attribute(inputs, **options)
    assert scores.tolist() == [pytest.approx([2.0] * 3, abs=0.15)]
    assert inputs.tolist() == [[1.0] * 3]
