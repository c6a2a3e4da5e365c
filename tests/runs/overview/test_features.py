"""Features of explanations, held to what the explanations say one by one."""

from collections import defaultdict

import numpy as np
import pytest

from tests.runs.overview.samples import chunk_of, explanation, random_explanations
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import SPECIAL
from xai_nlp.core.spans import word_spans
from xai_nlp.runs.overview.features import (
    INPUT,
    KINDS,
    LENGTH,
    NAME,
    NUMBER,
    PLACES,
    POSITION,
    WordForms,
    feature_shares,
    input_names,
    input_shares,
    text_places,
)


def sentences(text):
    """The sentences of a text, as lists of words; and the words that begin one."""
    written = [text[a:b] for a, b in word_spans(text)]
    zeros = np.zeros(len(written), dtype=np.int64)
    lexical = np.array([any(map(str.isalnum, word)) for word in written], dtype=bool)
    places = text_places(zeros, zeros, WordForms().bits(written), lexical)
    parts = defaultdict(list)
    for word, number in zip(written, places.sentence.tolist(), strict=True):
        parts[number].append(word)
    assert (places.sentences == len(parts)).all() and places.length.tolist() == [len(written)] * len(written)
    return list(parts.values()), [word for word, first in zip(written, places.first, strict=True) if first]


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("Anna saw it. She left! Why? Nobody knows", ["Anna", "She", "Why", "Nobody"]),
        ("It took 3.5 hours. And 7 days.", ["It", "And"]),
        ("J. Smith wrote to the U.S. senate. He did", ["J", "He"]),
        ("it 's slow . very slow .", ["it", "very"]),
        ("Well... it is fine", ["Well"]),
        ('He said "Go." "Now" he went.', ["He", "Now"]),
        ("これは本です。それも本です。", ["こ", "そ"]),
        ("fine", ["fine"]),
        ("...", []),
    ],
)
def test_sentences_begin_where_they_do(text, starts):
    assert sentences(text)[1] == starts


def shares_of(items):
    """(kind, number) -> {example: (signed, absolute, size)}."""
    chunk, forms = chunk_of(items), WordForms()
    found = feature_shares(chunk, forms)
    shares = defaultdict(dict)
    for kind, number, example, *rest in zip(*(array.tolist() for array in found), strict=True):
        assert example not in shares[kind, number]
        shares[kind, number][example] = tuple(rest)
    return shares, chunk


def test_words_marks_and_special_tokens_are_summed():
    items = random_explanations(40)
    shares, chunk = shares_of(items)
    expected = defaultdict(dict)
    for i, item in enumerate(items):
        words = item.words()
        size = sum(map(abs, words.scores))
        for word, segment in zip(words.tokens, words.segment, strict=True):
            kind = 2 if segment == SPECIAL else 0 if any(map(str.isalnum, word)) else 1
            own = [s for t, s in zip(words.tokens, words.scores, strict=True) if t.casefold() == word.casefold()]
            sums = (sum(own) / size, sum(map(abs, own)) / size, len(own) / len(words.tokens))
            expected[kind, chunk.vocabulary.number(word)][i] = pytest.approx(sums)
    found = {key: value for key, value in shares.items() if key[0] < NAME}
    assert found == expected and {key[0] for key in found} == {0, 1, 2}


def test_names_and_numbers():
    text = "Anna saw Peter in 1999. He paid Maria 7 Euros"
    shares, _ = shares_of([explanation(text, [1.0, 2, -4, 0, 8, 0, 0, 0, -16, 32, 64], gold="POSITIVE")])
    size, total = 127, 13
    assert shares[NAME, 0][0] == pytest.approx(((-4 - 16 + 64) / size, (4 + 16 + 64) / size, 3 / total))
    assert shares[NUMBER, 0][0] == pytest.approx((40 / size, 40 / size, 2 / total))


def test_places_take_shares_of_their_own_text():
    text = "One two. Three four five six. Seven eight"
    scores = [1.0, -1, 0, 2, 0, 0, -2, 0, 3, 3]
    pair = explanation(text, scores, segments=(text, "one only"))
    both = type(pair)(
        **{
            **vars(pair),
            "tokens": (*pair.tokens, "one", "only"),
            "offsets": (*pair.offsets, (0, 3), (4, 8)),
            "segment": (*pair.segment, 1, 1),
            "scores": (*pair.scores, 40.0, 40.0),
        }
    )
    shares, _ = shares_of([both])
    places = {number: value[0] for (kind, number), value in shares.items() if kind == POSITION}
    expected = {0: (0, 2 / 12, 3 / 10), 1: (6 / 12, 6 / 12, 2 / 10)}
    expected |= {2 + n: (scores[n] / 12, abs(scores[n]) / 12, 0.1) for n in range(10)}
    assert set(places) == set(expected) and len(PLACES) == 12
    for number, value in expected.items():
        assert places[number] == pytest.approx(value)


def test_lengths_are_powers_of_two():
    items = [explanation(" ".join(["a"] * n), [1.0] * n) for n in (1, 2, 3, 4, 7, 8)]
    shares, _ = shares_of(items)
    found = {number: sorted(value) for (kind, number), value in shares.items() if kind == LENGTH}
    assert found == {0: [0], 1: [1, 2], 2: [3, 4], 3: [5]}


def with_image(scores, regions):
    image = ImageAttribution(data=b"", size=(2, 2), boxes=((0, 0, 1, 1),) * len(regions), scores=tuple(regions))
    words = " ".join(["what"] * len(scores))
    return explanation(words, scores, image=image, task="visual-question-answering")


def test_inputs_are_named_by_the_task_and_take_shares():
    items = [with_image([1.0, -2.0], [3.0, -3.0, 1.0]), with_image([5.0], [0.1, -0.1]), with_image([0.0], [0.0])]
    chunk = chunk_of(items)
    assert input_names(chunk) == ["question", "image"]
    np.testing.assert_allclose(input_shares(chunk, input_names(chunk)), [[0.3, 0.7], [5 / 5.2, 0.2 / 5.2], [0, 0]])
    shares, chunk = shares_of(items)
    alone = {number: [one[0] for one in value.values()] for (kind, number), value in shares.items() if kind == INPUT}
    assert alone == {0: [0, 1, 0], 1: [0, 0, 0]}
    what = shares[KINDS.index("word"), chunk.vocabulary.number("what")]
    assert what[0][:2] == pytest.approx((-0.1, 0.3))  # the image is in the |score| of the whole


def test_a_text_has_no_inputs_to_leave_out():
    shares, chunk = shares_of([explanation("so what", [1.0, 2.0])])
    assert input_names(chunk) == ["text"] and not [key for key in shares if key[0] == INPUT]


def test_an_image_alone_has_a_length_and_nothing_else():
    image = with_image([], [1.0, 2.0])
    only = type(image)(**{**vars(image), "segments": (), "tokens": (), "offsets": (), "segment": (), "scores": ()})
    shares, _ = shares_of([only])
    assert {KINDS[kind] for kind, _ in shares} == {"length"}
