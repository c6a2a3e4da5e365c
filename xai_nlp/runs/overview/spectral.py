"""Spectral clustering of many vectors: the graph of nearest neighbours, the eigengap, and neighbours for the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

NEIGHBOURS = 10
MOST = 10  # clusters
SMALLEST = 0.01  # share of a cluster: fewer vectors that are like no others are no kind of their own
ROWS = 256  # vectors that are assigned at once


@dataclass(frozen=True)
class SpectralClusters:
    """Clusters of M vectors.

    labels: (M,) from 0 on, the largest cluster first. eigenvalues: the MOST + 1 smallest ones of the graph's normalised
    Laplacian, in ascending order. similar: (M,) the mean cosine of a vector to its cluster; that of a medoid is the
    largest.
    """

    labels: np.ndarray
    eigenvalues: np.ndarray
    similar: np.ndarray

    @property
    def count(self) -> int:
        """The number of clusters."""
        return int(self.labels.max(initial=-1)) + 1


def spectral_clusters(vectors: csr_array, *, seed: int = 0) -> SpectralClusters:
    """Clusters of unit vectors, (M, F): two or more, as many as there are eigenvalues before the largest gap.

    Two vectors are joined, by their cosine, if one is among the NEIGHBOURS nearest of the other. Vectors that no path
    of the graph joins with SMALLEST of all go to the cluster of their nearest neighbours.
    Source: Lapuschkin et al. 2019, supplementary note 2 (arXiv:1902.10178), for explanations; Ng, Jordan & Weiss 2002
    for the algorithm; von Luxburg 2007, sec. 8.3 (arXiv:0711.0189), for the eigengap.

    >>> from scipy.sparse import csr_array
    >>> groups = np.repeat(np.eye(3), 12, axis=0) + np.random.default_rng(0).random((36, 3)) / 5
    >>> found = spectral_clusters(csr_array(groups / np.linalg.norm(groups, axis=1, keepdims=True)))
    >>> found.count, len(set(found.labels[:12].tolist())), abs(found.eigenvalues[:4]).round(3).tolist()
    (3, 1, [0.0, 0.0, 0.0, 0.999])
    """
    graph = neighbour_graph(vectors)
    inside = _large_components(graph)
    values, directions = _eigenvectors(graph[inside][:, inside])
    clusters = 2 + int(np.argmax(np.diff(values[1:]))) if len(values) > 2 else 1
    labels = np.zeros(vectors.shape[0], dtype=np.int64)
    if clusters > 1:
        labels[inside] = _grouped(directions[:, :clusters], clusters, seed)
        outside = np.setdiff1d(np.arange(len(labels)), inside)
        labels[outside] = assigned(vectors[outside], vectors[inside], labels[inside])
    order = np.argsort(-np.bincount(labels), kind="stable")
    labels = np.argsort(order)[labels]
    return SpectralClusters(labels, values, _similar(vectors, labels))


def neighbour_graph(vectors: csr_array) -> Any:
    """The cosine of each vector with its nearest neighbours, symmetric, without negative ones: sparse (M, M)."""
    from sklearn.neighbors import kneighbors_graph

    count = min(NEIGHBOURS, vectors.shape[0] - 1)
    graph = kneighbors_graph(vectors, count, mode="distance", metric="cosine").tocsr()
    graph.data = np.maximum(1 - graph.data, 0)
    graph = graph.maximum(graph.T)
    graph.eliminate_zeros()
    return graph


def _large_components(graph: Any) -> np.ndarray:
    """The vectors in connected components that hold SMALLEST of all; all of them if no component does."""
    from scipy.sparse.csgraph import connected_components

    _, component = connected_components(graph, directed=False)
    sizes = np.bincount(component)
    large = sizes >= max(SMALLEST * len(component), NEIGHBOURS + 1)
    return np.flatnonzero(large[component]) if large.any() else np.arange(len(component))


def _eigenvectors(graph: Any) -> tuple[np.ndarray, np.ndarray]:
    """The smallest eigenvalues of the normalised Laplacian in ascending order, and their eigenvectors as columns."""
    from scipy.linalg import eigh
    from scipy.sparse.csgraph import laplacian

    matrix = laplacian(graph, normed=True).toarray()
    values, directions = eigh(matrix, subset_by_index=(0, min(MOST, len(matrix) - 1)))
    return np.maximum(values, 0), directions


def _grouped(directions: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    from sklearn.cluster import KMeans

    lengths = np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), np.finfo(float).tiny)
    return np.asarray(KMeans(clusters, n_init=10, random_state=seed).fit(directions / lengths).labels_)


def assigned(vectors: csr_array, known: csr_array, labels: np.ndarray) -> np.ndarray:
    """The cluster of each vector: the one that has most of the cosine with its NEIGHBOURS nearest of the known ones."""
    owners = np.eye(int(labels.max(initial=0)) + 1)[labels]
    found = np.zeros(vectors.shape[0], dtype=np.int64)
    count = min(NEIGHBOURS, known.shape[0])
    for start in range(0, vectors.shape[0], ROWS):
        cosines = (vectors[start : start + ROWS] @ known.T).toarray()
        nearest = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        weights = np.maximum(np.take_along_axis(cosines, nearest, axis=1), 0)
        found[start : start + ROWS] = np.einsum("rn,rnc->rc", weights, owners[nearest]).argmax(1)
    return found


def _similar(vectors: csr_array, labels: np.ndarray) -> np.ndarray:
    sizes = np.bincount(labels)
    members = np.zeros((len(labels), len(sizes)))
    members[np.arange(len(labels)), labels] = 1 / sizes[labels]
    return np.asarray((vectors @ (vectors.T @ members))[np.arange(len(labels)), labels])
