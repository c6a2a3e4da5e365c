"""The main job on the embedded model and on every architecture."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from tests.viz.samples import HOSTILE
from xai_nlp.core.result import Explanations, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import attached
from xai_nlp.methods import METHODS

TEXTS = [
    "A gripping, beautifully acted film about two sisters.",
    "dull",
    "The plot is thin and the ending is a mess, so",
]


def total(why):
    return math.fsum(why.scores)


def test_reads_a_sentiment(sentiment):
    good, bad = sentiment.explain(["a gripping, beautifully acted film", "a dull and lifeless mess"])
    assert (good.prediction, bad.prediction) == ("POSITIVE", "NEGATIVE")
    assert good.tokens[0] == "[CLS]" and good.tokens[-1] == "[SEP]"
    assert good.segments == ("a gripping, beautifully acted film",)
    words = dict(zip(good.words().tokens, good.words().scores, strict=True))
    assert max(words, key=words.get) in ("gripping", "beautifully")
    assert sum(good.outputs.values()) == pytest.approx(1)


@pytest.mark.parametrize("tolerance", [0.05, 0.01, 1e-3])
def test_residual_is_within_the_tolerance_asked_for(sentiment, tolerance):
    for why in sentiment.explain(TEXTS, tolerance=tolerance):
        assert abs(why.residual) <= tolerance * max(abs(why.explained), 0.05) * 1.001
        assert 9 <= why.params["steps_used"] <= 513


# Norms, rotations or attention that round to float32 whatever the dtype: no integral can be closer than that.
FLOAT32_INSIDE = {"llama", "qwen2", "modernbert", "deberta", "t5"}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_complete_in_float64(name):
    model, tokenizer = tiny(name, fresh=True)
    explainer = xai_nlp.load(model.double(), tokenizer)
    before = fingerprint(model)
    # T5's norm divides by a root mean square that passes near zero on its way: the path is steep there.
    close, most = (2e-5, 2000 if name == "t5" else 65) if name in FLOAT32_INSIDE else (1e-6, 20_000)
    texts = ["dull"] if name in ("opt", "distilbert") else TEXTS  # ReLU: thousands of steps
    for options in ({}, {"layer": 1}):
        for why in explainer.explain(texts, tolerance=4e-7, max_steps=most, **options):
            assert abs(why.residual) < close
            assert abs(why.explained) > 1e-3
    assert fingerprint(model) == before


@pytest.mark.parametrize("name", ["bert", "albert", "gpt2", "electra"])
def test_conductance_through_a_layer_is_complete_in_float64(name):
    model, tokenizer = tiny(name, fresh=True)
    why = xai_nlp.load(model.double(), tokenizer).explain(TEXTS[0], layer=1, method="conductance", tolerance=1e-9)
    assert abs(why.residual) < 1e-6
    assert abs(why.explained) > 1e-3


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_padding_and_batch_order_change_nothing(name):
    explainer = xai_nlp.load(*tiny(name))
    options = {"steps": 12}
    alone = [explainer.explain(text, **options) for text in TEXTS]
    for order in ([0, 1, 2], [2, 0, 1]):
        together = explainer.explain([TEXTS[i] for i in order], **options)
        for i, why in zip(order, together, strict=True):
            assert why.tokens == alone[i].tokens
            torch.testing.assert_close(torch.tensor(why.scores), torch.tensor(alone[i].scores), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("name", ["bert", "albert", "gpt2"])
def test_every_method_by_name_with_padding(name, method):
    explainer = xai_nlp.load(*tiny(name))
    together = explainer.explain(TEXTS, method=method)
    for text, why in zip(TEXTS, together, strict=True):
        alone = explainer.explain(text, method=method)
        assert why.method == method
        torch.testing.assert_close(torch.tensor(why.scores), torch.tensor(alone.scores), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_model_comes_back_when_it_raises_half_way(method):
    model, tokenizer = tiny("bert", fresh=True)
    model.train()
    explainer, before, calls = xai_nlp.load(model, tokenizer), fingerprint(model), []

    def explode(*_):
        calls.append(1)
        if len(calls) > 2:
            raise ZeroDivisionError

    with attached([lambda: model.classifier.register_forward_hook(explode)]), pytest.raises(ZeroDivisionError):
        explainer.explain(TEXTS, method=method, rows=1)
    assert fingerprint(model) == before


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


@pytest.mark.parametrize("baseline", ["pad", "mask"])
def test_named_baselines_are_the_model_run_on_those_words(baseline):
    model, tokenizer = tiny("bert")
    why = xai_nlp.load(model, tokenizer).explain("a dull film", baseline=baseline, target=1)
    batch = tokenizer("a dull film", return_tensors="pt")
    ids = batch["input_ids"].clone()
    ids[0, 1:-1] = getattr(tokenizer, f"{baseline}_token_id")
    with torch.no_grad():
        expected = float(model(**{**batch, "input_ids": ids}).logits[0, 1])
    assert why.baseline_value == pytest.approx(expected, abs=1e-6)


def test_a_text_as_baseline(sentiment):
    why = sentiment.explain("a truly awful film", baseline="a truly lovely film", target="NEGATIVE")
    words = dict(zip(why.words().tokens, why.words().scores, strict=True))
    assert words["a"] == words["truly"] == 0  # same word, same place
    assert words["awful"] > 1
    lovely = sentiment.explain("a truly lovely film", target="NEGATIVE")
    assert why.baseline_value == pytest.approx(lovely.value, abs=1e-5)


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


def test_hyphenated_labels_contrast():
    model, tokenizer = tiny("bert", fresh=True)
    model.config.id2label = {0: "non-toxic", 1: "toxic"}
    explainer = xai_nlp.load(model, tokenizer)
    assert explainer.explain("a film", target="non-toxic").target.label == "non-toxic"
    target = explainer.explain("a film", target="toxic-non-toxic").target
    assert (target.label, target.contrast) == ("toxic", "non-toxic")


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


def test_several_methods_and_several_texts(sentiment):
    found = sentiment.explain(["good film", "bad film"], method=["saliency", "occlusion"])
    assert isinstance(found, Explanations)
    assert [(why.segments[0], why.method) for why in found] == [
        ("good film", "saliency"), ("good film", "occlusion"), ("bad film", "saliency"), ("bad film", "occlusion"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["good " * 900 + "bad", ("a question", "dull film " * 400)])
def test_long_texts_are_stitched_and_sums_stay_true(sentiment, text):
    why = sentiment.explain(text)
    assert why.params["windows"] > 1
    assert abs(why.residual) <= 0.01 * max(abs(why.explained), 0.05) * why.params["windows"]
    assert total(why) == pytest.approx(why.explained - why.residual)
    parts = text if isinstance(text, tuple) else (text,)
    for s, part in enumerate(parts):
        assert [t for t, k in zip(why.tokens, why.segment, strict=True) if k == s] == part.split()
    with pytest.raises(InvalidInput, match="long='windows'"):
        sentiment.explain(text, long="error")


def test_stitched_scores_are_means_over_windows_by_hand(sentiment):
    text = "good film bad plot dull end"
    whole = sentiment.explain(text, max_length=6, stride=2, method="occlusion", target=1)  # 4 words a window
    first, last = (
        sentiment.explain(t, method="occlusion", target=1) for t in ("good film bad plot", "bad plot dull end")
    )
    expected = [
        *first.scores[1:3],
        first.scores[3] + last.scores[1],
        first.scores[4] + last.scores[2],
        *last.scores[3:5],
    ]
    assert whole.params["windows"] == 2
    assert whole.scores[1:-1] == pytest.approx([e / 2 for e in expected], abs=1e-5)
    assert whole.value == pytest.approx((first.value + last.value) / 2, abs=1e-5)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["zoo", "roberta", "gpt2"])
def test_hostile_text_keeps_its_offsets(sentiment, name, kind):
    explainer = sentiment if name == "zoo" else xai_nlp.load(*tiny(name))
    why = explainer.explain(HOSTILE[kind], steps=9)
    ends = 0
    for token, segment, (start, end) in zip(why.tokens, why.segment, why.offsets, strict=True):
        if segment >= 0:
            assert HOSTILE[kind][start:end] == token
            assert token.strip()
            assert start >= ends
            ends = end
    assert xai_nlp.Explanation.from_json(why.to_json()) == why
    assert total(why.words()) == pytest.approx(total(why), abs=1e-9)
    assert "<img" not in why._repr_html_()


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_any_text_is_explained_or_refused(text):
    explainer = xai_nlp.load(*tiny("roberta"))
    try:
        why = explainer.explain(text, method="saliency")
    except InvalidInput:
        return
    assert len(why.tokens) == len(why.scores)


@pytest.mark.parametrize("text", ["[CLS] [SEP]", "[MASK]", "[PAD] [PAD]"])
def test_special_tokens_as_text(sentiment, text):
    why = sentiment.explain(text)
    assert [t for t, s in zip(why.tokens, why.segment, strict=True) if s == 0] == text.split()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"method": "integrated_gradient"}, UnknownName, "Did you mean 'integrated_gradients'"),
        ({"target": "POSITVE"}, UnknownName, "Did you mean 'POSITIVE'"),
        ({"target": 2}, UnknownName, "label index"),
        ({"target": "POSITIVE-POSITIVE"}, InvalidInput, "itself"),
        ({"baseline": "padd"}, UnknownName, "Did you mean 'pad'"),
        ({"layer": 7}, UnknownName, "layer 7"),
        ({"unit": "logits"}, UnknownName, "Did you mean 'logit'"),
        ({"step": 3}, UnknownName, "Did you mean 'steps'"),
        ({"steps": 0}, InvalidInput, "steps"),
        ({"steps": "Auto"}, InvalidInput, "steps"),
        ({"rule": "simpson", "steps": 4}, UnknownName, "quadrature rule"),
        ({"tolerance": -1}, InvalidInput, "tolerance"),
        ({"rows": 0}, InvalidInput, "rows"),
        ({"long": "cut"}, UnknownName, "windows"),
    ],
)
def test_mistakes_are_told_early(sentiment, options, error, said):
    before = fingerprint(sentiment.model)
    with pytest.raises(error, match=said):
        sentiment.explain("a film", **options)
    assert fingerprint(sentiment.model) == before


def test_wrong_number_of_targets_and_empty_lists(sentiment):
    with pytest.raises(InvalidInput, match="as many targets"):
        sentiment.explain(["a", "b"], target=["POSITIVE"])
    with pytest.raises(InvalidInput, match="the list of text is empty"):
        sentiment.explain([])


def test_a_model_that_gives_nan_is_told():
    model, tokenizer = tiny("bert", fresh=True)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        xai_nlp.load(model, tokenizer).explain("a film")


def test_half_precision_runs(sentiment):
    explainer = xai_nlp.load("sentiment", dtype=torch.bfloat16)
    half, full = explainer.explain("a gripping film", steps=20), sentiment.explain("a gripping film", steps=20)
    assert half.scores == pytest.approx(full.scores, abs=0.1)


def test_repeats_exactly(sentiment):
    assert sentiment.explain(TEXTS) == sentiment.explain(TEXTS)
    assert replace(sentiment.explain(TEXTS[0]), seed=1) != sentiment.explain(TEXTS[0])


def test_progress_is_told(sentiment):
    told = []
    sentiment.explain(TEXTS, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)
