"""A plan: its name, its file, how it differs from another, and how it reads."""

import json
from dataclasses import replace

import pytest

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.runs.plan import PLAN_FILE, Plan, Prediction, plain_options

PLAN = Plan(
    data="rows.csv", data_fingerprint="d1", rows=2000, tokens=31000, model="zoo/sentiment", model_fingerprint="m1",
    task="text-classification", method="integrated_gradients", options={"steps": 8}, columns={"text": "review"},
    versions={"torch": "2.13"}, layout={"window": 2048},
)  # fmt: skip
PREDICTION = Prediction(seconds=200, memory=650_000_000, disk=3_200_000, trial_rows=120, trial_seconds=9.04)


def test_a_plan_comes_back_equal(tmp_path):
    plan = replace(PLAN, prediction=PREDICTION, method=["saliency", "occlusion"])
    plan.write_to(tmp_path)
    assert Plan.load(tmp_path) == plan
    assert json.loads((tmp_path / PLAN_FILE).read_text())["name"] == plan.name


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"data_fingerprint": "d2"}, ["the data has other rows or answers"]),
        ({"rows": 3, "data_fingerprint": "d2"}, ["data: rows was 2000 and is 3"]),
        ({"model_fingerprint": "m2"}, ["the model has other weights, config or tokenizer"]),
        ({"method": "occlusion"}, ["the method was integrated_gradients and is occlusion"]),
        ({"options": {}}, ["options: steps was 8 and is not given"]),
        ({"columns": {"text": "body"}}, ["data: columns was {'text': 'review'} and is {'text': 'body'}"]),
        ({"versions": {"torch": "2.14"}}, ["versions: torch was 2.13 and is 2.14"]),
        ({"task": "other"}, ["model: task was text-classification and is other"]),
        ({"layout": {"window": 1}}, ["layout: window was 2048 and is 1"]),
    ],
)
def test_the_name_and_the_difference_tell_plans_apart(change, named):
    other = replace(PLAN, **change)
    assert PLAN.differences(other) == named
    assert other.name != PLAN.name


def test_paths_and_predictions_are_no_difference():
    other = replace(PLAN, data="moved.csv", model="moved", prediction=PREDICTION, tokens=1)
    assert PLAN.differences(other) == [] and other.name == PLAN.name


def test_it_reads_in_a_few_lines():
    text = str(replace(PLAN, prediction=PREDICTION))
    for part in ("integrated_gradients, steps=8", "2,000 rows, 31,000 tokens", "3 min 20 s", "650.0 MB", "3.2 MB"):
        assert part in text


def test_other_files_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="holds no run"):
        Plan.load(tmp_path)
    for content, why in (("{", "no plan"), ('{"format": 2}', "format 2"), ('{"format": 1}', "missing required")):
        (tmp_path / PLAN_FILE).write_text(content)
        with pytest.raises(UnreadableFile, match=why):
            Plan.load(tmp_path)
    PLAN.write_to(tmp_path)
    (tmp_path / PLAN_FILE).write_text((tmp_path / PLAN_FILE).read_text().replace('"steps": 8', '"steps": 9'))
    with pytest.raises(UnreadableFile, match="was changed"):
        Plan.load(tmp_path)


def test_options_that_no_file_holds_are_refused():
    assert plain_options({"target": ("a", "b"), "steps": 3}) == {"target": ["a", "b"], "steps": 3}
    for value in (object(), float("nan")):
        with pytest.raises(InvalidInput, match="options of a run"):
            plain_options({"regions": value})
