"""Text classification: labels, contrasts, pairs and regression, against the model itself."""

import pytest
import torch

import xai_nlp
from tests.models.test_sentence_embedding import CrossEncoder
from tests.models.tiny import tiny
from tests.tasks.new_tasks import classifier
from tests.tasks.passes import rows_counted
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import TargetSpec
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.page.html import page
from xai_nlp.viz.text.number_format import percent, signed
from xai_nlp.viz.text.wording import segment_names


def test_reads_a_sentiment(sentiment):
    good, bad = sentiment.explain(["a gripping, beautifully acted film", "a dull and lifeless mess"])
    assert (good.prediction, bad.prediction) == ("POSITIVE", "NEGATIVE")
    assert good.tokens[0] == "[CLS]" and good.tokens[-1] == "[SEP]"
    assert good.segments == ("a gripping, beautifully acted film",)
    words = dict(zip(good.words().tokens, good.words().scores, strict=True))
    assert max(words, key=words.get) in ("gripping", "beautifully")
    assert sum(good.outputs.values()) == pytest.approx(1)


def test_leave_one_out_by_hand():
    model, tokenizer = tiny("bert")
    explainer = xai_nlp.load(model, tokenizer)
    why = explainer.explain("a dull film", method="occlusion", baseline="mask", target="POSITIVE")
    batch = tokenizer("a dull film", return_tensors="pt")
    with torch.no_grad():
        plain = float(model(**batch).logits[0, 1])
        for i, (segment, score) in enumerate(zip(why.segment, why.scores, strict=True)):
            ids = batch["input_ids"].clone()
            ids[0, i] = tokenizer.mask_token_id
            expected = plain - float(model(**{**batch, "input_ids": ids}).logits[0, 1]) if segment >= 0 else 0.0
            assert score == pytest.approx(expected, abs=1e-5)
    assert why.value == pytest.approx(plain, abs=1e-6)


def test_targets(sentiment):
    text = "a gripping film"
    by_name, by_index, by_prefix = (sentiment.explain(text, target=t) for t in ("POSITIVE", 1, "label:positive"))
    assert by_name == by_index == by_prefix
    contrast = sentiment.explain(text, target="POSITIVE-NEGATIVE", steps=40)
    parts = [sentiment.explain(text, target=t, steps=40) for t in ("POSITIVE", "NEGATIVE")]
    for c, p, n in zip(contrast.scores, parts[0].scores, parts[1].scores, strict=True):
        assert c == pytest.approx(p - n, abs=1e-5)
    each = sentiment.explain([text, text], target=["POSITIVE", "NEGATIVE"])
    assert [why.target.label for why in each] == ["POSITIVE", "NEGATIVE"]
    assert contrast.target == TargetSpec(kind="label", label="POSITIVE", contrast="NEGATIVE", position=1)
    assert sentiment.explain(text, unit="probability").value == pytest.approx(
        sentiment.predict(text)["POSITIVE"], abs=1e-6
    )


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_multi_label_and_regression(kind):
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    labels = 1 if kind == "regression" else 3
    config = BertConfig(vocab_size=200, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
                        intermediate_size=16, num_labels=labels, problem_type=kind)  # fmt: skip
    model, tokenizer = BertForSequenceClassification(config).eval(), tiny("bert")[1]
    explainer = xai_nlp.load(model, tokenizer)
    with torch.no_grad():
        logits = model(**tokenizer("a film", return_tensors="pt")).logits[0].double()
    expected = logits if kind == "regression" else logits.sigmoid()
    assert list(explainer.predict("a film").values()) == pytest.approx(expected.tolist(), abs=1e-6)
    why = explainer.explain("a film", target=0)
    assert why.value == pytest.approx(float(logits[0]), abs=1e-6)
    if kind == "regression":
        with pytest.raises(InvalidInput, match="no probability"):
            explainer.explain("a film", unit="probability")


def test_pairs(sentiment):
    why = sentiment.explain(("a fine film", "a dull film"))
    assert why.segments == ("a fine film", "a dull film")
    assert [t for t, s in zip(why.tokens, why.segment, strict=True) if s == 1] == ["a", "dull", "film"]


def test_inference_scores_premise_and_hypothesis_and_names_them():
    """Natural language inference is text classification of a pair."""
    explainer = xai_nlp.load(*classifier("bert", ("contradiction", "neutral", "entailment"), torch.float64))
    why = explainer.explain("the film was great", "it was dull", target="contradiction", steps=64)
    for segment in (0, 1):
        assert all(score for score, s in zip(why.scores, why.segment, strict=True) if s == segment)
    assert abs(why.residual) < 1e-6
    assert segment_names(why) == ("Premise", "Hypothesis")
    html = page([why])
    assert ">Premise<" in html and ">Hypothesis<" in html


def test_wrong_number_of_targets_and_empty_lists(sentiment):
    with pytest.raises(InvalidInput, match="as many targets"):
        sentiment.explain(["a", "b"], target=["POSITIVE"])
    with pytest.raises(InvalidInput, match="the list of text is empty"):
        sentiment.explain([])


@pytest.mark.parametrize("text", ["[CLS] [SEP]", "[MASK]", "[PAD] [PAD]"])
def test_special_tokens_as_text(sentiment, text):
    why = sentiment.explain(text)
    assert [t for t, s in zip(why.tokens, why.segment, strict=True) if s == 0] == text.split()


