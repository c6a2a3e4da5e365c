"""TracIn through the weight of one layer, usually the last; with random projections, by nearest neighbours."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.influence.batches import Loss, LossFunction, loader_of
from xai_nlp.influence.checkpoints import Checkpoints, _load_flexible_state_dict
from xai_nlp.influence.data_influence import KMostInfluentialResults, check_k, given, most_influential
from xai_nlp.influence.example_gradients import GradientFunction
from xai_nlp.influence.gradient_terms import Dense, Outer
from xai_nlp.influence.nearest_neighbors import DotProductNeighbors, NearestNeighbors
from xai_nlp.influence.tracin import LoadFunction, TracInCPBase, module_of


class TracInCPFast(TracInCPBase):
    """Influence through the weight of one layer, without its bias: Σ_c η_c (x · x')(g · g'), inputs x and gradients g.

    final_fc_layer: the layer or its name. It need not be the last, and its outputs may be one for each token: sums over
        pairs of tokens then. loss_fn: a function that gives one number for a batch, the sum or the mean
        (`loss_fn.reduction`). vectorize: taken for Captum's sake.
    The other arguments: as in `TracInCP`.

    Raises CaptumAssertion without a loss function, UnknownLayer for a layer that does not exist.
    Source: Pruthi et al. 2020, appendix F (arXiv:2002.08484).

    >>> net = nn.Linear(1, 1, bias=False)
    >>> loss = nn.MSELoss(reduction="sum")
    >>> examples = torch.utils.data.TensorDataset(torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [0.0]]))
    >>> tracin = TracInCPFast(net, net, examples, [{"weight": torch.zeros(1, 1)}], loss_fn=loss)
    >>> tracin.self_influence()
    tensor([4., 0.])
    """

    def __init__(
        self,
        model: nn.Module,
        final_fc_layer: nn.Module | str,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoints: Checkpoints,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        test_loss_fn: LossFunction | None = None,
        vectorize: bool = False,
    ) -> None:
        super().__init__(model, train_dataset, checkpoints, checkpoints_load_func, loss_fn, batch_size, test_loss_fn)
        self.vectorize = vectorize
        self.final_fc_layer = final_fc_layer
        if loss_fn is None:
            raise CaptumAssertion("loss_fn must not be None.")
        self._check_losses(loss_fn, test_loss_fn, reduced=True)

    @property
    def final_fc_layer(self) -> nn.Module:
        """The layer whose weight counts."""
        return self._final_fc_layer

    @final_fc_layer.setter
    def final_fc_layer(self, layer: nn.Module | str) -> None:
        self._final_fc_layer = module_of(self.model, layer) if isinstance(layer, str) else layer
        self.gradients = GradientFunction(self.model, [self._final_fc_layer], ["weight"])

    def influence(  # type: ignore[override]
        self, inputs: Any, k: int | None = None, proponents: bool = True, show_progress: bool = False
    ) -> Tensor | KMostInfluentialResults:
        """The influence of each training example on each input: (B, N); with k as in `TracInCP.influence`."""
        if k is None:
            return self._influence(inputs, show_progress)
        return self._get_k_most_influential(inputs, k, proponents, show_progress)

    def _influence(self, inputs: Any, show_progress: bool = False) -> Tensor:
        return self._sum_over_checkpoints(inputs, show_progress)

    def _get_k_most_influential(
        self, inputs: Any, k: int = 5, proponents: bool = True, show_progress: bool = False
    ) -> KMostInfluentialResults:
        return most_influential(self._influence(inputs, show_progress), k, proponents)

    def self_influence(
        self, inputs: Any = None, show_progress: bool = False, outer_loop_by_checkpoints: bool = False
    ) -> Tensor:
        """The influence of each example on itself: (N,), as `TracInCP.self_influence`."""
        return self._self_influence(inputs, show_progress)


class TracInCPFastRandProj(TracInCPFast):
    """Vectors of the training data, kept in memory: influence is their dot product, proponents are neighbours.

    nearest_neighbors: an index of its own; None searches exactly. projection_dim: about the length of an example's
        vector for each checkpoint, by random projections; None keeps all of it. seed: of the projections.
    The other arguments: as in `TracInCPFast`.

    Source: Pruthi et al. 2020, appendix F (arXiv:2002.08484).
    """

    def __init__(
        self,
        model: nn.Module,
        final_fc_layer: nn.Module | str,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoints: Checkpoints,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        test_loss_fn: LossFunction | None = None,
        vectorize: bool = False,
        nearest_neighbors: NearestNeighbors | None = None,
        projection_dim: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            model, final_fc_layer, train_dataset, checkpoints, checkpoints_load_func, loss_fn, batch_size,
            test_loss_fn, vectorize,
        )  # fmt: skip
        if projection_dim is not None and projection_dim < 1:
            raise InvalidInput(f"projection_dim must be at least 1, or None for no projection; got {projection_dim}.")
        self.nearest_neighbors = DotProductNeighbors() if nearest_neighbors is None else nearest_neighbors
        self.projection_dim = projection_dim
        self.projection_quantities = self._projections(torch.Generator().manual_seed(seed))
        self.src_intermediate_quantities = self._vectors(self.train_dataloader, self.loss)
        self.nearest_neighbors.setup(self.src_intermediate_quantities)

    def influence(  # type: ignore[override]
        self, inputs: Any = None, k: int = 5, proponents: bool = True
    ) -> Tensor | KMostInfluentialResults:
        """The k training examples of the highest, or lowest, influence on each input; with k=None all scores (B, N)."""
        return super().influence(inputs, k, proponents)

    def _influence(self, inputs: Any, show_progress: bool = False) -> Tensor:
        return self.compute_intermediate_quantities(inputs, test=True) @ self.src_intermediate_quantities.T

    def _get_k_most_influential(
        self, inputs: Any, k: int = 5, proponents: bool = True, show_progress: bool = False
    ) -> KMostInfluentialResults:
        check_k(k)
        sign = 1 if proponents else -1
        queries = self.compute_intermediate_quantities(inputs, test=True) * sign
        indices, scores = self.nearest_neighbors.get_nearest_neighbors(queries, k)
        return KMostInfluentialResults(indices, scores * sign)

    def self_influence(
        self, inputs: Any = None, show_progress: bool = False, outer_loop_by_checkpoints: bool = False
    ) -> Tensor:
        """Raises Unsupported: projections would only make `TracInCPFast.self_influence` less exact."""
        raise Unsupported("call TracInCPFast(…).self_influence(): it is exact, and needs no stored vectors.")

    def compute_intermediate_quantities(self, inputs: Any, *, test: bool = False) -> Tensor:
        """Vectors whose dot products are the influence: (B, D · checkpoints).

        test: the vectors of inputs, by test_loss_fn; by default those of training examples.
        """
        return self._vectors(given(inputs), self.test_loss if test else self.loss)

    def _projections(self, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
        """Random matrices for the gradients at the layer's outputs and for its inputs; None keeps both whole."""
        if self.projection_dim is None:
            return None
        weight: Any = self.final_fc_layer.weight
        sizes = (weight.shape[0], weight[0].numel())
        if sizes[0] * sizes[1] <= self.projection_dim:
            return None
        torch.empty((), dtype=torch.int64).random_(generator=generator)  # Captum's loader draws one number before
        counts = [min(int(self.projection_dim**0.5), size) for size in sizes]
        outputs, inputs = (
            torch.normal(torch.zeros(size, count), count**-0.5, generator=generator).to(weight.device, weight.dtype)
            for size, count in zip(sizes, counts, strict=True)
        )
        return outputs, inputs

    def _vectors(self, inputs: Any, loss: Loss) -> Tensor:
        """The projected gradients of all inputs, with the root of each learning rate: (B, D · checkpoints)."""
        inputs = loader_of(inputs)

        def vectors(rate: float) -> Tensor:
            return torch.cat([self._projected(batch, loss) for batch in inputs]) * rate**0.5

        return torch.cat(self._at_checkpoints(vectors), 1)

    def _projected(self, batch: Any, loss: Loss) -> Tensor:
        gradients = self.gradients(batch, loss)
        if self.projection_quantities is None:
            return gradients.matrix()
        (terms,) = gradients.terms.values()
        return torch.stack([_project(term, *self.projection_quantities) for term in terms]).sum(0)


def _project(term: Dense | Outer, outputs: Tensor, inputs: Tensor) -> Tensor:
    """The gradients of a weight between two random matrices: (B, counts of both multiplied)."""
    if isinstance(term, Outer) and not term.rows:
        return Outer(term.left @ outputs, term.right @ inputs).matrix()
    matrices = term.matrix().view(len(term), len(outputs), len(inputs))
    return torch.einsum("bmn,mp,nq->bpq", matrices, outputs, inputs).flatten(1)
