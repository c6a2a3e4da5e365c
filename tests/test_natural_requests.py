"""What people ask for in their own words: each request has its result, or its sentence. None raises a raw error."""

from collections.abc import Callable
from functools import partial
from typing import Any

import datasets
import numpy as np
import pandas
import pytest
import torch
from transformers import BertForTokenClassification, BertModel, TextClassificationPipeline

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import loaded
from tests.tasks.new_tasks import classifier as tiny_classifier
from xai_nlp import Explanation, Explanations
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported, XaiError

TEXT = "The film was great and who wrote it"
FRAME = pandas.DataFrame({"review": ["a fine film", "a dull film"], "label": ["POSITIVE", "NEGATIVE"]})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders as users have them: a whole one, and broken ones."""
    root = tmp_path_factory.mktemp("models")
    model, tokenizer = tiny("bert")
    for name in ("whole", "pickle", "no config"):
        model.save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    (root / "pickle" / "model.safetensors").rename(root / "pickle" / "pytorch_model.bin")
    (root / "no config" / "config.json").unlink()
    model.save_pretrained(root / "no tokenizer")
    for name, cls in (("entities", BertForTokenClassification), ("encoder", BertModel)):
        cls(model.config).save_pretrained(root / name)
        tokenizer.save_pretrained(root / name)
    model, tokenizer = tiny_classifier("bert", ("contradiction", "entailment"))
    model.save_pretrained(root / "inference")
    tokenizer.save_pretrained(root / "inference")
    (root / "empty").mkdir()
    FRAME.to_csv(root / "reviews.csv", index=False)
    return root


def classifier(**more: Any) -> dict[str, Any]:
    model, tokenizer = tiny("bert")
    return {"model": model, "tokenizer": tokenizer, "method": "saliency", **more}


def of_task(task: str, name: str = "bert", **more: Any) -> dict[str, Any]:
    model, tokenizer = tiny(name, task=task)
    return {"model": model, "tokenizer": tokenizer, "method": "saliency", **more}


def writer(**more: Any) -> dict[str, Any]:
    model, tokenizer = writing("gpt2")
    return {"model": model, "tokenizer": tokenizer, "method": "saliency", **more}


def viewer(**more: Any) -> dict[str, Any]:
    vilt = loaded("vilt")
    return {"model": vilt.model, "tokenizer": vilt.tokenizer, "processor": vilt.processor, "method": "saliency", **more}


explain = xai_nlp.explain
plain = partial(explain, method="saliency")
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
ONE, MANY = Explanation, Explanations

#: what is asked for -> (the call, given the folders; its type, or the error and its sentence)
REQUESTS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    # Models
    "the embedded model": (lambda f: plain("a film"), ONE),
    "an embedded model by name": (lambda f: plain("a film", model="sentiment"), ONE),
    "an embedded model with its prefix": (lambda f: plain("a film", model="zoo/sentiment"), ONE),
    "a folder": (lambda f: plain(TEXT, model=f / "whole"), ONE),
    "a folder as text": (lambda f: plain(TEXT, model=str(f / "whole")), ONE),
    "a folder and a dtype": (lambda f: plain(TEXT, model=f / "whole", dtype=torch.float64, device="cpu"), ONE),
    "a folder, automatic device": (lambda f: plain(TEXT, model=f / "whole", device="auto"), ONE),
    "an embedded model in another dtype": (lambda f: plain("a film", dtype=torch.float64), ONE),
    "a model and its tokenizer": (lambda f: explain(TEXT, **classifier()), ONE),
    "a model that was loaded": (lambda f: plain(TEXT, model=xai_nlp.load(*tiny("bert"))), ONE),
    "a pipeline": (lambda f: plain(TEXT, model=pipeline()), ONE),
    "a compiled model": (
        lambda f: explain(TEXT, **classifier(model=torch.compile(tiny("bert")[0], backend="eager"))), ONE),
    "a data-parallel model": (lambda f: explain(TEXT, **classifier(model=torch.nn.DataParallel(tiny("bert")[0]))), ONE),
    "another attention": (lambda f: xai_nlp.load(f / "whole", attn_implementation="eager").predict(TEXT), dict),
    "a model without its tokenizer": (
        lambda f: plain(TEXT, model=tiny("bert")[0]), (InvalidInput, "a model needs its tokenizer")),
    "a misspelt embedded model": (lambda f: plain(TEXT, model="sentimnt"), (UnknownName, "Did you mean 'sentiment'")),
    "a model of another task": (
        lambda f: plain(TEXT, model="qa"), (InvalidInput, r"does question answering: explain\(question=…, context=…")),
    "a head of another task": (
        lambda f: plain(TEXT, model="qa", task="text-classification"), (InvalidInput, "would be untrained")),
    "entities loaded as labels": (
        lambda f: plain(TEXT, model=f / "entities", task="text-classification"), (InvalidInput, "would be untrained")),
    "a bare encoder": (
        lambda f: plain(TEXT, model=f / "encoder"), (InvalidInput, r"does sentence similarity: .*pair=….*got text")),
    "a bare encoder for labels": (
        lambda f: plain(TEXT, model=f / "encoder", task="text-classification"), (InvalidInput, "would be untrained")),
    "two texts and an encoder": (lambda f: plain(TEXT, pair="a dull film", model=f / "encoder"), ONE),
    "labels of one's own": (lambda f: plain(TEXT, labels=["film", "food"], model=f / "inference"), ONE),
    "labels and no model of inference": (
        lambda f: plain(TEXT, labels=["film", "food"], model=f / "whole"), (Unsupported, "needs a model of inference")),
    "an empty folder": (lambda f: plain(TEXT, model=f / "empty"), (InvalidInput, "holds no config.json")),
    "a folder without a config": (lambda f: plain(TEXT, model=f / "no config"), (InvalidInput, "holds no config.json")),
    "pickled weights": (lambda f: plain(TEXT, model=f / "pickle"), (Unsupported, "could run code")),
    "a folder without a tokenizer": (
        lambda f: plain(TEXT, model=f / "no tokenizer"), (InvalidInput, "holds no tokenizer")),
    "a function as a model": (lambda f: plain(TEXT, model=len), (InvalidInput, "a model is a name, a folder")),
    "a number as a model": (lambda f: plain(TEXT, model=3), (InvalidInput, "a model is a name, a folder")),
    "a misspelt option of load": (lambda f: xai_nlp.load("sentiment", tokenzier=1), (UnknownName, "'tokenizer'")),
    "a device that is not there": (
        lambda f: explain(TEXT, **classifier(device="nowhere")), (InvalidInput, "cannot be moved to nowhere")),
    "a device of no name": (lambda f: plain(TEXT, device="nowhere"), (InvalidInput, "cannot be moved to nowhere")),
    "a dtype by name": (lambda f: plain("a film", dtype="float64"), ONE),
    "a misspelt dtype": (lambda f: plain(TEXT, dtype="float61"), (UnknownName, "Did you mean 'float64'|'float16'")),
    "a device for a model that is loaded": (
        lambda f: plain(TEXT, model=xai_nlp.load("sentiment"), device="cpu"), (InvalidInput, "loaded already")),
    # Inputs
    "a list": (lambda f: plain(["a film", "b"]), MANY),
    "a tuple is a pair": (lambda f: plain(("a film", "a book")), ONE),
    "a generator": (lambda f: plain(text for text in ("a film", "b")), MANY),
    "a series": (lambda f: plain(FRAME["review"]), MANY),
    "an array of texts": (lambda f: plain(np.array(["a film", "b"])), MANY),
    "a frame": (lambda f: plain(FRAME), MANY),
    "a frame and its column": (lambda f: plain(FRAME, column="review"), MANY),
    "a data set": (lambda f: plain(datasets.Dataset.from_pandas(FRAME)), MANY),
    "a dict of columns": (lambda f: plain({"text": ["a film", "b"]}), MANY),
    "a dict of questions": (lambda f: plain({"question": ["who?"], "context": ["Ada did it."]}), MANY),
    "a frame without texts": (
        lambda f: plain(pandas.DataFrame({"x": [1]})), (InvalidInput, "no column for text.*'x'")),
    "a column that is not there": (lambda f: plain(FRAME, column="revew"), (UnknownName, "Did you mean 'review'")),
    "a column without a table": (lambda f: plain("a film", column="x"), (InvalidInput, "names the columns of a table")),
    "a data set of splits": (
        lambda f: plain(datasets.DatasetDict(train=datasets.Dataset.from_pandas(FRAME))), (InvalidInput, "one split")),
    "one bad text of three": (
        lambda f: plain(["a film", None, "b"]), (InvalidInput, "text 1 has the wrong type")),
    "one bad text, recorded": (lambda f: plain(["a film", None, "b"], on_error="record"), MANY),
    "nothing": (lambda f: plain(""), (InvalidInput, "empty or only white space")),
    "an empty list": (lambda f: plain([]), (InvalidInput, "the list of text is empty")),
    "no input": (lambda f: plain(), (InvalidInput, "give the inputs of one task")),
    "None": (lambda f: plain(None), (InvalidInput, "give the inputs of one task")),
    "a number": (lambda f: plain(3), (InvalidInput, "wrong type.*got int")),
    "bytes": (lambda f: plain(b"a film"), (InvalidInput, "wrong type.*got bytes")),
    "a question alone": (lambda f: plain(question="who?"), (InvalidInput, "give the inputs of one task")),
    "a prompt without a model": (lambda f: plain(prompt="a"), (InvalidInput, "no embedded model does text generation")),
    "a text in another script": (
        lambda f: explain("電影電影", **classifier()), (InvalidInput, "does not know most of the text")),
    # Tasks
    "a question and its context": (lambda f: plain(question="Who?", context="Ada did it."), ONE),
    "many questions, one context": (lambda f: plain(question=["Who?", "What?"], context="Ada did it."), MANY),
    "a question about an image": (lambda f: explain(image=IMAGE, question="what is it?", **viewer()), ONE),
    "entities": (lambda f: explain(TEXT, entity="film", **of_task("token-classification")), ONE),
    "every entity": (lambda f: explain(TEXT, entity="all", **of_task("token-classification", model=named())), MANY),
    "a word at a mask": (lambda f: explain("the film was [MASK]", **of_task("fill-mask")), ONE),
    "a masked model and no mask": (
        lambda f: explain(TEXT, **of_task("fill-mask")), (InvalidInput, r"This model's mask is '\[MASK\]'")),
    "a translation": (lambda f: explain(TEXT, answer="great", **of_task("text2text-generation", "t5")), ONE),
    "a prompt": (lambda f: explain(prompt="The plot", answer=" great", **writer()), ONE),
    "a prompt given as a text": (
        lambda f: explain("The plot", **writer()), (InvalidInput, r"text generation: explain\(prompt=….*got text")),
    "a task that does not exist": (
        lambda f: plain(TEXT, task="text-clasification"), (UnknownName, "Did you mean 'text-classification'")),
    # Options
    "several methods": (lambda f: plain("a film", method=["saliency", "occlusion"]), MANY),
    "a method's options": (lambda f: plain("a film", method="lime", samples=20, seed=3), ONE),
    "a contrast": (lambda f: plain("a film", target="POSITIVE-NEGATIVE"), ONE),
    "a baseline text": (lambda f: plain("a film", method="integrated_gradients", baseline="a book"), ONE),
    "a misspelt option": (lambda f: plain("a film", bsaeline="pad"), (UnknownName, "Did you mean 'baseline'")),
    "a misspelt method": (lambda f: plain("a film", method="salincy"), (UnknownName, "Did you mean 'saliency'")),
    "no method": (lambda f: plain("a film", method=[]), (InvalidInput, "name at least one")),
    "a misspelt label": (lambda f: plain("a film", target="POSITVE"), (UnknownName, "Did you mean 'POSITIVE'")),
    "a label of another task": (
        lambda f: plain(question="Who?", context="Ada.", target="POSITIVE"), (UnknownName, "unknown target")),
    "a layer that is not there": (lambda f: plain("a film", layer=99), (UnknownName, "counted from 0")),
    "an answer that is not there": (
        lambda f: plain(question="Who?", context="Ada.", answer="Bob"), (InvalidInput, "does not hold the answer")),
    # Results
    "words and scores": (lambda f: list(plain("a film")), list),
    "the strongest words": (lambda f: plain("a film").top(1), list),
    "a frame of scores": (lambda f: plain(["a film"]).to_pandas(), pandas.DataFrame),
    "a summary": (lambda f: plain(["a film"]).summary(), pandas.DataFrame),
    "a slice": (lambda f: plain(["a film", "b"])[:1], MANY),
    "a saved list": (lambda f: saved_and_loaded(plain(["a film", "b"]), f / "why.jsonl"), MANY),
    "a file that is none": (lambda f: Explanations.load(f / "reviews.csv"), (XaiError, "is no JSON")),
}  # fmt: skip


def pipeline() -> TextClassificationPipeline:
    model, tokenizer = tiny("bert")
    return TextClassificationPipeline(model=model, tokenizer=tokenizer)


def named() -> Any:
    model, _ = tiny("bert", task="token-classification", fresh=True)
    model.config.id2label = {0: "O", 1: "B-PER"}
    return model


def saved_and_loaded(explanations: Explanations, path: Any) -> Explanations:
    explanations.save(path)
    assert Explanations.load(path) == explanations
    return Explanations.load(path)


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_has_its_result_or_its_sentence(name, folders, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    request, expected = REQUESTS[name]
    if isinstance(expected, type):
        result = request(folders)
        assert isinstance(result, expected)
        for why in result if isinstance(result, Explanations) else [result]:
            if isinstance(why, Explanation):
                assert any(why.scores), "an explanation of zeros explains nothing"
    else:
        error, sentence = expected
        with pytest.raises(error, match=sentence) as raised:
            request(folders)
        assert "\n" not in str(raised.value)
        assert str(raised.value).rstrip().endswith((".", "…", "`", ")", "?", "'"))


#: options of another type or out of bounds -> what the error says
WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"stride": -1}, "stride is a whole number from 0 on; got -1"),
    ({"stride": 1.5}, "stride is a whole number"),
    ({"method": None}, "method is a name of `xai-nlp methods`, or a list"),
    ({"method": 3}, "method is a name"),
    ({"method": ["saliency", 3]}, "unknown method 3"),
    ({"layer": "1"}, "layer is a whole number from 0 on; got '1'"),
    ({"layer": True}, "layer is a whole number"),
    ({"layer": -1}, "layer is a whole number from 0 on"),
    ({"baseline": 5}, "baseline is text; got 5"),
    ({"seed": "x", "method": "lime"}, "seed is a whole number from 0"),
    ({"max_length": "5"}, "max_length is a whole number from 1 on"),
    ({"max_length": 0}, "max_length is a whole number from 1 on"),
    ({"batch_size": "3"}, "batch_size is a whole number from 1 on"),
    ({"steps": 2.5}, "steps is a whole number, or 'auto'; got 2.5"),
    ({"steps": "many"}, "steps is a whole number, or 'auto'"),
    ({"tolerance": "x"}, "tolerance is a number"),
    ({"max_steps": "x"}, "max_steps is a whole number"),
    ({"max_steps": 0}, "max_steps must be at least 9"),
    ({"samples": -1, "method": "lime"}, "samples must be at least 1"),
    ({"noise": -1, "method": "smoothgrad"}, "noise is a standard deviation, 0 or more"),
    ({"layers": "yes"}, "layers is true or false; got 'yes'"),
    ({"attention": 1}, "attention is true or false"),
    ({"parts": "x"}, "parts is true or false"),
    ({"multiply": "x"}, "multiply is true or false"),
    ({"unit": 3}, "unknown unit 3"),
    ({"long": 3}, "unknown way to read long texts 3"),
    ({"target": 1.5}, "unknown label 1.5"),
    ({"target": {}}, "unknown label {}"),
    ({"target": ["A", "B"]}, "1 texts need as many targets"),
    ({"progress": 3}, "progress is True, False, a function"),
]


@pytest.mark.parametrize(("options", "says"), WRONG_OPTIONS, ids=[str(one) for one, _ in WRONG_OPTIONS])
def test_an_option_of_another_type_is_refused(options, says):
    with pytest.raises(XaiError, match=says):
        xai_nlp.load(*tiny("bert")).explain(TEXT, **options)


def test_numbers_of_numpy_are_numbers():
    explainer = xai_nlp.load(*tiny("bert"))
    assert explainer.explain(TEXT, steps=np.int64(9), batch_size=np.int32(4)) == explainer.explain(
        TEXT, steps=9, batch_size=4
    )


# Outputs that are no numbers ------------------------------------------------------------------------------------------


def changed(bias: list[float] | None = None, **config: Any) -> Any:
    model, tokenizer = tiny("bert", fresh=True)
    if bias:
        model.classifier.bias.data = torch.tensor(bias)
    for name, value in config.items():
        setattr(model.config, name, value)
    return xai_nlp.load(model, tokenizer)


@pytest.mark.parametrize("bias", [[0.0, float("nan")], [0.0, float("inf")]])
def test_nan_is_found_at_the_prediction_and_names_the_input(bias):
    explainer = changed(bias)
    for call in (explainer.explain, explainer.predict):
        with pytest.raises(InvalidInput, match="the model gives NaN or infinity for the input"):
            call(TEXT)
        with pytest.raises(InvalidInput, match="the model gives NaN or infinity for example 0"):
            call([TEXT, "the film"])


def test_an_impossible_label_beside_the_one_that_is_explained():
    plain, impossible = changed([0.0, 0.0]), changed([-float("inf"), 0.0])
    for method in ("integrated_gradients", "saliency", "occlusion"):
        scores = [one.explain(TEXT, target=1, method=method).scores for one in (plain, impossible)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    assert impossible.predict(TEXT) == {"NEGATIVE": 0.0, "POSITIVE": 1.0}
    with pytest.raises(InvalidInput, match="not finite"):
        impossible.explain(TEXT, target=0)


def test_two_labels_of_one_name_are_told_apart():
    explainer = changed(id2label={0: "A", 1: "A"})
    assert set(explainer.predict(TEXT)) == {"A [0]", "A [1]"}
    why = explainer.explain(TEXT, method="saliency")
    assert why.target.label == why.prediction
    assert explainer.explain(TEXT, target=0, method="saliency").target.label == "A [0]"
    with pytest.raises(UnknownName, match=r"unknown label 'A'.*A \[0\], A \[1\].*ambiguous, of the outputs 0 and 1"):
        explainer.explain(TEXT, target="A")


def test_weights_without_numbers_are_refused():
    model, tokenizer = tiny("bert", fresh=True)
    model.classifier.weight = torch.nn.Parameter(torch.empty_like(model.classifier.weight, device="meta"))
    with pytest.raises(InvalidInput, match=r"classifier\.weight has no numbers: it is on the meta device"):
        xai_nlp.load(model, tokenizer)


def test_inference_mode_around_a_call_is_left_inside():
    explainer = xai_nlp.load(*tiny("bert"))
    expected = explainer.explain(TEXT)
    with torch.inference_mode():
        assert explainer.explain(TEXT) == expected
        assert torch.is_inference_mode_enabled()


@pytest.mark.parametrize("shape", [(1, 1000, 3), (3000, 2, 3), (0, 5, 3)])
def test_images_of_odd_sizes(shape):
    vilt = loaded("vilt")
    explainer = xai_nlp.load(vilt.model, vilt.tokenizer, processor=vilt.processor)
    with pytest.raises(InvalidInput, match=r"cannot take an image of|an image is a path, bytes"):
        explainer.explain(np.zeros(shape, np.uint8), "what is it?", method="saliency")
    assert explainer.explain(np.zeros((1, 1, 3), np.uint8), "what is it?", method="saliency").image.size == (1, 1)


def test_there_are_enough_requests():
    assert len(REQUESTS) >= 60
