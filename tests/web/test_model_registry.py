"""The models that are offered: what they are asked, how they are watched, how they are handed back."""

import base64
import io

import pytest
from PIL import Image
from pydantic import ValidationError

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from xai_nlp.core.result import TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.web.examples import examples
from xai_nlp.web.explain_request import ExplainRequest, image_bytes
from xai_nlp.web.job_queue import Cancelled
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry


def png(width=4, height=4, kind="PNG"):
    held = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(held, kind)
    return base64.b64encode(held.getvalue()).decode()


def nothing(*given):
    pass


@pytest.mark.parametrize("number", range(4))
def test_each_example_is_what_the_explainer_says(offer, number):
    ask = ExplainRequest(**examples()[number])
    assert offer.checked(ask) is ask
    passes = []
    (why,) = offer.explain(ask, passed=lambda: passes.append(1), progress=nothing)
    explainer = offer.explainer(ask.model)
    again = explainer.explain(*ask.inputs(explainer.task))
    assert why == again
    assert passes


@pytest.mark.parametrize("model", ["sentiment", "qa", "vqa"])
@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "attention_integrated_gradients", "lrp"])
def test_a_cancelled_model_is_handed_back_untouched(offer, model, method):
    ask = ExplainRequest(**next(example for example in examples() if example["model"] == model)).model_copy(
        update={"methods": [method]}
    )
    before, left = fingerprint(offer.explainer(model).model), [2]

    def passed():
        left[0] -= 1
        if not left[0]:
            raise Cancelled

    with pytest.raises(Cancelled):
        offer.explain(ask, passed=passed, progress=nothing)
    assert fingerprint(offer.explainer(model).model) == before


def test_progress_counts_methods(offer):
    ask = ExplainRequest(model="sentiment", text="fine", methods=["saliency", "occlusion", "lrp"])
    told = []
    found = offer.explain(ask, passed=nothing, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 1)] * 3
    assert [why.method for why in found] == ask.methods


def test_options_reach_the_explainer(offer):
    ask = ExplainRequest(model="sentiment", text="a fine film", target="NEGATIVE", baseline="mask", unit="probability",
              layers=True, attention=True)  # fmt: skip
    (why,) = offer.explain(ask, passed=nothing, progress=nothing)
    assert why.target == TargetSpec(kind="label", label="NEGATIVE", position=0, unit="probability")
    assert (why.baseline, why.unit) == ("mask", "probability")
    assert why.layers is not None
    assert why.attention
    vqa = examples()[3]
    ask = ExplainRequest(
        **vqa, rather_than="red", answer="yellow", regions="grid:2", image_baseline="black", moves="image"
    )
    (why,) = offer.explain(ask, passed=nothing, progress=nothing)
    assert (why.target.kind, why.target.label, why.target.contrast) == ("answer", "yellow", "red")
    assert len(why.image.boxes) == 4


def test_only_what_is_offered_is_loaded(offer, tmp_path):
    for name in ("../../etc", "distilbert/distilbert-base-uncased", str(tmp_path), "zoo/sentiment", ""):
        with pytest.raises(UnknownName, match="--model"):
            offer.explainer(name)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ({"model": "sentiment"}, "text is empty"),
        ({"model": "sentiment", "text": " \n"}, "text is empty"),
        ({"model": "sentiment", "text": "a", "context": "b"}, "context does not belong"),
        ({"model": "sentiment", "text": "a", "answer": "b"}, "answer does not belong"),
        ({"model": "qa", "question": "a"}, "context is empty"),
        ({"model": "qa", "question": "a", "context": "b", "regions": "slic"}, "regions does not belong"),
        ({"model": "vqa", "question": "a"}, "image is empty"),
        ({"model": "sentiment", "text": "a", "methods": ["lime", "lime"]}, "named twice"),
    ],
)
def test_asks_that_do_not_fit(offer, ask, message):
    with pytest.raises(InvalidInput, match=message):
        offer.checked(ExplainRequest(**ask))


def test_a_method_that_is_not_there(offer):
    with pytest.raises(UnknownName, match="Did you mean 'saliency'"):
        offer.checked(ExplainRequest(model="sentiment", text="a", methods=["salience"]))


@pytest.mark.parametrize(
    "values",
    [{"text": 5}, {"text": None, "model": None}, {"evil": 1}, {"methods": []}, {"methods": ["lime"] * 7},
     {"layers": "yes"}, {"layers": 1}, {"regions": "grid:500"}, {"regions": "../x"}, {"text": "x" * 20_001},
     {"target": "x" * 501}, {"methods": "lime"}, {"image": 5}],
)  # fmt: skip
def test_values_of_another_kind(values):
    with pytest.raises(ValidationError):
        ExplainRequest(**{"model": "sentiment", "text": "a", **values})


def test_images():
    assert image_bytes(png()).startswith(b"\x89PNG")
    for kind in ("JPEG", "WEBP", "GIF", "BMP"):
        assert image_bytes(png(kind=kind))
    few = Limits(image=100, pixels=20)
    with pytest.raises(InvalidInput, match="at most 100"):
        image_bytes(base64.b64encode(b"x" * 101).decode(), few)
    with pytest.raises(InvalidInput, match="5 × 5 pixels"):
        image_bytes(png(5, 5), few)
    for content in (b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF89a", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InvalidInput, match="no image of a kind"):
            image_bytes(base64.b64encode(content).decode())
    with pytest.raises(InvalidInput, match="no image of a kind"):
        image_bytes(png(kind="TIFF"))  # a kind that nobody needs here
    with pytest.raises(InvalidInput, match="base64"):
        image_bytes("no base64!")


def test_a_prompt_goes_to_a_model_that_writes():
    writer = xai_nlp.load(*writing("gpt2"))
    offer, passes = ModelRegistry({"writer": writer}), []
    ask = offer.checked(
        ExplainRequest(model="writer", prompt="The plot is thin", answer=" great movie", methods=["saliency"])
    )
    (why,) = offer.explain(ask, passed=lambda: passes.append(1), progress=nothing)
    assert why == writer.explain("The plot is thin", answer=" great movie", method="saliency")
    assert passes
    assert ask.title == "The plot is thin"
    assert (offer.first("text-generation"), offer.first("question-answering")) == ("writer", None)


def test_a_folder_is_offered_under_its_name(tmp_path, monkeypatch):
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path / "mine")
    tokenizer.save_pretrained(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    offer = ModelRegistry.of(["mine"])
    assert [one["name"] for one in offer.listed()] == ["mine", "sentiment", "qa", "vqa"]
    assert offer.first("text-classification") == "mine"  # what was asked for comes before what is there anyway
    assert offer.explain(ExplainRequest(model="mine", text="great movie"), passed=nothing, progress=nothing)
