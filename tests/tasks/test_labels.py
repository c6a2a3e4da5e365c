"""The labels of a classifier: names, indices and contrasts as targets."""

from types import SimpleNamespace

import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.tasks.labels import Labels


def test_hyphenated_labels_contrast():
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label = {0: "non-toxic", 1: "toxic"}
    explainer = xai_nlp.load(model, tokenizer)
    assert explainer.explain("a film", target="non-toxic").target.label == "non-toxic"
    target = explainer.explain("a film", target="toxic-non-toxic").target
    assert (target.label, target.contrast) == ("toxic", "non-toxic")


SINGLE = Labels(("non-toxic", "toxic", "Toxic"), "single_label_classification")


@pytest.mark.parametrize(
    ("label", "index"), [("non-toxic", 0), ("NON-TOXIC", 0), ("label:non-toxic", 0), ("toxic", 1), ("Toxic", 2), (2, 2)]
)
def test_a_label_goes_by_its_name_its_case_or_its_index(label, index):
    assert SINGLE.index(label) == index


@pytest.mark.parametrize("label", ["tocsic", "TOXIC", 3, -1, True])
def test_a_label_that_is_not_there_or_not_one_is_refused(label):
    with pytest.raises(UnknownName):
        SINGLE.index(label)


def test_weights_of_labels_contrasts_and_predictions():
    logits = torch.tensor([[0.0, 2.0, 1.0], [3.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    specs, weights = SINGLE.weights([None, "toxic-non-toxic", "Toxic"], logits, "logit")
    assert weights.tolist() == [[0, 1, 0], [-1, 1, 0], [0, 0, 1]]
    assert [(s.label, s.contrast, s.position) for s in specs] == [
        ("toxic", None, 1),
        ("toxic", "non-toxic", 1),
        ("Toxic", None, 2),
    ]
    with pytest.raises(InvalidInput, match="with itself"):
        SINGLE.weights(["toxic-toxic"], logits[:1], "logit")


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        ("single_label_classification", lambda z: z.exp() / z.exp().sum()),
        ("multi_label_classification", lambda z: 1 / (1 + (-z).exp())),
        ("regression", lambda z: z),
    ],
)
def test_outputs_are_shown_in_the_unit_of_their_kind(kind, function):
    logits = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    (outputs,) = Labels(("a", "b", "c"), kind).outputs(logits[None])
    assert list(outputs) == ["a", "b", "c"]
    assert list(outputs.values()) == pytest.approx(function(logits).tolist())


def test_units_that_a_model_does_not_have():
    several, number = Labels(("a", "b"), "multi_label_classification"), Labels(("a",), "regression")
    assert SINGLE.link("log-probability") == "log-probability"
    assert several.link("probability") == "independent probability"
    for labels, unit in ((several, "log-probability"), (number, "probability"), (number, "log-probability")):
        with pytest.raises(InvalidInput, match="use unit='logit'"):
            labels.link(unit)
    with pytest.raises(UnknownName, match="Did you mean 'logit'"):
        SINGLE.link("logits")
    assert number.spec(0, None, "logit").kind == "output"


def test_labels_of_a_config():
    config = SimpleNamespace(num_labels=1, id2label={}, problem_type=None)
    assert Labels.of(config) == Labels(("LABEL_0",), "regression")
    config = SimpleNamespace(num_labels=2, id2label={0: "a"}, problem_type="multi_label_classification")
    assert Labels.of(config) == Labels(("a", "LABEL_1"), "multi_label_classification")
