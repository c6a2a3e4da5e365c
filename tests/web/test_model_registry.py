"""The models that are offered: their requests, their passes, and that they are handed back."""

import base64
import io
from dataclasses import dataclass

import pytest
from PIL import Image

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.tasks.test_zero_shot_classification import inference
from xai_nlp.core.result import TargetSpec
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import request_schema
from xai_nlp.web.job_queue import Cancelled
from xai_nlp.web.model_registry import ModelRegistry


def png(width=4, height=4, kind="PNG"):
    held = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(held, kind)
    return base64.b64encode(held.getvalue()).decode()


def nothing():
    pass


@dataclass
class Bar:
    """A bar that remembers what it was told."""

    total: int = 0
    passes: int = 0

    def update(self, passes):
        self.passes += passes


def test_a_model_is_offered_for_each_task_that_it_does_with_its_methods():
    registry = ModelRegistry({})
    registry.add("plain", xai_nlp.load(*tiny("bert")))
    registry.add("nli", xai_nlp.load(*inference()))
    assert {one["name"]: one["task"] for one in registry.to_list()} == {
        "nli": "text-classification",
        "nli (zero-shot)": "zero-shot-classification",
        "plain": "text-classification",
    }
    assert registry.explainer("nli").model is registry.explainer("nli (zero-shot)").model
    offered = {one["name"]: one["methods"] for one in ModelRegistry.of().to_list()}
    assert "attention_rollout" in offered["sentiment"] and "grad_cam" in offered["image"]
    assert not [name for name in offered["image"] if METHODS[name].operates_on == "attention"]


def test_a_copy_is_of_a_model_under_all_its_names_and_goes_with_the_model():
    registry = ModelRegistry({})
    registry.add("nli", xai_nlp.load(*inference()))
    assert not registry.prepare("nli", 0), "too large"
    assert registry.prepare("nli", 10**9)
    plain, zero_shot = (registry.second.explainer(name) for name in ("nli", "nli (zero-shot)"))
    assert plain.model is zero_shot.model is not registry.explainer("nli").model
    registry.add("nli", xai_nlp.load(*inference()))  # another model of that name
    assert not registry.second.explainers


@pytest.mark.parametrize("number", range(4))
def test_each_example_is_what_the_explainer_says(models, number):
    request = request_schema()(**examples()[number])
    passes = []
    (why,) = models.explain(request, on_pass=lambda: passes.append(1), progress=None)
    inputs = {name: value for name, value in examples()[number].items() if name != "model"}
    if "image" in inputs:
        inputs["image"] = base64.b64decode(inputs["image"])
    assert why == models.explainer(request.model).explain(**inputs)
    assert passes


@pytest.mark.parametrize("model", ["sentiment", "qa", "vqa", "image"])
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "attention_integrated_gradients", "lrp"])
def test_a_cancelled_model_is_handed_back_untouched(models, model, method):
    example = next(example for example in examples() if example["model"] == model)
    request = request_schema()(**example).model_copy(update={"method": [method]})
    before, left = fingerprint(models.explainer(model).model), [2]

    def on_pass():
        left[0] -= 1
        if not left[0]:
            raise Cancelled

    if model == "image" and method.startswith("attention"):
        with pytest.raises(Unsupported, match="choose another method"):
            models.explain(request, on_pass=on_pass, progress=None)
        return
    with pytest.raises(Cancelled):
        models.explain(request, on_pass=on_pass, progress=None)
    assert fingerprint(models.explainer(model).model) == before


def test_progress_counts_passes_over_all_methods(models):
    one = request_schema()(model="sentiment", text="fine", method=["saliency"])
    bars = []
    for methods in (["saliency"], ["saliency", "occlusion", "lrp"]):
        bars.append(Bar())
        request = one.model_copy(update={"method": methods})
        results = models.explain(request, on_pass=nothing, progress=bars[-1])
        assert [why.method for why in results] == methods
    assert [bar.passes for bar in bars] == [bar.total for bar in bars]
    assert bars[1].passes > bars[0].passes > 0


def test_rows_are_explained_in_place_of_the_inputs(models, sentiment):
    request = request_schema()(model="sentiment", method=["occlusion", "lrp"], target="NEGATIVE")
    rows = [Record(4, {"text": "a dull film"}), Record(5, {"text": " "}), Record(7, {"text": "a fine film"})]
    why = models.explain(request, on_pass=nothing, progress=None, rows=rows)
    expected = sentiment.explain(["a dull film", "a fine film"], method=["occlusion", "lrp"], target="NEGATIVE")
    assert [(one.segments, one.method, one.target) for one in why] == [
        (one.segments, one.method, one.target) for one in expected
    ]
    assert [one.scores for one in why] == [pytest.approx(one.scores, abs=1e-4) for one in expected]
    assert list(why.errors) == [1]
    with pytest.raises(InvalidInput, match="text: leave it out"):
        models.explain(request.model_copy(update={"text": "x"}), on_pass=nothing, progress=None, rows=rows)


def test_a_model_that_is_added_comes_first(models):
    registry = ModelRegistry(dict(models.explainers))
    before = registry.explainers
    registry.add("own/sentiment", models.explainer("sentiment"))
    assert registry.first("text-classification") == "own/sentiment"
    assert "own/sentiment" not in before  # threads that read the table are not disturbed
    registry.add("qa", models.explainer("qa"))
    assert list(registry.explainers) == ["qa", "own/sentiment", "sentiment", "vqa", "image"]


def test_options_reach_the_explainer(models):
    flows = {"layers": True, "attention": True}
    options = {"target": "NEGATIVE", "baseline": "mask", "unit": "probability", **flows}
    request = request_schema()(model="sentiment", text="a fine film", **options)
    (why,) = models.explain(request, on_pass=nothing, progress=None)
    assert why.target == TargetSpec(kind="label", label="NEGATIVE", position=0, unit="probability")
    assert (why.baseline, why.unit) == ("mask", "probability")
    assert why.layers is not None
    assert why.attention
    vqa = examples()[3]
    request = request_schema()(
        **vqa, rather_than="red", answer="yellow", regions="grid:2", image_baseline="black", moves="image"
    )
    (why,) = models.explain(request, on_pass=nothing, progress=None)
    assert (why.target.kind, why.target.label, why.target.contrast) == ("answer", "yellow", "red")
    assert len(why.image.boxes) == 4


def test_only_what_is_offered_is_loaded(models, tmp_path):
    for name in ("../../etc", "distilbert/distilbert-base-uncased", str(tmp_path), "zoo/sentiment", ""):
        with pytest.raises(UnknownName, match="--model"):
            models.explainer(name)


def test_a_prompt_goes_to_a_model_that_writes():
    writer = xai_nlp.load(*writing("gpt2"))
    models, passes = ModelRegistry({"writer": writer}), []
    request = request_schema()(model="writer", prompt="The plot is thin", answer=" great movie", method=["saliency"])
    (why,) = models.explain(request, on_pass=lambda: passes.append(1), progress=None)
    assert why == writer.explain("The plot is thin", answer=" great movie", method="saliency")
    assert passes
    assert request.title == "The plot is thin"
    assert (models.first("text-generation"), models.first("question-answering")) == ("writer", None)


def test_a_folder_is_offered_under_its_name(tmp_path, monkeypatch):
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    models = ModelRegistry.of(["own"])
    assert [one["name"] for one in models.to_list()] == ["own", "sentiment", "qa", "vqa", "image"]
    assert models.first("text-classification") == "own"  # a named model comes before the embedded one
    assert models.explain(request_schema()(model="own", text="great movie"), on_pass=nothing, progress=None)
