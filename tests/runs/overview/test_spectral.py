"""Spectral clustering, held to scikit-learn and to dense arithmetic."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score

from xai_nlp.runs.overview import spectral
from xai_nlp.runs.overview.spectral import NEIGHBOURS, assigned, neighbour_graph, spectral_clusters


def groups(sizes, features=24, noise=0.25, seed=0):
    """Unit vectors around a direction for each group, and the group of each."""
    draws = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.abs(draws.normal(0, noise, (len(truth), features)))
    vectors[np.arange(len(truth)), truth] += 1
    order = draws.permutation(len(truth))
    vectors, truth = vectors[order], truth[order]
    return csr_array(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)), truth


@pytest.mark.filterwarnings("ignore:Graph is not fully connected:UserWarning")
@pytest.mark.parametrize("sizes", [(60, 40), (90, 60, 30), (80, 60, 50, 40, 30)])
def test_it_finds_groups_as_scikit_learn_does_but_counts_them_itself(sizes):
    vectors, truth = groups(sizes)
    found = spectral_clusters(vectors)
    assert found.count == len(sizes) and np.bincount(found.labels).tolist() == sorted(sizes, reverse=True)
    assert adjusted_rand_score(truth, found.labels) == 1
    same = SpectralClustering(len(sizes), affinity="precomputed", random_state=0, assign_labels="kmeans")
    assert adjusted_rand_score(same.fit_predict(neighbour_graph(vectors).toarray()), found.labels) == 1


def test_the_graph_and_its_eigenvalues_are_those_of_dense_arithmetic():
    vectors, _ = groups((40, 30), noise=0.5)
    cosines = (vectors @ vectors.T).toarray()
    np.fill_diagonal(cosines, -1)
    nearest = np.zeros_like(cosines, dtype=bool)
    np.put_along_axis(nearest, np.argsort(-cosines, axis=1)[:, :NEIGHBOURS], True, axis=1)
    weights = np.where(nearest | nearest.T, np.maximum(cosines, 0), 0)
    np.testing.assert_allclose(neighbour_graph(vectors).toarray(), weights, atol=1e-12)
    degrees = weights.sum(1)
    normalised = np.eye(70) - weights / np.sqrt(np.outer(degrees, degrees))
    found = spectral_clusters(vectors)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(normalised)[: len(found.eigenvalues)], atol=1e-10)


def test_similarity_tells_the_medoid():
    vectors, _ = groups((30, 20))
    found, dense = spectral_clusters(vectors), vectors.toarray()
    for label in (0, 1):
        own = dense[found.labels == label]
        np.testing.assert_allclose(found.similar[found.labels == label], (own @ own.T).mean(1))


def test_the_rest_goes_to_the_cluster_of_its_neighbours(monkeypatch):
    vectors, truth = groups((300, 200, 100))
    monkeypatch.setattr(spectral, "ROWS", 64)
    assert (assigned(vectors[150:], vectors[:150], truth[:150]) == truth[150:]).mean() > 0.99
    assert assigned(vectors[:0], vectors, truth).tolist() == []


def test_vectors_that_are_like_no_other_are_no_cluster():
    vectors, truth = groups((200, 150), features=24)
    strange = np.zeros((2, 30))
    strange[:, 28] = 1
    dense = np.concatenate([np.pad(vectors.toarray(), ((0, 0), (0, 6))), strange])
    found = spectral_clusters(csr_array(dense))
    assert found.count == 2 and adjusted_rand_score(truth, found.labels[:-2]) == 1


@pytest.mark.parametrize("vectors", [np.ones((60, 3)) / np.sqrt(3), np.zeros((60, 3)), np.eye(12)])
def test_equal_empty_and_few_vectors_have_clusters_too(vectors):
    found = spectral_clusters(csr_array(vectors))
    assert len(found.labels) == len(vectors) and np.isfinite(found.eigenvalues).all() and found.count >= 1


def test_it_repeats():
    vectors, _ = groups((60, 50, 40), noise=0.6)
    one, two = (spectral_clusters(vectors, seed=3) for _ in range(2))
    assert (one.labels == two.labels).all()
