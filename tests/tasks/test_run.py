"""A call from its request to its explanations: order, memory, and the model handed back."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import loaded
from tests.recipes.llms import inference_model
from tests.tasks.passes import calls_of, rows_counted
from tests.tasks.test_explainer import TEXTS
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput, NotEnoughMemory
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.scope import attached
from xai_nlp.methods import METHODS
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer


def test_several_methods_and_several_texts(sentiment):
    explanations = sentiment.explain(["good film", "bad film"], method=["saliency", "occlusion"])
    assert isinstance(explanations, Explanations)
    assert [(why.segments[0], why.method) for why in explanations] == [
        ("good film", "saliency"), ("good film", "occlusion"), ("bad film", "saliency"), ("bad film", "occlusion"),
    ]  # fmt: skip


def test_repeats_exactly(sentiment):
    assert sentiment.explain(TEXTS) == sentiment.explain(TEXTS)
    assert replace(sentiment.explain(TEXTS[0]), seed=1) != sentiment.explain(TEXTS[0])


def test_progress_reaches_the_number_of_texts(sentiment):
    calls = []
    sentiment.explain(TEXTS, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (3, 3)


def test_half_precision_runs(sentiment):
    explainer = xai_nlp.load("sentiment", dtype=torch.bfloat16)
    half, full = explainer.explain("a gripping film", steps=20), sentiment.explain("a gripping film", steps=20)
    assert half.scores == pytest.approx(full.scores, abs=0.1)


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
        explainer.explain(TEXTS, method=method, batch_size=1)
    assert fingerprint(model) == before


# Memory --------------------------------------------------------------------------------------------------------------

MANY = ["a dull film", "great plot", "this movie is great", "who wrote it", "the film"]
CALLS = [
    {},
    {"steps": 9},
    {"attention": True, "layers": True},
    {"method": "saliency", "layer": 1},
    {"layer": 1},
    {"method": "occlusion", "layer": 0},
    {"method": "attention_integrated_gradients", "steps": 8},
    {"method": "attention_norms"},
    {"method": "grad_cam"},
    {"parts": True, "baseline": "reference", "steps": 8},
]


def explained(task, image, **options):
    """A call with several examples, and the module whose passes count."""
    if task == "text":
        explainer = xai_nlp.load(*tiny("bert"))
        return explainer, lambda: explainer.explain(MANY, **options)
    if task == "qa":
        explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
        questions = [f"{text} ?" for text in MANY]
        return explainer, lambda: explainer.explain(questions, "Mary wrote it in 1818", **options)
    if task == "generation":
        explainer = xai_nlp.load(*writing("gpt2"))
        return explainer, lambda: explainer.explain(MANY, answer=" great", **options)
    explainer = VisualQuestionAnsweringExplainer(loaded(task))
    options |= {} if task == "vilt" else {"answer": "red"}
    return explainer, lambda: explainer.explain(image, ["what colour is it ?", "is it red ?", "is it ?"], **options)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("options", CALLS, ids=str)
@pytest.mark.parametrize("task", ["text", "qa"])
def test_rows_bound_every_pass_of_a_call(task, options, rows, image):
    """The first passes too: the prediction, the ends of the path, the layer's tensors, and what is cached."""
    explainer, call = explained(task, image, **options)
    free = call()
    explainer, call = explained(task, image, batch_size=rows, **options)
    with rows_counted(explainer.model) as sizes:
        bounded = call()
    assert max(sizes) == rows
    for one, other in zip(bounded, free, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": True},
        {"method": "attention_integrated_gradients", "steps": 6},
        {"method": "attention_relevance"},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", ["vilt", "llava", "generation"])
def test_rows_bound_every_pass_of_the_other_tasks(task, options, image):
    explainer, call = explained(task, image, batch_size=2, **options)
    with rows_counted(explainer.model) as sizes:
        call()
    assert max(sizes) <= 2


@pytest.mark.parametrize("options", CALLS, ids=str)
def test_out_of_memory_in_the_first_pass_halves_it_and_changes_no_score(options, image):
    explainer, call = explained("text", image, **options)
    free = call()
    with rows_counted(explainer.model, limit=2) as sizes:
        halved = call()
    assert sizes[0] > 2 and sizes.count(2) > 1
    for one, other in zip(halved, free, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


@pytest.mark.parametrize("task", ["qa", "vilt", "generation"])
def test_out_of_memory_in_the_other_tasks(task, image):
    explainer, call = explained(task, image, steps=6)
    free = call()
    with rows_counted(explainer.model, limit=2) as sizes:
        halved = call()
    assert max(sizes) > 2
    for one, other in zip(halved, free, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-5)


def test_one_row_that_does_not_fit_is_an_error_of_its_own():
    explainer = xai_nlp.load(*tiny("bert"))
    with rows_counted(explainer.model, limit=0), pytest.raises(NotEnoughMemory, match="does not fit"):
        explainer.explain(MANY)


@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("method", ["occlusion", "integrated_gradients"])
def test_layers_below_an_explained_one_run_a_fixed_number_of_times(method, rows):
    """Nine and sixty steps run the first layer equally often; the layer above runs at each of them."""
    model, tokenizer = tiny("bert", fresh=True)
    explainer = xai_nlp.load(model, tokenizer)
    assert not METHODS[method].supports_layers
    lower, upper = model.bert.encoder.layer
    texts = ["a dull film", "a dull plot", "a great film", "a great plot"]
    options = [{"steps": 9}, {"steps": 60}] if method == "integrated_gradients" else [{}]
    below, above = [], []
    for option in options:
        call = partial(explainer.explain, texts, method=method, layer=0, batch_size=rows, **option)
        below.append(calls_of(lower, call))
        above.append(calls_of(upper, call))
    parts = 1 if rows is None else len(texts) // rows
    # the prediction, the layer's tensors at the baseline, and those at the text with what is cached
    assert set(below) == {3 * parts}
    if method == "integrated_gradients" and rows:
        assert above[1] - above[0] >= (60 - 9) * len(texts) / rows - 1


def test_layers_run_where_the_embeddings_move():
    """Conductance goes from the embeddings through the layer."""
    model, tokenizer = tiny("bert", fresh=True)
    explainer, counts = xai_nlp.load(model, tokenizer), {}
    assert METHODS["conductance"].supports_layers
    for steps in (8, 40):
        call = partial(explainer.explain, MANY[0], method="conductance", layer=0, batch_size=1, steps=steps)
        counts[steps] = calls_of(model.bert.encoder.layer[0], call)
    assert counts[40] - counts[8] == 32


# Refused -------------------------------------------------------------------------------------------------------------


def test_an_empty_text_among_many_is_reported_with_its_index():
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["a film"] * 1000
    texts[3] = " "
    with rows_counted(explainer.model) as sizes, pytest.raises(InvalidInput, match=r"\b3 is empty"):
        explainer.explain(texts)
    assert not sizes


@pytest.mark.parametrize("chat", [False, True])
def test_an_empty_prompt_among_many_is_reported_with_its_index(chat, monkeypatch):
    explainer = xai_nlp.load(*writing("gpt2"))
    monkeypatch.setattr(explainer.tokenizer, "chat_template", "user: {{ messages[0].content }} bot:", raising=False)
    with pytest.raises(InvalidInput, match=r"\b2 is empty"):
        explainer.explain(["a film", "a film", ""], answer=" great", chat=chat)


def test_an_empty_question_among_many_is_reported_with_its_index(image):
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    with pytest.raises(InvalidInput, match="question 2 is empty"):
        explainer.explain(["who ?", "who ?", " "], "Mary wrote it")
    with pytest.raises(InvalidInput, match="context 1 is empty"):
        explainer.explain("who ?", ["Mary wrote it", ""])
    with pytest.raises(InvalidInput, match="question 1 is empty"):
        VisualQuestionAnsweringExplainer(loaded("vilt")).explain(image, ["is it red ?", " "])


@pytest.mark.parametrize("options", [{"attention": True}, {"method": "attention_norms"}], ids=str)
def test_matrices_of_a_text_in_several_windows_are_refused_before_a_pass(options):
    explainer = xai_nlp.load(*tiny("bert"))
    zero_shot = inference_model()
    long = "a dull film " * 60
    for model, call in ((explainer, explainer.explain), (zero_shot, partial(zero_shot.explain, labels=["a", "b"]))):
        with rows_counted(model.model) as sizes, pytest.raises(InvalidInput, match="several windows"):
            call(long, **options)
        with pytest.raises(InvalidInput, match="several windows"):
            call(["a film", long], **options)
        assert not sizes
    assert explainer.explain(long, layers=True, steps=3).layers is not None  # tokens of windows can be joined


#: Texts that no model reads, and what the error says of them.
UNREADABLE = {
    "": "is empty",
    "  \n": "is empty",
    None: "wrong type.*NoneType",
    "\ud800": "lone surrogate at character 0",
    b"a film": "wrong type.*bytes",
    3: "wrong type.*int",
    float("nan"): "wrong type.*float",
}


@pytest.mark.parametrize("text", UNREADABLE, ids=repr)
def test_a_text_that_cannot_be_read_is_named_by_its_index_and_recorded(text):
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["a film", "a plot", text, "a day"]
    for call in (explainer.explain, explainer.predict):
        with rows_counted(explainer.model) as sizes, pytest.raises(InvalidInput, match=f"text 2 .*{UNREADABLE[text]}"):
            call(texts)
        assert not sizes
    recorded = explainer.explain(texts, on_error="record", method="saliency")
    assert list(recorded.errors) == [2]
    assert [why.segments[0] for why in recorded] == ["a film", "a plot", "a day"]
    assert recorded.inputs == (0, 1, 3)


@pytest.mark.parametrize("options", [{}, {"trust": True}, {"method": ["saliency", "occlusion"]}, {"target": "all"}])
def test_explanations_know_which_input_they_are_of(options):
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["a film", "a plot that is much longer than the others", "a day"]
    found = explainer.explain(texts, **options)
    assert len(found.inputs) == len(found) and set(found.inputs) == {0, 1, 2}
    assert [why.segments[0] for why in found] == [texts[i] for i in found.inputs]
    recorded = explainer.explain(texts, on_error="record", **options)
    assert recorded.inputs == found.inputs


def test_a_text_with_nan_logits_is_named_by_its_index_at_the_prediction():
    """Before anything is attributed; a record explains the others."""
    model, tokenizer = tiny("bert", fresh=True)
    broken = tokenizer("dull")["input_ids"][1]
    with torch.no_grad():
        model.get_input_embeddings().weight[broken] = float("nan")
    explainer = xai_nlp.load(model, tokenizer)
    texts = ["a film", "a plot", "dull", "a day"]
    for call in (partial(explainer.explain, method="occlusion"), explainer.predict):
        with rows_counted(model) as sizes, pytest.raises(InvalidInput, match="NaN or infinity for example 2"):
            call(texts)
        assert sum(sizes) <= len(texts)
    with pytest.raises(InvalidInput, match="NaN or infinity for example 2"):
        explainer.explain(texts)  # its first pass predicts
    recorded = explainer.explain(texts, on_error="record", method="saliency")
    assert list(recorded.errors) == [2] and len(recorded) == 3


@pytest.mark.parametrize("method", sorted(METHODS))
def test_an_impossible_label_that_is_not_explained_leaves_scores_finite(method):
    model, tokenizer = tiny("bert", fresh=True)
    with torch.no_grad():
        model.classifier.bias[0] = -float("inf")
    why = xai_nlp.load(model, tokenizer).explain("a dull film", method=method, target=1)
    assert np.isfinite(why.scores).all() and any(why.scores)


def test_targets_of_several_lengths_share_a_batch():
    """Answers in contexts of different lengths: the weights are filled up, and each is as it is alone."""
    explainer = xai_nlp.load(*tiny("bert", task="question-answering"))
    contexts = ["Mary wrote it", "Mary wrote it in 1818 near the lake"]
    together = explainer.explain("who wrote it", contexts, steps=6)
    for context, why in zip(contexts, together, strict=True):
        alone = explainer.explain("who wrote it", context, steps=6)
        assert why.target == alone.target
        assert why.scores == pytest.approx(alone.scores, abs=1e-5)
