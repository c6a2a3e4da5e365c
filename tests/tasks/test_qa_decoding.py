"""Decoding of answers, against brute force."""

import itertools
import math

import pytest
import torch

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
    found = read(context, (row, logits)).answers(best=100, longest=longest)
    assert [(a.start, a.end) for a in found] == expected
    for answer in found:
        assert answer.probability == pytest.approx(math.exp(scores[answer.start, answer.end]) / total)
        first, last = (places.index(i) for i in (answer.start, answer.end))
        assert answer.text == context[2 * first : 2 * last + 1]


def test_a_stretch_that_two_windows_see_counts_once_by_its_better_score():
    row, context = row_of(3), "a b c"
    worse, better = torch.zeros(2, len(row)), torch.zeros(2, len(row))
    better[:, 4] = 2.0
    found = read(context, (row, worse), (row, better)).answers()
    assert [a.text for a in found].count("a") == 1
    assert (found[0].text, found[0].window, found[0].score) == ("a", 1, 4.0)
    assert sum(a.probability for a in found) == pytest.approx(1)


def test_no_answer_takes_part_where_it_may_by_the_window_that_believes_least_in_it():
    row = row_of(2)
    first, second = torch.zeros(2, len(row)), torch.zeros(2, len(row))
    first[:, 0], second[:, 0] = 5.0, 1.0
    reading = read("a b", (row, first), (row, second))
    assert all(a.text for a in reading.answers())
    best = reading.answers(unanswerable=True)[0]
    assert (best.text, best.span, best.score, best.window) == ("", None, 2.0, 1)
