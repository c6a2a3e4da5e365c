"""The model cards' figures, and that the strongest words matter, on the development sets of SST-2 and SQuAD."""

import pytest

import xai_nlp
from tests.bench.faithful import accuracy, read, short, table_of
from xai_nlp.metrics.squad import read_squad, squad_scores

pytestmark = [pytest.mark.eval, pytest.mark.slow]


def test_the_cards_accuracy(sentiment, data):
    examples = read(data / "sst2_dev.jsonl", None)
    assert round(accuracy(sentiment, examples) * len(examples)) == 773


def test_removing_the_strongest_words_of_sentences_costs_more_than_removing_random_ones(data):
    comparison = xai_nlp.compare_methods(data / "sst2_dev.jsonl", ["integrated_gradients"], limit=40, progress=False)
    assert comparison.estimate("integrated_gradients").interval[0] > 0.5
    assert comparison.estimate("integrated_gradients", "beaten").mean >= 0.95


def test_the_qa_cards_figures_on_a_part(data):
    """Questions 0, 20, 40, …: as SQuAD's own functions score the same answers, and near the card's figures for all."""
    explainer, questions = xai_nlp.load("qa"), list(read_squad(data / "squad_dev.json"))
    assert len(questions) == 2000
    part = questions[::20]
    result = explainer.predict([a.question for a in part], [a.context for a in part], best=1)
    measured = squad_scores(part, {a.id: best[0].text for a, best in zip(part, result, strict=True)})
    assert measured.questions == 100
    assert measured.exact_match == pytest.approx(58.3, abs=12)  # 2.5 standard errors of 100 questions
    assert measured.f1 == pytest.approx(70.69, abs=10)


def test_removing_the_strongest_words_of_questions_costs_an_answer_more_than_removing_random_ones(data):
    questions = table_of(short(data / "squad_dev.json", 5))
    comparison = xai_nlp.compare_methods(questions, ["integrated_gradients"], progress=False)
    assert comparison.difference("integrated_gradients", "random").interval[0] > 0
    assert comparison.estimate("integrated_gradients", "beaten").mean >= 0.9
