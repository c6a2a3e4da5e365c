"""Questions and answers: decoding against brute force, targets, windows, and what goes wrong."""

import pytest
import torch

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint

QUESTION = "Who wrote the first published algorithm?"
CONTEXT = (
    "Charles Babbage designed the Analytical Engine in 1837. Six years later Ada Lovelace wrote the first published "
    "algorithm for it, while Luigi Menabrea had described the machine in French."
)
QA = "question-answering"


# Explaining ----------------------------------------------------------------------------------------------------------


def test_answers_and_explains_in_one_line():
    why = xai_nlp.explain(question=QUESTION, context=CONTEXT)
    assert why.prediction == "Ada Lovelace"
    assert why.segments == (QUESTION, CONTEXT)
    segment, (start, end) = why.answer
    assert why.segments[segment][start:end] == "Ada Lovelace"
    assert why.task == QA
    assert abs(why.residual) <= 0.01 * abs(why.explained)
    assert xai_nlp.Explanation.from_json(why.to_json()) == why


def test_span_is_start_plus_end_from_the_same_passes(qa):
    calls = []
    handle = qa.model.register_forward_hook(lambda *_: calls.append(1))
    start, end = qa.explain(QUESTION, CONTEXT, target=("start", "end"), steps=9)
    both = len(calls)
    calls.clear()
    span = qa.explain(QUESTION, CONTEXT, target="span", steps=9)
    handle.remove()
    assert both == len(calls)
    assert [why.target.kind for why in (start, end, span)] == ["start", "end", "span"]
    assert {why.target.label for why in (start, end, span)} == {start.prediction}
    for a, b, c in zip(start.scores, end.scores, span.scores, strict=True):
        assert a + b == pytest.approx(c, abs=1e-5)
    assert span.value == pytest.approx(start.value + end.value, abs=1e-5)


def test_values_are_the_models_logits(qa):
    best = qa.answers(QUESTION, CONTEXT, best=1)[0]
    with torch.no_grad():
        out = qa.model(**qa.tokenizer(QUESTION, CONTEXT, return_tensors="pt"))
    start, end = qa.explain(QUESTION, CONTEXT, target=("start", "end"), method="saliency")
    assert start.value == pytest.approx(float(out.start_logits[0, best.start]), abs=1e-5)
    assert end.value == pytest.approx(float(out.end_logits[0, best.end]), abs=1e-5)
    chance = qa.explain(QUESTION, CONTEXT, target="start", method="saliency", unit="probability")
    assert chance.value == pytest.approx(float(out.start_logits[0].softmax(-1)[best.start]), abs=1e-6)
    both = qa.explain(QUESTION, CONTEXT, method="saliency", unit="log-probability")
    expected = out.start_logits[0].log_softmax(-1)[best.start] + out.end_logits[0].log_softmax(-1)[best.end]
    assert both.value == pytest.approx(float(expected), abs=1e-5)


def test_a_given_answer_and_a_contrast(qa):
    given = qa.explain(QUESTION, CONTEXT, answer="Luigi Menabrea", steps=33)
    assert given.answer == (1, (CONTEXT.index("Luigi"), CONTEXT.index("Luigi") + len("Luigi Menabrea")))
    own = qa.explain(QUESTION, CONTEXT, steps=33)
    contrast = qa.explain(QUESTION, CONTEXT, rather_than="Luigi Menabrea", steps=33)
    assert contrast.target == TargetSpec(kind="span", label=own.prediction, contrast="Luigi Menabrea")
    for a, b, c in zip(own.scores, given.scores, contrast.scores, strict=True):
        assert a - b == pytest.approx(c, abs=1e-5)
    by_place = qa.explain(QUESTION, CONTEXT, answer=given.answer[1], steps=33)
    assert by_place.scores == given.scores


def test_several_questions_padded_equal_each_alone(qa):
    questions = [QUESTION, "When?", "Who described the machine in French?"]
    together = qa.explain(questions, CONTEXT, steps=9)
    assert isinstance(together, Explanations)
    for question, why in zip(questions, together, strict=True):
        alone = qa.explain(question, CONTEXT, steps=9)
        assert why.prediction == alone.prediction
        assert why.scores == pytest.approx(alone.scores, abs=1e-5)