def test_a_pair_is_a_tuple_or_two_inputs():
    explainer = xai_nlp.load(*tiny("bert"))
    options = {"method": "saliency", "target": 1}
    as_tuple = explainer.explain(("a film", "a plot"), **options)
    assert (
        explainer.explain("a film", "a plot", **options)
        == as_tuple
        == explainer.explain("a film", pair="a plot", **options)
    )
    several = explainer.explain(["a film", "dull"], pair=["a plot", "great"], **options)
    assert [why.segments for why in several] == [("a film", "a plot"), ("dull", "great")]
    assert explainer.explain(["a film", "dull"], pair="a plot", **options)[1].segments == ("dull", "a plot")
    with pytest.raises(InvalidInput, match="a pair already"):
        explainer.explain(("a film", "a plot"), pair="a plot")
    with pytest.raises(InvalidInput, match="text is given twice"):
        explainer.predict("a film", text="a plot")


def test_outputs_of_a_long_text_are_those_of_its_mean_logits():
    """The mean over its two windows of four words, each read by the model itself."""
    model, tokenizer = tiny("bert")
    windows = ["great film dull plot", "dull plot gripping movie"]
    with torch.no_grad():
        logits = [model(**tokenizer(text, return_tensors="pt")).logits[0].double() for text in windows]
    outputs = xai_nlp.load(model, tokenizer).predict("great film dull plot gripping movie", max_length=6, stride=2)
    assert list(outputs.values()) == pytest.approx(torch.stack(logits).mean(0).softmax(0).tolist(), abs=1e-6)
    why = xai_nlp.load(model, tokenizer).explain("great film dull plot gripping movie", max_length=6, stride=2, steps=2)
    assert why.outputs == pytest.approx(outputs)


def test_a_target_for_each_text():
    explainer = xai_nlp.load(*tiny("bert"))
    each = explainer.explain(["a film", "a film", "a film"], target=["POSITIVE", 0, None], method="saliency")
    assert [why.target.label for why in each][:2] == ["POSITIVE", "NEGATIVE"]
    assert each[2].target.label == each[2].prediction
    with pytest.raises(InvalidInput, match="3 texts need as many targets, or one for all; got 2"):
        explainer.explain(["a", "b", "c"], target=["POSITIVE", "NEGATIVE"])


def test_all_labels_from_the_same_passes():
    explainer = xai_nlp.load(*tiny("bert"))
    with rows_counted(explainer.model) as single:
        alone = [explainer.explain("a dull film", target=name, method="occlusion") for name in ("NEGATIVE", "POSITIVE")]
    with rows_counted(explainer.model) as together:
        every = explainer.explain("a dull film", target="all", method="occlusion")
    assert isinstance(every, Explanations)
    assert [why.target for why in every] == [why.target for why in alone]
    for why, other in zip(every, alone, strict=True):
        assert why.scores == pytest.approx(other.scores, abs=1e-6)
        assert why.value == pytest.approx(other.value, abs=1e-6)
    assert 2 * sum(together) == sum(single)


def test_all_labels_of_some_texts_of_a_list():
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["great film dull plot gripping movie", "a film", "a plot"]  # the first is read in two windows
    every = explainer.explain(texts, target=["all", "POSITIVE", "all"], max_length=6, stride=2, steps=4)
    assert [(why.segments[0], why.target.label) for why in every] == [
        (texts[0], "NEGATIVE"), (texts[0], "POSITIVE"), (texts[1], "POSITIVE"), (texts[2], "NEGATIVE"),
        (texts[2], "POSITIVE"),
    ]  # fmt: skip
    alone = explainer.explain(texts[0], target="NEGATIVE", max_length=6, stride=2, steps=4)
    assert every[0].scores == pytest.approx(alone.scores, abs=1e-6)
    assert len(explainer.explain(texts[1:], target="all", method=["saliency", "occlusion"])) == 8


def test_a_label_named_all_is_a_label():
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label = {0: "all", 1: "none"}
    why = xai_nlp.load(model, tokenizer).explain("a film", target="all", method="saliency")
    assert why.target.label == "all"


def test_it_shows_its_labels():
    assert repr(xai_nlp.load(*tiny("bert"))).endswith("(bert): NEGATIVE, POSITIVE>")


def test_reranking_by_a_cross_encoder():
    """One logit for a question and a passage; the object of sentence-transformers brings its tokenizer."""
    model, tokenizer = classifier("bert", ["LABEL_0"], torch.float64)
    question, passage = "who wrote the book?", "Mary wrote it in 1818"
    why = xai_nlp.explain(question, pair=passage, model=CrossEncoder(model, tokenizer), steps=64)
    with torch.no_grad():
        logit = float(model(**tokenizer(question, passage, return_tensors="pt")).logits[0, 0])
    assert why.value == pytest.approx(logit, abs=1e-9) and why.outputs == {"LABEL_0": pytest.approx(logit)}
    assert (why.task, why.segments, why.target.kind) == ("text-classification", (question, passage), "output")
    assert abs(why.residual) < 1e-6
    for segment in (0, 1):
        assert all(score for score, s in zip(why.scores, why.segment, strict=True) if s == segment)
    html = page([why])
    assert f"The score is <em><bdi>{signed(logit)}</bdi></em>" in html
    assert f"{percent(abs(logit))}" not in html
    passages = ["the film was dull", passage]
    ranked = xai_nlp.load(CrossEncoder(model, tokenizer)).predict(question, passages)
    assert len(ranked) == 2 and ranked[1] == {"LABEL_0": pytest.approx(logit)}
