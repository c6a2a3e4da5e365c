"""Influence in sentences, and texts with the parts of their tokens."""

from dataclasses import replace

import pytest

from tests.viz.influences import example, suspects, traced
from xai_nlp.viz.text.influence_texts import (
    TextPair,
    counts,
    sentence,
    side_titles,
    splits,
    suspects_sentence,
    wrong_signs,
)


def said(parts):
    return "".join(text for text, _ in parts)


FOR, AGAINST = example("a fine film", "a film", 1.0), example("a dull film", "a film", -0.5)
ZERO = example("so so", "a film", 0.0)


@pytest.mark.parametrize(
    ("proponents", "opponents", "words"),
    [
        (
            (FOR,),
            (AGAINST,),
            "Training on “a fine film” speaks for POSITIVE most; “a dull film” speaks against it most.",
        ),
        ((FOR,), (FOR,), "Training on “a fine film” speaks for POSITIVE most; no training text speaks against it."),
        ((AGAINST,), (AGAINST,), "No training text speaks for POSITIVE; “a dull film” speaks against it most."),
        ((ZERO,), (ZERO,), "No training text speaks for or against POSITIVE."),
        ((), (), "No training text speaks for or against POSITIVE."),
    ],
)
def test_sentence(proponents, opponents, words):
    assert said(sentence(replace(traced(), proponents=proponents, opponents=opponents))) == words


def test_sentences_of_similarity_and_long_pairs():
    result = traced(method="similarity", proponents=[("who\n wrote it " * 20, "she did")])
    assert said(sentence(result)).startswith("Of the training texts, “who wrote it who wrote it")
    assert said(sentence(result)).endswith("…” is most similar to this text.")
    assert said(sentence(traced(method="similarity", proponents=()))) == "No training text is named."
    assert side_titles(result)[0][0] == "Most similar"
    assert counts(result) == "the 1 most and the 1 least similar of 200\u00a0training texts"


def test_texts_of_the_other_sign_are_remarked():
    assert wrong_signs(traced(), (FOR,), 1) == "" == wrong_signs(traced(), (AGAINST,), -1)
    assert wrong_signs(traced(), (AGAINST, FOR, ZERO), -1).startswith(
        "2\u00a0texts below do not: the influence is positive"
    )
    assert wrong_signs(traced(method="similarity"), (FOR,), -1) == ""


def test_a_pair_has_one_scale():
    result = traced()
    pair = TextPair.of(result, result.proponents[0])
    assert pair.training.segments == ("a fine film",) and pair.query.segments == ("a film",)
    assert pair.training.top(2) == [("[CLS]", 0.5), ("a", 0.25)]
    assert pair.peak == 0.25  # of words: what the tokenizer adds does not count where a word scores
    assert pair.shares_words
    assert not TextPair.of(result, example("so fine", "a film")).shares_words
    twice = traced(["film film"], query="a film")  # each has half of the part that the query's has
    pair = TextPair.of(twice, twice.proponents[0])
    assert (pair.peak, max(pair.training.scores[1:])) == (0.5, 0.25)


def test_what_does_not_split_has_no_tokens():
    result = traced(method="all")
    assert splits(traced()) and not splits(result)
    pair = TextPair.of(result, result.proponents[0])
    assert (pair.training.tokens, pair.peak) == ((), 0.0)


def test_suspects():
    assert said(suspects_sentence(suspects())) == "The most suspect label is NEGATIVE of “a fine film”."
    assert said(suspects_sentence(suspects([]))) == "No label is named as suspect."
