"""Arrays and attention matrices of an explanation."""

import copy
import pickle

import numpy as np
import pytest

from xai_nlp.core.arrays import Array, AttentionAttribution, arrays_file, metadata_of
from xai_nlp.errors import InvalidInput, UnreadableFile


def attention(shape=(2, 3, 4, 4), **more):
    numbers = np.random.default_rng(0).standard_normal(shape)
    return AttentionAttribution(scores=Array(numbers), layers=("one", "two"), method="m", **more)


def test_numbers_cannot_be_changed_and_are_finite():
    array = Array([[1, 2], [3, 4]])
    assert array == Array(np.array([[1.0, 2.0], [3.0, 4.0]])) and array != Array([1, 2, 3, 4])
    assert np.asarray(array).dtype == np.float32 and array[1, 0] == 3 and len(array) == 2
    with pytest.raises(ValueError, match="read-only"):
        array.numpy()[0] = 5
    for bad in (float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="finite"):
            Array([1.0, bad])


def test_a_file_says_whose_it_is(tmp_path):
    file = tmp_path / "a.safetensors"
    array = Array([[1, 2, 3]])
    file.write_bytes(arrays_file({"layers": array}))
    assert metadata_of(file)["layers"] == array.sha256()
    assert Array.stored(file, "layers", (1, 3), array.sha256()) == array
    with pytest.raises(UnreadableFile, match="not \\(3, 1\\)"):
        Array.stored(file, "layers", (3, 1)).numpy()
    with pytest.raises(UnreadableFile, match="no safetensors file"):
        Array.stored(file, "other", (1, 3)).numpy()


def test_the_same_numbers_have_the_same_hash_in_any_layout():
    numbers = np.arange(6.0).reshape(2, 3)
    assert Array(numbers).sha256() == Array(np.asfortranarray(numbers)).sha256()
    assert Array(numbers).sha256() != Array(numbers + 1).sha256()


def test_matrices_fit_their_layers_queries_and_keys():
    assert attention(queries=("a",) * 4).heads().shape == (2, 3)
    for bad in ({"shape": (1, 3, 4, 4)}, {"shape": (2, 3, 4)}, {"queries": ("a",)}, {"keys": ("a",) * 5}):
        with pytest.raises(InvalidInput):
            attention(**bad)


def test_merged_sums_keep_heads_and_merged_rows_stay_distributions():
    sums = attention()
    np.testing.assert_allclose(sums.merged([0, 2], 4).heads(), sums.heads(), rtol=1e-5)
    rows = attention(row_stochastic=True)
    rows = AttentionAttribution(
        scores=Array(np.full((2, 3, 4, 4), 1 / 4)), layers=rows.layers, method="m", row_stochastic=True
    )
    np.testing.assert_allclose(rows.merged([0, 1], 4).scores.numpy().sum(3), 1, rtol=1e-6)
    named = attention(shape=(2, 3, 4, 2), keys=("x", "y")).merged([0, 1], 4)
    assert named.scores.shape == (2, 3, 2, 2)


def test_deferred_numbers_are_computed_once_when_they_are_read():
    calls = []

    def compute():
        calls.append(1)
        return np.arange(6.0).reshape(2, 3)

    array = Array.deferred((2, 3), compute)
    assert (array.shape, len(array), repr(array), calls) == ((2, 3), 2, "<Array 2 × 3>", [])
    assert array == Array(np.arange(6.0).reshape(2, 3)) and array[1, 2] == 5
    assert pickle.loads(pickle.dumps(array)) == copy.deepcopy(array) == array  # noqa: S301
    assert calls == [1]
    unread = Array.deferred((2, 3), compute)
    assert pickle.loads(pickle.dumps(unread)) == array  # noqa: S301 # a copy has the numbers
    with pytest.raises(InvalidInput, match="finite"):
        Array.deferred((1,), lambda: [float("nan")]).numpy()


def test_a_stored_array_is_copied_with_its_place(tmp_path):
    file = tmp_path / "a.safetensors"
    file.write_bytes(arrays_file({"layers": Array([[1, 2, 3]])}))
    other = pickle.loads(pickle.dumps(Array.stored(file, "layers", (1, 3))))  # noqa: S301
    file.unlink()
    with pytest.raises(UnreadableFile, match="missing"):
        other.numpy()


def test_merging_waits_until_the_sums_are_read():
    read = []
    numbers = np.random.default_rng(0).standard_normal((1, 2, 4, 4))
    scores = Array.deferred(numbers.shape, lambda: read.append(1) or numbers)
    stack = AttentionAttribution(scores=scores, layers=("one",), method="m")
    merged = stack.merged([0, 2], 4).merged([0, 1], 2)
    assert merged.scores.shape == (1, 2, 2, 2) and not read
    blocks = numbers.astype(np.float32).reshape(1, 2, 2, 2, 2, 2).sum((3, 5))
    np.testing.assert_allclose(merged.scores.numpy(), blocks, rtol=1e-5)
