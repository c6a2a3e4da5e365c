"""Words of a text, and the span to which a token belongs."""

import numpy as np
import pytest

from xai_nlp.core.spans import assign, word_spans


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("❤\ufe0f naïve nai\u0308ve", ["❤\ufe0f", "naïve", "nai\u0308ve"]),
        ("It's un-do-able!", ["It's", "un-do-able", "!"]),
        ("你好 world", ["你", "好", "world"]),
        ("😀👩\u200d👩 ok", ["😀👩\u200d👩", "ok"]),
        ("  ", []),
        ("3.5", ["3", ".", "5"]),
    ],
)
def test_what_a_word_is(text, words):
    assert [text[a:b] for a, b in word_spans(text)] == words


def test_tokens_go_where_they_overlap_most():
    assert assign([(0, 3), (3, 9), (20, 21)], [(0, 4), (4, 9)]).tolist() == [0, 1, -1]
    assert assign([(0, 1)], []).tolist() == [-1]
    assert assign([], [(0, 1)]).tolist() == []
    assert assign([(1, 1)], [(0, 2)]).tolist() == [-1]  # a token without characters


def test_assigns_each_token_to_the_span_it_overlaps_most_by_brute_force():
    generator = np.random.default_rng(0)
    for _ in range(200):
        cuts = np.sort(generator.choice(40, 8, replace=False)).tolist()
        spans = list(zip(cuts[::2], cuts[1::2], strict=True))
        tokens = [tuple(sorted(generator.integers(0, 40, 2).tolist())) for _ in range(5)]
        for (start, end), found in zip(tokens, assign(tokens, spans), strict=True):
            shared = [max(0, min(end, b) - max(start, a)) for a, b in spans]
            assert found == (shared.index(max(shared)) if max(shared) else -1)
