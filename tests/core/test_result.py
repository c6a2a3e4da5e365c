"""Explanations as values: JSON, equality, words, bounded repr; targets; several explanations."""

import json
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.recipes.saved import DOUBT
from tests.viz.images import written
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.core.spans import word_spans
from xai_nlp.errors import InvalidInput

POSITIVE = TargetSpec(kind="label", label="POSITIVE", position=0)
finite = st.floats(allow_nan=False, allow_infinity=False)


def make(text="so good", tokens=("[CLS]", "so", "go", "od"), scores=(0.0, 0.5, 1.0, -0.25), **more):
    values = dict(
        segments=(text,), tokens=tokens, offsets=((0, 0), (0, 2), (3, 5), (5, 7)), segment=(-1, 0, 0, 0), scores=scores,
        unit="logit", target=POSITIVE, value=2.0, baseline_value=0.5, outputs={"POSITIVE": 0.9, "NEGATIVE": 0.1},
        method="integrated_gradients", baseline="pad", complete=True, params={"steps": "auto"},
    )  # fmt: skip
    return Explanation(**{**values, **more})


@given(st.lists(finite, min_size=4, max_size=4), st.text(max_size=20), finite)
def test_json_gives_back_exactly_what_went_in(scores, text, value):
    why = make(text=f"so good{text}", scores=tuple(scores), value=value)
    assert Explanation.from_json(why.to_json()) == why


def test_files_round_trip(tmp_path):
    why = make(text="naïve 😀\u200d👩 \u202e", gold=("POSITIVE", "MIXED"), trust=DOUBT)
    why.save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == why
    assert json.loads((tmp_path / "why.json").read_text())["format"] == 4


def test_equality_is_equality():
    assert make() == make()
    assert make() != make(scores=(0.0, 0.5, 1.0, -0.25000001))
    assert make() != replace(make(), tokens=("[CLS]", "so", "go", "od", "!"), offsets=(*make().offsets, (7, 7)),
                             segment=(-1, 0, 0, 0, 0), scores=(*make().scores, 0.0))  # fmt: skip


@pytest.mark.parametrize(
    "bad",
    [
        {"scores": (1.0,)},
        {"scores": (0.0, float("nan"), 1.0, 0.0)},
        {"value": float("inf")},
        {"outputs": {"POSITIVE": float("nan")}},
        {"parts": {"word": (0.0,) * 3}},
        {"parts": {"word": (0.0, 0.0, 0.0, float("inf"))}},
    ],
)
def test_impossible_values_are_refused(bad):
    with pytest.raises(InvalidInput):
        make(**bad)


def test_residual_by_hand():
    assert make().explained == 1.5
    assert make().residual == 0.25  # 2.0 − 0.5 − (0.5 + 1.0 − 0.25)


def test_words_keep_sums_and_special_tokens():
    words = make().words()
    assert words.tokens == ("[CLS]", "so", "good")
    assert words.scores == (0.0, 0.5, 0.75)
    assert words.offsets == ((0, 0), (0, 2), (3, 7))
    assert words.residual == make().residual


def test_pairs_do_not_mix():
    why = make(segments=("so", "so good"), offsets=((0, 0), (0, 2), (3, 5), (5, 7)), segment=(-1, 0, 1, 1))
    assert why.words().tokens == ("[CLS]", "so", "good")
    assert why.words().segment == (-1, 0, 1)


def test_repr_is_one_bounded_line():
    n = 5000
    why = make(text="word " * n, tokens=("x" * 50,) * n, offsets=((0, 4),) * n, segment=(0,) * n, scores=(1.0,) * n,
               target=TargetSpec(kind="label", label="T" * 500))  # fmt: skip
    assert len(repr(why)) < 300
    assert "\n" not in repr(why)


def test_nothing_predicted_is_no_error():
    assert make(outputs={}).prediction == ""


def test_words_by_brute_force():
    """Any tokens, also some without characters or over several words, in two texts with special tokens between."""
    draws = np.random.default_rng(0)
    texts = ("never so good, he said", "naïve 你好 end")
    for _ in range(200):
        segment, offsets = [], []
        for s in (-1, 0, -1, 1):
            starts = np.sort(draws.integers(0, len(texts[s]), draws.integers(1, 9))).tolist() if s >= 0 else [0]
            ends = [min(len(texts[s]), start + int(draws.integers(0, 9))) if s >= 0 else 0 for start in starts]
            offsets += zip(starts, ends, strict=True)
            segment += [s] * len(starts)
        n = len(segment)
        why = make(segments=texts, tokens=tuple(map(str, range(n))), offsets=tuple(offsets), segment=tuple(segment),
                   scores=tuple(draws.standard_normal(n).tolist()))  # fmt: skip
        owners = []
        for i, (s, (start, end)) in enumerate(zip(segment, offsets, strict=True)):
            shared = [max(0, min(end, b) - max(start, a)) for a, b in word_spans(texts[s])] if s >= 0 else [0]
            owners.append((s, shared.index(max(shared))) if max(shared) else (s, ~i))
        groups = [[i for i, _ in run] for _, run in groupby(enumerate(owners), key=lambda pair: pair[1])]
        assert why.word_groups() == groups
        words = why.words()
        assert words.scores == pytest.approx([sum(why.scores[i] for i in group) for group in groups])
        assert words.offsets == tuple((offsets[g[0]][0], max(offsets[i][1] for i in g)) for g in groups)
        assert words.segment == tuple(segment[g[0]] for g in groups)
        assert words.tokens == tuple(
            str(g[0]) if len(g) == 1 else texts[segment[g[0]]][slice(*span)]
            for g, span in zip(groups, words.offsets, strict=True)
        )


