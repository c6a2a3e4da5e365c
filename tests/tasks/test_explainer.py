"""The main job on the embedded model and on every architecture."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS

TEXTS = [
    "A gripping, beautifully acted film about two sisters.",
    "dull",
    "The plot is thin and the ending is a mess, so",
]


def total(why):
    return math.fsum(why.scores)


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


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=40, deadline=None)
def test_any_text_is_explained_or_refused(text):
    explainer = xai_nlp.load(*tiny("roberta"))
    try:
        why = explainer.explain(text, method="saliency")
    except InvalidInput:
        return
    assert len(why.tokens) == len(why.scores)


# Tables and errors ---------------------------------------------------------------------------------------------------


def test_a_table_is_read_as_data(sentiment):
    """A frame, a data set and columns: their texts by the names of the task, and the right labels as gold."""
    import datasets
    import pandas

    columns = {"review": ["a fine film", "a dull mess"], "label": ["POSITIVE", 0]}
    expected = sentiment.explain(columns["review"], method="saliency")
    frame = pandas.DataFrame(columns)
    for table in (frame, columns, datasets.Dataset.from_dict({**columns, "label": [1, 0]})):
        for explained in (sentiment.explain(table, method="saliency"), xai_nlp.explain(table, method="saliency")):
            assert [one.scores for one in explained] == [pytest.approx(one.scores, abs=1e-6) for one in expected]
            assert [one.gold for one in explained] == [("POSITIVE",), ("NEGATIVE",)]
    named = sentiment.explain(frame.rename(columns={"review": "x"}), column="x", method="saliency")
    assert [one.segments for one in named] == [one.segments for one in expected]
    by_input = sentiment.explain(frame, column={"text": "review", "gold": "label"}, method="saliency")
    assert by_input[1].gold == ("NEGATIVE",)
    with pytest.raises(InvalidInput, match=r"no column for text, .*column=\{'text': …\}"):
        sentiment.explain(frame.rename(columns={"review": "x"}))
    with pytest.raises(InvalidInput, match="column=… names the columns of a table"):
        sentiment.explain(["a fine film"], column="x")


def test_a_table_chooses_its_task(qa):
    columns = {"question": ["Who wrote it?"], "context": ["Mary wrote it."], "answers": ["Mary"]}
    (why,) = xai_nlp.explain(columns, method="saliency")
    assert why.task == "question-answering" and why.gold == ("Mary",)
    with pytest.raises(InvalidInput, match="context is missing: question answering needs question and context"):
        qa.explain("Who wrote it?")


def test_one_bad_text_does_not_end_a_list(sentiment):
    texts = ["a fine film", None, "  ", "a dull mess", "\ud800"]
    explained = sentiment.explain(texts, method="saliency", on_error="record")
    alone = sentiment.explain([texts[0], texts[3]], method="saliency")
    assert [one.segments for one in explained] == [one.segments for one in alone]
    assert [one.scores for one in explained] == [pytest.approx(one.scores, abs=1e-6) for one in alone]
    assert list(explained.errors) == [1, 2, 4]
    assert "wrong type" in explained.errors[1] and "lone surrogate" in explained.errors[4]
    assert "2, 3 failed" in repr(explained)
    with pytest.raises(InvalidInput, match="text 1 has the wrong type"):
        sentiment.explain(texts)
    with pytest.raises(UnknownName, match="unknown on_error 'ignore'"):
        sentiment.explain(texts, on_error="ignore")
    targets = sentiment.explain(texts[:4], target=["POSITIVE", None, None, "NEGATIVE"], on_error="record")
    assert [one.target.label for one in targets] == ["POSITIVE", "NEGATIVE"], "targets go with their texts"


def test_windows_of_different_keys_do_not_share_a_batch(monkeypatch):
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["a film", "the film was dull", "great", "who wrote the plot", "it was"]
    plain = explainer.explain(texts, method="saliency")
    monkeypatch.setattr(explainer, "batch_key", lambda window: window.example % 2)
    shared = []
    batch = explainer.batch
    monkeypatch.setattr(explainer, "batch", lambda windows: shared.append(windows) or batch(windows))
    apart = explainer.explain(texts, method="saliency")
    assert [one.scores for one in apart] == [pytest.approx(one.scores, abs=1e-6) for one in plain]
    assert all(len({window.example % 2 for window in windows}) == 1 for windows in shared)


# Nothing untrue ------------------------------------------------------------------------------------------------------


def test_a_tokenizer_of_another_model_is_refused():
    model, tokenizer = tiny("bert", fresh=True)
    tokenizer.add_tokens(["gripping2"])
    with pytest.raises(InvalidInput, match="it is the tokenizer of another model"):
        xai_nlp.load(model, tokenizer).explain("a gripping2 film")


def test_a_text_of_unknown_tokens_is_refused():
    explainer = xai_nlp.load(*tiny("bert"))
    with pytest.raises(InvalidInput, match=r"does not know most of text 1: 6 tokens are '\[UNK\]'"):
        explainer.explain(["a film", "電影 電影 電影"])
    explained = explainer.explain(["a film", "電影 電影 電影"], method="saliency", on_error="record")
    assert list(explained.errors) == [1] and len(explained) == 1
    assert explainer.explain("the film 電 was great", method="saliency").tokens[3] == "電", "one of many is read"


@pytest.mark.parametrize(
    ("made_for", "task", "says"),
    [
        ("token-classification", "text-classification", "logits have the axes rows, labels, .* gives logits of shape"),
        ("question-answering", "text-classification", "gives no logits"),
        ("text-classification", "question-answering", "gives no start_logits"),
        ("text-classification", "token-classification", "logits have the axes rows, tokens, labels"),
    ],
)
def test_an_output_of_another_shape_is_refused(made_for, task, says):
    model, tokenizer = tiny("bert", task=made_for)
    inputs = {"question": "who?", "context": "a film"} if task == "question-answering" else {"text": "a film"}
    with pytest.raises(InvalidInput, match=says):
        xai_nlp.load(model, tokenizer, task=task).explain(**inputs)


@pytest.mark.filterwarnings("ignore")
def test_gradients_that_get_lost_are_refused():
    model, tokenizer = tiny("bert")
    quantised = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    explainer = xai_nlp.load(quantised, tokenizer)
    with pytest.raises(InvalidInput, match=r"every score of integrated_gradients is 0.*occlusion, shapley"):
        explainer.explain("a great film")
    assert any(explainer.explain("a great film", method="occlusion").scores)
    with pytest.raises(Unsupported, match="quantised"):
        explainer.explain("a great film", method="attention_norms")


def test_a_decoder_without_a_padding_token_says_how_to_name_one():
    model, tokenizer = tiny("gpt2", fresh=True)
    model.config.pad_token_id = None
    explainer = xai_nlp.load(model, tokenizer)
    with pytest.raises(InvalidInput, match=r"model\.config\.pad_token_id"):
        explainer.explain("a great film")