@pytest.mark.parametrize("name", [a for a in ARCHITECTURES if a not in ("camembert", "xlm-roberta")])
def test_every_architecture_answers_completely(name):
    model, tokenizer = tiny(name, fresh=True, task=QA)
    explainer, before = xai_nlp.load(model, tokenizer), fingerprint(model)
    why = explainer.explain("who wrote it", "Mary wrote it in 1818", tolerance=0.01, max_steps=2000)
    assert abs(why.residual) <= 0.011 * max(abs(why.explained), 0.05)
    assert answer_of(why).strip()
    assert fingerprint(model) == before


def answer_of(why):
    segment, (start, end) = why.answer
    return why.segments[segment][start:end]


# Long contexts and what goes wrong -----------------------------------------------------------------------------------


def test_a_context_of_3000_words_is_answered_in_its_window(qa):
    filler = "The river runs past the old mill and the fields are green in spring. "
    long = filler * 115 + CONTEXT + " " + filler * 115
    assert len(long.split()) > 3000
    why = qa.explain(QUESTION, long)
    assert why.prediction.endswith("Ada Lovelace")
    segment, (start, end) = why.answer
    assert long[start:end] == why.prediction and segment == 1
    assert why.params["windows_read"] > 5
    assert abs(why.residual) <= 0.01 * max(abs(why.explained), 0.05) * 1.01
    assert len(why.tokens) <= 512
    with pytest.raises(InvalidInput, match="windows"):
        qa.explain(QUESTION, long, long="error")


def test_twenty_equal_sentences(qa):
    why = qa.explain("Who wrote it?", "Ada Lovelace wrote it in London. " * 20)
    assert why.prediction == "Ada Lovelace"
    assert why.answer[1][0] % len("Ada Lovelace wrote it in London. ") == 0
    assert next(iter(why.outputs.values())) <= 1.0000001
    assert abs(why.residual) <= 0.01 * max(abs(why.explained), 0.05) * 1.01


def test_a_question_longer_than_the_window(qa):
    with pytest.raises(InvalidInput, match="Shorten the first text"):
        qa.explain("who " * 600, CONTEXT)
    with pytest.raises(InvalidInput, match="Shorten the first text"):
        qa.explain("who " * 600, CONTEXT * 30)


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"question": ""}, InvalidInput, "question 0 is empty"),
        ({"context": " \n"}, InvalidInput, "context 0 is empty"),
        ({"target": "middle"}, UnknownName, "end, span, start"),
        ({"answer": "Grace Hopper"}, InvalidInput, "does not hold"),
        ({"answer": ""}, InvalidInput, "does not hold"),
        ({"answer": (5, 5)}, InvalidInput, "characters"),
        ({"rather_than": "Ada Lovelace"}, InvalidInput, "with itself"),
        ({"unit": "probability"}, InvalidInput, "log-probability"),
        ({"unit": "percent"}, UnknownName, "unit"),
        ({"methd": "saliency"}, UnknownName, "option"),
        ({"method": "saliency", "layers": True}, InvalidInput, "integrated_gradients"),
        ({"layer": 1, "parts": True}, InvalidInput, "leave out"),
    ],
)
def test_mistakes_are_refused(qa, options, error, said):
    before = fingerprint(qa.model)
    with pytest.raises(error, match=said):
        qa.explain(**{"question": QUESTION, "context": CONTEXT, **options})
    assert fingerprint(qa.model) == before


def test_an_unanswerable_question_of_a_model_that_may_say_so():
    """A model made to point at [CLS]: as SQuAD 2 models say that there is no answer."""
    model, tokenizer = tiny("bert", fresh=True, task=QA)
    explainer = xai_nlp.load(model, tokenizer)
    batch = tokenizer("who wrote it", "the film was great", return_tensors="pt")
    with torch.no_grad():
        hidden = model.bert(**batch).last_hidden_state[0]
        model.qa_outputs.weight[:] = 3 * (hidden[0] - hidden[1:].mean(0))
    plain = explainer.explain("who wrote it", "the film was great")
    assert plain.prediction in "the film was great" and plain.answer is not None
    why = explainer.explain("who wrote it", "the film was great", unanswerable=True)
    assert why.prediction == ""
    assert why.answer is None
    assert why.value == pytest.approx(why.params["no_answer_score"], abs=1e-4)
    assert abs(why.residual) <= 0.011 * max(abs(why.explained), 0.05)
