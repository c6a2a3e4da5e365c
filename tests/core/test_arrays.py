"""Arrays and attention matrices of an explanation."""

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
