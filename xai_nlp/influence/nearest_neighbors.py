"""Which stored vectors have the largest dot products with others?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor


class NearestNeighbors(ABC):
    """An index of vectors by dot product. A subclass may search approximately."""

    @abstractmethod
    def get_nearest_neighbors(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """For each query (B, *) the indices (B, k) of the stored vectors of the largest dot products, and those."""

    @abstractmethod
    def setup(self, data: Tensor) -> None:
        """Store vectors: (N, *)."""


class DotProductNeighbors(NearestNeighbors):
    """Exact search by scikit-learn: with one more entry all vectors have one length, and the nearest are the largest.

    Source: Bachrach et al. 2014, sec. 4.1 (doi:10.1145/2645710.2645741).

    >>> index = DotProductNeighbors()
    >>> index.setup(torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0]]))
    >>> index.get_nearest_neighbors(torch.tensor([[1.0, 0.5]]), 2)
    (tensor([[2, 1]]), tensor([[2.5000, 1.5000]]))
    """

    def setup(self, data: Tensor) -> None:
        from sklearn.neighbors import NearestNeighbors as Index

        self.data = data.flatten(1)
        vectors = _float64(self.data)
        squares = (vectors**2).sum(1)
        longer = np.sqrt(np.maximum(squares.max(initial=0) - squares, 0))[:, None]
        self._index: Any = Index(algorithm="brute").fit(np.hstack([vectors, longer]))

    def get_nearest_neighbors(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """All stored vectors if there are fewer than k."""
        query = query.flatten(1)
        k = min(k, len(self.data))
        vectors = _float64(query)
        found = self._index.kneighbors(np.pad(vectors, ((0, 0), (0, 1))), k, return_distance=False)
        indices = torch.as_tensor(found, dtype=torch.long, device=query.device)
        products = torch.einsum("bd,bkd->bk", query, self.data[indices].to(query))
        order = products.argsort(1, descending=True)
        return indices.gather(1, order), products.gather(1, order)


def _float64(tensor: Tensor) -> Any:
    return tensor.detach().cpu().double().numpy()
