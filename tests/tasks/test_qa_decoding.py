"""Decoding of answers, against brute force."""

import itertools
import math

import numpy as np
import pytest
import torch

from xai_nlp.errors import InvalidInput
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.qa_decoding import QAOutput


def row_of(words, question=2):
    """[CLS] question [SEP] context [SEP], a token a letter-long word."""
    L = question + words + 3
    segment = (-1, *[0] * question, -1, *[1] * words, -1)
    offsets = tuple(
        (0, 0) if s != 1 else (2 * (i - question - 2), 2 * (i - question - 2) + 1) for i, s in enumerate(segment)
    )
    return TokenWindow(0, {"input_ids": [0] * L}, ("",) * L, offsets, segment)


def read(context, *windows):
    return QAOutput("a question", context, *zip(*windows, strict=True))


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_the_best_answers_are_those_of_brute_force(longest):
    torch.manual_seed(0)
    row, context = row_of(6), "a b c d e f"
    logits = torch.randn(2, len(row))
    places = [i for i, s in enumerate(row.segment) if s == 1]
    pairs = [(s, e) for s, e in itertools.product(places, places) if s <= e < s + longest]
    scores = {(s, e): float(logits[0, s] + logits[1, e]) for s, e in pairs}
    total = sum(map(math.exp, scores.values()))
    expected = sorted(pairs, key=lambda pair: -scores[pair])
    result = read(context, (row, logits)).answers(best=100, longest=longest)
    assert [(a.start, a.end) for a in result] == expected
    for answer in result:
        assert answer.probability == pytest.approx(math.exp(scores[answer.start, answer.end]) / total)
        first, last = (places.index(i) for i in (answer.start, answer.end))
        assert answer.text == context[2 * first : 2 * last + 1]


def test_a_stretch_that_two_windows_see_counts_once_by_its_better_score():
    row, context = row_of(3), "a b c"
    worse, better = torch.zeros(2, len(row)), torch.zeros(2, len(row))
    better[:, 4] = 2.0
    result = read(context, (row, worse), (row, better)).answers()
    assert [a.text for a in result].count("a") == 1
    assert (result[0].text, result[0].window, result[0].score) == ("a", 1, 4.0)
    assert sum(a.probability for a in result) == pytest.approx(1)


def test_no_answer_takes_part_where_it_may_by_the_window_that_believes_least_in_it():
    row = row_of(2)
    first, second = torch.zeros(2, len(row)), torch.zeros(2, len(row))
    first[:, 0], second[:, 0] = 5.0, 1.0
    reading = read("a b", (row, first), (row, second))
    assert all(a.text for a in reading.answers())
    best = reading.answers(unanswerable=True)[0]
    assert (best.text, best.span, best.score, best.window) == ("", None, 2.0, 1)


# Answers that a user names -------------------------------------------------------------------------------------------


def test_an_answer_is_located_where_the_model_gives_most_to_it():
    row, context = row_of(5), "a b a c a"
    logits = torch.zeros(2, len(row))
    places = [i for i, s in enumerate(row.segment) if s == 1]
    logits[0, places[2]] = 3.0
    answer = read(context, (row, logits)).locate("a")
    assert (answer.span, answer.start, answer.end, answer.score) == ((4, 5), places[2], places[2], 3.0)
    assert math.isnan(answer.probability)
    by_characters = read(context, (row, logits)).locate((4, 5))
    assert (by_characters.span, by_characters.score) == (answer.span, answer.score)


def test_an_answer_is_located_in_the_window_that_is_named():
    row, context = row_of(3), "a b c"
    worse, better = torch.zeros(2, len(row)), torch.ones(2, len(row))
    output = read(context, (row, worse), (row, better))
    assert [output.locate("b c").window, output.locate("b c", window=0).window] == [1, 0]
    assert output.locate("b c").text == "b c"


def test_part_of_a_token_is_located_with_all_of_it():
    row = TokenWindow(
        0, {"input_ids": [0] * 3}, ("q", "wonderful", "day"), np.array([(0, 1), (0, 9), (10, 13)]), np.array([0, 1, 1])
    )
    answer = QAOutput("q", "wonderful day", (row,), (torch.zeros(2, 3),)).locate("wonder")
    assert (answer.text, answer.span, answer.start) == ("wonderful", (0, 9), 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("z", "does not hold the answer 'z'"),
        (" ", "does not hold"),
        ((3, 3), "within 0 and 5"),
        ((0, 6), "within 0 and 5"),
        ((-1, 2), "within 0"),
    ],
)
def test_answers_that_the_context_does_not_hold(answer, said):
    row = row_of(3)
    with pytest.raises(InvalidInput, match=said):
        read("a b c", (row, torch.zeros(2, len(row)))).locate(answer)


def test_an_answer_that_no_window_holds_whole():
    first, second = row_of(1), row_of(1)
    second.offsets[4] = (2, 3)
    output = read("a b", *((row, torch.zeros(2, len(row))) for row in (first, second)))
    assert [output.locate(text).window for text in ("a", "b")] == [0, 1]
    with pytest.raises(InvalidInput, match="holds 'a b' whole"):
        output.locate("a b")


def test_a_context_without_a_word_has_no_answer():
    row = TokenWindow(0, {"input_ids": [0]}, ("q",), np.array([(0, 1)]), np.array([0]))
    output = QAOutput("q", "", (row,), (torch.ones(2, 1),))
    with pytest.raises(InvalidInput, match="no word"):
        output.answers()
    assert output.answers(unanswerable=True)[0].probability == pytest.approx(1)
    assert output.no_answer_score == 2.0