def test_an_image_alone_has_no_words():
    image = ImageAttribution(
        data=written(Image.new("RGB", (2, 2))), size=(2, 2), boxes=((0.0, 0.0, 2.0, 2.0),), scores=(0.5,)
    )
    why = make(segments=(), tokens=(), offsets=(), segment=(), scores=(), image=image)
    assert why.words() == why
    assert why.word_groups() == []
    assert why.residual == 1.0
    assert Explanation.from_json(why.to_json()) == why


# Targets and right answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (TargetSpec(kind="label", label="POSITIVE"), "POSITIVE"),
        (TargetSpec(kind="label", label="POSITIVE", contrast="NEGATIVE"), "POSITIVE-NEGATIVE"),
        (TargetSpec(kind="span", label="Mary Shelley"), "span of Mary Shelley"),
        (TargetSpec(kind="start", label="", contrast="Ada"), "start of -Ada"),
        (TargetSpec(kind="end", label=""), "end of no answer"),
        (TargetSpec(kind="token", label=" cat", answer="a cat", position=3), "token ' cat' (3)"),
        (TargetSpec(kind="token", label=" cat", answer="a cat"), "token ' cat'"),
    ],
)
def test_a_target_in_a_few_words(target, text):
    assert str(target) == text
    assert f"of {text}:" in repr(make(target=target))


@pytest.mark.parametrize(
    ("gold", "kind", "outputs", "correct"),
    [
        ((), "label", {"POSITIVE": 0.9}, None),
        (("positive",), "label", {"POSITIVE": 0.9}, True),
        (("NEGATIVE",), "label", {"POSITIVE": 0.9}, False),
        (("MIXED", "POSITIVE"), "label", {"POSITIVE": 0.9}, True),
        (("The  Normans.",), "span", {"Normans": 0.9, "": 0.1}, True),
        (("the a",), "label", {"the": 0.9}, False),
        (("",), "span", {"": 0.9, "Normans": 0.1}, True),
        (("red",), "answer", {"blue": 0.9}, False),
    ],
)
def test_the_prediction_is_compared_with_the_right_ones(gold, kind, outputs, correct):
    assert make(gold=gold, target=TargetSpec(kind=kind, label="x"), outputs=outputs).correct is correct


# Arrays --------------------------------------------------------------------------------------------------------------


def with_arrays(length=4, heads=2):
    numbers = np.random.default_rng(0)
    scores = Array(numbers.standard_normal((2, heads, length, length)))
    return replace(
        make(),
        layers=Array(numbers.standard_normal((2, length))),
        attention={
            "self": AttentionAttribution(
                scores=scores, layers=("layer 0", "layer 1"), method="conductance", unit="logit"
            )
        },
        parts={"word": (0.1, 0.2, 0.3, 0.0), "position": (0.0, 0.0, 0.5, 0.5)},
        answer=(0, (3, 7)),
    )


def test_words_add_up_layers_matrices_and_parts():
    item = with_arrays()
    merged = item.spans([(0, (3, 7))])
    assert merged.tokens == ("[CLS]", "so", "good")
    matrix, whole = merged.attention["self"].scores, item.attention["self"].scores
    assert matrix.shape == (2, 2, 3, 3)
    assert matrix[0, 1, 2, 0] == pytest.approx(whole[0, 1, 2, 0] + whole[0, 1, 3, 0], abs=1e-6)
    assert matrix[1, 0, 2, 2] == pytest.approx(whole[1, 0, 2:, 2:].sum(), abs=1e-6)
    assert merged.layers[1, 2] == pytest.approx(item.layers[1, 2] + item.layers[1, 3], abs=1e-6)
    assert merged.parts["position"] == (0.0, 0.0, 1.0)


def test_stochastic_rows_stay_distributions_over_keys_when_tokens_become_words():
    rows = np.full((1, 1, 4, 4), 1 / 4)
    stack = AttentionAttribution(
        scores=Array(rows), layers=("layer 0",), method="attention_probabilities", row_stochastic=True
    )
    merged = replace(make(), attention={"self": stack}).spans([(0, (3, 7))]).attention["self"].scores.numpy()
    np.testing.assert_allclose(merged[0, 0], [[1 / 4, 1 / 4, 1 / 2]] * 3, rtol=1e-6)


def test_arrays_of_another_length_or_not_finite_are_refused():
    with pytest.raises(InvalidInput):
        replace(make(), layers=Array(np.zeros((2, 5))))
    with pytest.raises(InvalidInput):
        replace(make(), layers=Array(np.zeros(4)))
    stack = replace(with_arrays().attention["self"], scores=Array(np.zeros((2, 2, 4, 5))))
    with pytest.raises(InvalidInput, match="matrices"):
        replace(make(), attention={"self": stack})
