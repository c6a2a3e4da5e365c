"""Words and regions as features: numbered as the words of explanations, in every window alike."""

import numpy as np
import pytest

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_input_embeddings import parts_of
from tests.tasks.test_removals import TASKS
from xai_nlp.core.features import NO_FEATURE
from xai_nlp.core.result import SPECIAL
from xai_nlp.tasks.window_features import window_features, word_numbers


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2"])
def test_tokens_have_the_numbers_of_their_words(name):
    explainer, text = xai_nlp.load(*tiny(name)), "It's a beautifully-acted film, naïve and 🎬!"
    _, windows, targets = parts_of(explainer, {"text": text})
    (numbers,), count = word_numbers(targets[0], windows)
    why = explainer.explain(text, method="input_x_gradient").words()
    spans = [span for span, segment in zip(why.offsets, why.segment, strict=True) if segment != SPECIAL]
    assert count == len(spans)
    for number, (start, end), segment in zip(numbers, windows[0].offsets, windows[0].segment, strict=True):
        if segment == SPECIAL:
            assert number == NO_FEATURE
        elif text[start:end].strip():
            assert spans[number][0] <= start and end <= spans[number][1]


def test_a_word_of_two_windows_has_one_number():
    explainer = xai_nlp.load(*tiny("bert"))
    _, windows, targets = parts_of(
        explainer, {"text": "the great film was dull and the plot was thin"}, max_length=8, stride=2
    )
    numbers, count = word_numbers(targets[0], windows)
    assert count == 10 and len(numbers) > 2
    by_place = {}
    for window, own in zip(windows, numbers, strict=True):
        for number, place, segment in zip(own.tolist(), window.offsets.tolist(), window.segment, strict=True):
            if segment != SPECIAL:
                assert by_place.setdefault(tuple(place), number) == number
    assert sorted(set(by_place.values())) == list(range(10))


@pytest.mark.parametrize("name", TASKS)
def test_each_feature_is_in_a_window(name):
    load, inputs, options = TASKS[name]
    explainer = load()
    _, windows, targets = parts_of(explainer, inputs, **options)
    parts = window_features(explainer, targets[0], [windows[w] for w in targets[0].windows], pinned=False)
    words = np.unique(np.concatenate([own for part in parts for own in part.words]))
    assert words[words != NO_FEATURE].tolist() == list(range(parts[0].count))
    pinned = window_features(explainer, targets[0], [windows[w] for w in targets[0].windows], pinned=True)
    stays = sum(int(part.removable.sum()) for part in parts) - sum(int(part.removable.sum()) for part in pinned)
    assert (stays > 0) == (explainer.token_axis is not None)
