"""Answers from one input alone, held to loops over the explanations."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import TargetSpec
from xai_nlp.core.statistics import proportion
from xai_nlp.runs.overview.modalities import IGNORED
from xai_nlp.runs.overview.question_only import QuestionOnly, agreement
from xai_nlp.runs.overview.section import OverviewContext


def asked(question, scores, regions, answer, gold=""):
    """A question about an image."""
    image = ImageAttribution(data=b"", size=(2, 2), boxes=((0, 0, 1, 1),) * len(regions), scores=tuple(regions))
    return explanation(
        question, scores, image=image, task="visual-question-answering", outputs={answer: 0.9, "none": 0.1},
        target=TargetSpec(kind="answer", label=answer), gold=gold,
    )  # fmt: skip


def random_questions(count):
    """Questions whose colour is told by their first word in most rows; the image counts in half of them."""
    draws, items = np.random.default_rng(0), []
    for _ in range(count):
        thing = str(draws.choice(["star", "cross", "box", "ring"]))
        answer = {"star": "red", "cross": "blue"}.get(thing) or str(draws.choice(["red", "blue", "green"]))
        regions = draws.normal(0, 1 if draws.random() < 0.5 else 0.01, 4)
        gold = str(draws.choice(["red", answer]))
        items.append(
            asked(f"what colour is the {thing}", draws.normal(0, 1, 5).tolist(), regions.tolist(), answer, gold)
        )
    return items


@pytest.fixture(scope="module")
def items():
    return random_questions(120)


@pytest.fixture(scope="module")
def answer(items):
    section, context = QuestionOnly(OverviewContext()), OverviewContext()
    for start in range(0, len(items), 50):
        section.add(chunk_of(items[start : start + 50], context, start))
    return section.result()


def table(answer, name):
    (found,) = [one for one in answer.tables if one.name == name]
    return found.lines


def test_shares_and_rates_are_those_of_loops(items, answer):
    shares = np.array([item.shares["text"] for item in items])
    alone = shares > 1 - IGNORED
    assert 0 < alone.sum() < len(items)
    question, image = table(answer, "one_input")
    expected = proportion(int(alone.sum()), len(items))
    assert question[:4] == ("question only", expected.mean, expected.interval, len(items))
    assert question[4] == pytest.approx(shares.mean())
    assert question[5] == pytest.approx(stats.t.interval(0.95, len(items) - 1, shares.mean(), stats.sem(shares)))
    wrong = np.array([not item.correct for item in items])
    assert question[6:8] == pytest.approx((wrong[alone].mean(), wrong[~alone].mean()))
    assert image[0] == "image only" and image[1] == (shares < IGNORED).mean()
    assert alone[question[8][0]]
    assert answer.sentence == f"Of the answers {100 * alone.mean():.0f}\u00a0% rest on the question alone."


def test_the_distribution_of_shares(items, answer):
    shares = [item.shares["text"] for item in items]
    counts, _ = np.histogram(shares, np.linspace(0, 1, 6))
    lines = [line for line in table(answer, "input_shares") if line[0] == "question"]
    assert [line[4] for line in lines] == counts.tolist()
    assert lines[0][1] == "0 to 20 %" and lines[4][1] == "80 to 100 %"


@pytest.mark.parametrize(
    ("whose", "of"), [("predicted", lambda one: one.prediction), ("right", lambda one: one.gold[0])]
)
def test_repeated_questions_are_those_of_all_pairs(items, answer, whose, of):
    by_question: dict[str, list[str]] = {}
    for item in items:
        by_question.setdefault(item.segments[0], []).append(of(item))
    same = [np.mean([a == b for a, b in combinations(answers, 2)]) for answers in by_question.values()]
    (line,) = [line for line in table(answer, "repeated_inputs") if line[:2] == ("question", whose)]
    assert line[2] == pytest.approx(np.mean(same)) and line[5:] == (4, len(items))
    low, high = stats.t.interval(0.95, 3, np.mean(same), stats.sem(same))
    assert line[3] == pytest.approx((max(low, 0), min(high, 1)))
    assert line[4] == pytest.approx(np.mean([a == b for a, b in combinations([of(item) for item in items], 2)]))


def test_agreement_is_the_chance_that_two_rows_agree():
    draws = np.random.default_rng(0)
    groups, answers = draws.integers(0, 6, 40), draws.integers(0, 3, 40)
    sizes = Counter(groups.tolist())
    expected = [
        np.mean([a == b for a, b in combinations(answers[groups == group].tolist(), 2)])
        for group in sorted(sizes)
        if sizes[group] > 1
    ]
    assert agreement(groups, answers) == pytest.approx(expected)


def test_texts_alone_and_unscored_texts_say_nothing():
    section = QuestionOnly(OverviewContext())
    section.add(chunk_of([explanation("so what", [1.0, 2.0])]))
    assert section.result() is None
    section.add(chunk_of([asked("so what", [0.0, 0.0], [0.0], "red"), asked("what now", [1.0, 0.0], [1.0], "red")]))
    answer = section.result()
    assert [line[3] for line in table(answer, "one_input")] == [1, 1]
    assert answer.sentence == "No answer rests on one input alone."
    assert "repeated_inputs" not in [one.name for one in answer.tables]
