"""Zero-shot classification: the pipeline of transformers says the same, and scores are those of one pair."""

import json

import pytest
import torch
from transformers import pipeline

import xai_nlp
from tests.cli.command import run
from tests.tasks.new_tasks import check_promises, classifier
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.viz.page.html import page
from xai_nlp.viz.text.wording import segment_names

NAMES = ("contradiction", "neutral", "entailment")
TEXTS = ["who wrote this great book?", "the plot is dull", "a gripping film about two sisters and a lake"]
LABELS = ["film", "book", "food and music"]
TASK = "zero-shot-classification"


def inference(name="bert", names=NAMES, dtype=torch.float32):
    """A tiny model of inference, with its tokenizer."""
    return classifier(name, names, dtype)


@pytest.mark.parametrize("name", ["bert", "roberta"])
@pytest.mark.parametrize("names", [NAMES, ("entailment", "not_entailment")], ids=["three", "two"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_outputs_are_those_of_the_pipeline(name, names, multi_label):
    model, tokenizer = inference(name, names)
    classify = pipeline(TASK, model=model, tokenizer=tokenizer, device="cpu")
    explainer = xai_nlp.load(model, tokenizer, task="zero-shot")
    for labels, template in ((LABELS, "This example is {}."), (LABELS[:1], "{} is what it is about")):
        expected = classify(TEXTS, labels, hypothesis_template=template, multi_label=multi_label)
        got = explainer.predict(TEXTS, labels, template=template, multi_label=multi_label)
        for one, outputs in zip(expected, got, strict=True):
            assert outputs == pytest.approx(dict(zip(one["labels"], one["scores"], strict=True)), abs=1e-5)


def test_the_number_is_the_entailment_of_one_pair():
    """Text classification of the same pair has the same scores; occlusion by hand says the same."""
    model, tokenizer = inference()
    explainer, plain = xai_nlp.load(model, tokenizer, task=TASK), xai_nlp.load(model, tokenizer)
    why = explainer.explain(TEXTS[0], LABELS, target="book", steps=32)
    same = plain.explain((TEXTS[0], "This example is book."), target="entailment", steps=32)
    assert why.scores == same.scores and why.segments == same.segments
    assert {0, 1} <= {s for s, score in zip(why.segment, why.scores, strict=True) if score}
    assert (why.target.label, why.target.position, why.task) == ("book", 1, TASK)

    why = explainer.explain(TEXTS[0], LABELS, target="book", method="occlusion", baseline="mask")
    batch = tokenizer(TEXTS[0], "This example is book.", return_tensors="pt")
    with torch.no_grad():
        whole = float(model(**batch).logits[0, 2])
        for i, (segment, score) in enumerate(zip(why.segment, why.scores, strict=True)):
            ids = batch["input_ids"].clone()
            ids[0, i] = tokenizer.mask_token_id
            expected = whole - float(model(**{**batch, "input_ids": ids}).logits[0, 2]) if segment >= 0 else 0.0
            assert score == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("options", [{}, {"multi_label": True, "unit": "probability"}, {"target": "film"}])
def test_scores_add_up_and_do_not_depend_on_the_batch(options):
    explainer = xai_nlp.load(*inference(dtype=torch.float64), task=TASK)
    check_promises(explainer, TEXTS, labels=LABELS, **options)


def test_all_labels_are_explained_from_the_same_passes():
    explainer = xai_nlp.load(*inference(), task=TASK)
    each = explainer.explain(TEXTS[0], LABELS, target="all", steps=9)
    assert [why.target.label for why in each] == LABELS
    assert [why.segments[1] for why in each] == [f"This example is {label}." for label in LABELS]
    for label, why in zip(LABELS, each, strict=True):
        alone = explainer.explain(TEXTS[0], LABELS, target=label, steps=9)
        assert why.scores == pytest.approx(alone.scores, abs=1e-6) and why.outputs == pytest.approx(alone.outputs)
    assert len(explainer.explain(TEXTS, LABELS, target="all", method="saliency")) == 9


def test_units_of_independent_labels():
    explainer = xai_nlp.load(*inference(), task=TASK)
    options = {"target": "book", "method": "saliency", "multi_label": True}
    why = explainer.explain(TEXTS[0], LABELS, unit="probability", **options)
    assert why.value == pytest.approx(why.outputs["book"], abs=1e-6)
    log = explainer.explain(TEXTS[0], LABELS, unit="log-probability", **options)
    assert log.value == pytest.approx(float(torch.tensor(why.outputs["book"]).log()), abs=1e-5)


def test_labels_are_a_list_a_line_or_a_list_for_each_text():
    explainer = xai_nlp.load(*inference(), task=TASK)
    options = {"method": "saliency"}
    assert explainer.explain(TEXTS[0], "film, book ", **options) == explainer.explain(
        TEXTS[0], ["film", "book"], **options
    )
    own = explainer.predict(TEXTS[:2], [["film", "book"], ["food"]])
    assert [list(outputs) for outputs in own] == [["film", "book"], ["food"]]
    with pytest.raises(InvalidInput, match="2 of text and 1 of labels"):
        explainer.explain(TEXTS[:2], [["film"]])


def test_a_long_text_is_the_mean_over_its_windows():
    explainer = xai_nlp.load(*inference(), task=TASK)
    text = " ".join(TEXTS * 4)
    why = explainer.explain(text, LABELS, method="saliency")
    assert why.params["windows"] > 1 and why.segments == (text, f"This example is {why.target.label}.")


# Found by its inputs -------------------------------------------------------------------------------------------------


def test_labels_among_the_inputs_tell_the_task(tmp_path):
    model, tokenizer = inference()
    for given in ({"model": model, "tokenizer": tokenizer}, {"model": xai_nlp.load(model, tokenizer)}):
        why = xai_nlp.explain(TEXTS[0], labels=LABELS, method="saliency", **given)
        assert (why.task, list(why.outputs)) == (TASK, LABELS)
        assert xai_nlp.explain(TEXTS[0], method="saliency", **given).task == "text-classification"
    model.save_pretrained(tmp_path), tokenizer.save_pretrained(tmp_path)
    again = xai_nlp.explain(TEXTS[0], labels=LABELS, method="saliency", model=tmp_path)
    assert again.outputs == pytest.approx(why.outputs) and again.task == TASK
    with pytest.raises(InvalidInput, match=r"no embedded model does zero-shot.*explain\(text=…, labels=…, model=…\)"):
        xai_nlp.explain(TEXTS[0], labels=LABELS)
    with pytest.raises(InvalidInput, match="does text classification"):
        xai_nlp.explain(TEXTS[0], labels=LABELS, task="text-classification", model=model, tokenizer=tokenizer)
    with pytest.raises(InvalidInput, match="does question answering"):
        xai_nlp.explain(TEXTS[0], labels=LABELS, model=xai_nlp.load("qa"))


def test_the_command_reads_a_line_of_labels(tmp_path):
    model, tokenizer = inference()
    model.save_pretrained(tmp_path / "nli"), tokenizer.save_pretrained(tmp_path / "nli")
    common = ["--model", str(tmp_path / "nli"), "--method", "saliency", "--json", "-"]
    done = run("explain", "zero-shot", TEXTS[0], "--labels", "film, book", "--target", "book", *common)
    why = xai_nlp.Explanation.from_json(done.stdout)
    assert (why.target.label, list(why.outputs)) == ("book", ["film", "book"])
    (tmp_path / "texts.csv").write_text("text,label\nthe plot is dull,film\nwho wrote it?,book\n")
    done = run("explain", "zero-shot", "--file", str(tmp_path / "texts.csv"), "--labels", "film, book", *common)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["gold"] for row in rows] == [["film"], ["book"]]
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": "the plot is dull", "labels": ["film", "food"]}))
    done = run("explain", "zero-shot", "--file", str(tmp_path / "rows.jsonl"), *common)
    assert list(json.loads(done.stdout)["outputs"]) == ["film", "food"]


def test_a_page_names_the_text_and_the_hypothesis():
    explainer = xai_nlp.load(*inference(), task=TASK)
    why = explainer.explain(TEXTS[0], LABELS, method="occlusion")
    html = page([why])
    assert segment_names(why) == ("Text", "Hypothesis")
    assert ">Hypothesis<" in html and f"The model says <em><bdi>{why.prediction}" in html
    single = explainer.explain(TEXTS[0], "film", method="occlusion")
    assert f"({round(100 * single.outputs['film'])}" in page([single])  # a share, though it is the only output


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inputs", "options", "error", "words"),
    [
        (("a film", []), {}, InvalidInput, "the list of labels is empty"),
        (("a film", " , "), {}, InvalidInput, "the list of labels is empty"),
        ((["a film"], [[]]), {}, InvalidInput, "labels are one or more, each once; got none"),
        (("a film", ["film", "film"]), {}, InvalidInput, "each once; got 'film', 'film'"),
        (("a film", ["film", 3]), {}, InvalidInput, "labels is a list of texts"),
        (("a film", LABELS), {"template": "it is good"}, InvalidInput, "needs {} in the place"),
        (("a film", LABELS), {"template": "it is {} {}"}, InvalidInput, "holds one {}"),
        (("a film", LABELS), {"target": "fil"}, UnknownName, "Did you mean 'film'"),
        (("a film", LABELS), {"unit": "probability"}, InvalidInput, "depends on the pairs of all labels"),
        (("a film", LABELS), {"unit": "logits"}, UnknownName, "Did you mean 'logit'"),
        ((["a film", " "], LABELS), {}, InvalidInput, "text 1 is empty"),
    ],
)
def test_what_cannot_be_explained(inputs, options, error, words):
    with pytest.raises(error, match=words):
        xai_nlp.load(*inference(), task=TASK).explain(*inputs, **options)


def test_a_model_without_entailment_is_refused():
    with pytest.raises(Unsupported, match=r"label .entailment.; .* has 'NEGATIVE', 'POSITIVE'"):
        xai_nlp.explain("a film", labels=LABELS, model="sentiment")
    with pytest.raises(Unsupported):
        xai_nlp.load(*classifier("bert", ["entailment"]), task=TASK)  # nothing to compare it with
