"""Explanations as values: JSON, equality, words, bounded repr."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.reductions import assign, word_spans
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnreadableFile

finite = st.floats(allow_nan=False, allow_infinity=False)


def make(text="so good", tokens=("[CLS]", "so", "go", "od"), scores=(0.0, 0.5, 1.0, -0.25), **more):
    values = dict(
        segments=(text,), tokens=tokens, offsets=((0, 0), (0, 2), (3, 5), (5, 7)), segment=(-1, 0, 0, 0), scores=scores,
        unit="logit", target="POSITIVE", value=2.0, baseline_value=0.5, outputs={"POSITIVE": 0.9, "NEGATIVE": 0.1},
        method="integrated_gradients", baseline="pad", complete=True, params={"steps": "auto"},
    )  # fmt: skip
    return Explanation(**{**values, **more})


@given(st.lists(finite, min_size=4, max_size=4), st.text(max_size=30), finite)
def test_json_gives_back_exactly_what_went_in(scores, text, value):
    why = make(text=text, scores=tuple(scores), value=value)
    assert Explanation.from_json(why.to_json()) == why


def test_files_round_trip(tmp_path):
    why = make(text="naïve 😀\u200d👩 \u202e")
    why.save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == why
    assert json.loads((tmp_path / "why.json").read_text())["format"] == 3


@pytest.mark.parametrize(
    "text", ["", "not json", "[]", "{}", '{"format": 1}', '{"format": 2}', '{"format": 3, "tokens": []}']
)
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(UnreadableFile):
        Explanation.from_json(text)


def test_equality_is_equality():
    assert make() == make()
    assert make() != make(scores=(0.0, 0.5, 1.0, -0.25000001))
    assert make() != replace(make(), tokens=("[CLS]", "so", "go", "od", "!"), offsets=(*make().offsets, (7, 7)),
                             segment=(-1, 0, 0, 0, 0), scores=(*make().scores, 0.0))  # fmt: skip


@pytest.mark.parametrize(
    "bad", [{"scores": (1.0,)}, {"scores": (0.0, float("nan"), 1.0, 0.0)}, {"value": float("inf")}]
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
               target="T" * 500)  # fmt: skip
    assert len(repr(why)) < 300
    assert "\n" not in repr(why)


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
    assert assign([(0, 3), (3, 9), (20, 21)], [(0, 4), (4, 9)]) == [0, 1, None]
    assert assign([(0, 1)], []) == [None]


def test_assigns_each_token_to_the_span_it_overlaps_most_by_brute_force():
    generator = np.random.default_rng(0)
    for _ in range(200):
        cuts = np.sort(generator.choice(40, 8, replace=False)).tolist()
        spans = list(zip(cuts[::2], cuts[1::2], strict=True))
        tokens = [tuple(sorted(generator.integers(0, 40, 2).tolist())) for _ in range(5)]
        for (start, end), found in zip(tokens, assign(tokens, spans), strict=True):
            shared = [max(0, min(end, b) - max(start, a)) for a, b in spans]
            assert found == (shared.index(max(shared)) if max(shared) else None)


def test_nothing_predicted_is_no_error():
    assert make(outputs={}).prediction == ""


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


def test_arrays_come_back_exactly_inside_the_json():
    item = with_arrays()
    back = Explanation.from_json(item.to_json())
    assert back == item
    assert back.attention["self"].scores[1, 0, 2, 1] == item.attention["self"].scores[1, 0, 2, 1]


def test_large_arrays_are_saved_beside_and_read_when_looked_at(tmp_path):
    item = with_arrays(heads=2000)
    item.save(tmp_path / "why.json")
    assert (tmp_path / "why.json").stat().st_size < 10_000
    back = Explanation.load(tmp_path / "why.json")
    assert back.attention["self"].scores._values is None
    assert back == item
    assert back.attention["self"].scores._values is not None


def test_a_missing_or_foreign_array_file_is_refused(tmp_path):
    item = with_arrays(heads=2000)
    item.save(tmp_path / "why.json")
    text = (tmp_path / "why.json").read_text()
    (tmp_path / "why.safetensors").unlink()
    with pytest.raises(UnreadableFile, match="missing"):
        Explanation.load(tmp_path / "why.json")
    with pytest.raises(UnreadableFile, match=r"Explanation\.load"):
        Explanation.from_json(text)
    with pytest.raises(UnreadableFile, match="file of their own"):
        Explanation.from_json(text.replace("why.safetensors", "../why.safetensors"), folder=tmp_path)


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


def test_weights_stay_distributions_over_keys_when_tokens_become_words():
    rows = np.full((1, 1, 4, 4), 1 / 4)
    stack = AttentionAttribution(
        scores=Array(rows), layers=("layer 0",), method="attention_probabilities", weights=True
    )
    merged = replace(make(), attention={"self": stack}).spans([(0, (3, 7))]).attention["self"].scores.numpy()
    np.testing.assert_allclose(merged[0, 0], [[1 / 4, 1 / 4, 1 / 2]] * 3, rtol=1e-6)


def test_arrays_of_another_length_or_not_finite_are_refused():
    with pytest.raises(InvalidInput):
        replace(make(), layers=Array(np.zeros((2, 5))))
    with pytest.raises(InvalidInput, match="finite"):
        Array([1.0, float("nan")])
