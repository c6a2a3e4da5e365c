"""Influence functions: what happens to a loss if a training example counts for more, and the model is trained again."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.influence.batches import Loss, LossFunction, device_of, loader_of, training_loader
from xai_nlp.influence.checkpoints import _load_flexible_state_dict
from xai_nlp.influence.data_influence import DataInfluence, KMostInfluentialResults, given, most_influential, progress
from xai_nlp.influence.example_gradients import GradientFunction
from xai_nlp.influence.hessian import HessianOfLoss, inverse_root, krylov
from xai_nlp.influence.tracin import LoadFunction, modules_of


class InfluenceFunction(DataInfluence):
    """What influence functions share: ∇ℓ(x)ᵀ H⁻¹ ∇ℓ(z) as the dot product of Rᵀ∇ℓ(x) and Rᵀ∇ℓ(z), with R Rᵀ ≈ H⁻¹.

    The arguments are `NaiveInfluenceFunction`'s.
    Source: Koh & Liang 2017, eq. 2 (arXiv:1703.04730).
    """

    R: Tensor

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoint: str,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        layers: list[str] | None = None,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        hessian_dataset: Dataset[Any] | DataLoader[Any] | None = None,
        test_loss_fn: LossFunction | None = None,
        sample_wise_grads_per_batch: bool = False,
    ) -> None:
        self.model, self.checkpoint, self.checkpoints_load_func = model, checkpoint, checkpoints_load_func
        self.loss_fn, self.test_loss_fn = loss_fn, loss_fn if test_loss_fn is None else test_loss_fn
        self.batch_size, self.sample_wise_grads_per_batch = batch_size, sample_wise_grads_per_batch
        self.train_dataloader = training_loader(train_dataset, batch_size)
        self.hessian_dataloader = (
            self.train_dataloader
            if hessian_dataset is None
            else training_loader(hessian_dataset, batch_size, "hessian_dataset")
        )
        self.loss = Loss.checked(loss_fn, "loss_fn", reduced=sample_wise_grads_per_batch)
        self.test_loss = (
            self.loss
            if test_loss_fn is None
            else Loss.checked(test_loss_fn, "test_loss_fn", reduced=sample_wise_grads_per_batch)
        )
        self.reduction_type, self.test_reduction_type = self.loss.reduction, self.test_loss.reduction
        self.layer_modules = None if layers is None else modules_of(model, layers)
        self.gradients = GradientFunction(model, self.layer_modules)
        self.model_device = device_of(model)

    @abstractmethod
    def _root(self, hessian: HessianOfLoss) -> Tensor:
        """R: (parameters, projections)."""

    def _prepare(self, on_cpu: bool, show_progress: bool) -> None:
        with lent_weights(self.model):
            self.checkpoints_load_func(self.model, self.checkpoint)
            title = f"Using {self.get_name()} to compute the Hessian. Processing batch" if show_progress else None
            self.R = self._root(HessianOfLoss(self.gradients, self.loss, loader_of(self.hessian_dataloader), title))
        self.R = self.R.cpu() if on_cpu else self.R

    def compute_intermediate_quantities(
        self,
        inputs_dataset: Any,
        aggregate: bool = False,
        show_progress: bool = False,
        return_on_cpu: bool = True,
        test: bool = False,
    ) -> Tensor:
        """Vectors whose dot products are the influence: (B, projections); with `aggregate` their sum, (1, …).

        inputs_dataset: a batch or a loader. test: the vectors of inputs, by test_loss_fn.
        """
        loss = self.test_loss if test else self.loss
        with lent_weights(self.model):
            self.checkpoints_load_func(self.model, self.checkpoint)
            title = f"Using {self.get_name()} to compute intermediate quantities. Processing batch"
            root = self.R.to(self.model_device)
            batches = progress(loader_of(given(inputs_dataset)), show_progress, title)
            vectors = torch.cat([self.gradients(batch, loss).matrix() @ root for batch in batches])
        if aggregate:
            vectors = vectors.sum(0, keepdim=True)
        return vectors.cpu() if return_on_cpu else vectors

    def influence(  # type: ignore[override]
        self, inputs: Any, k: int | None = None, proponents: bool = True, show_progress: bool = False
    ) -> Tensor | KMostInfluentialResults:
        """The influence of each training example on each input: (B, N); with k the k highest, or lowest, of each.

        inputs: a batch or a loader. k: how many training examples. proponents: the highest; False for the lowest.
        A positive score says that the input's loss is lower because the example was trained on.
        """
        queries = self.compute_intermediate_quantities(given(inputs), test=True)
        keys = self.compute_intermediate_quantities(self.train_dataloader, show_progress=show_progress)
        scores = queries @ keys.T
        return scores if k is None else most_influential(scores, k, proponents)

    def self_influence(self, inputs_dataset: Any = None, show_progress: bool = False) -> Tensor:
        """The influence of each example on itself: (N,); of the training data without an argument."""
        inputs = self.train_dataloader if inputs_dataset is None else inputs_dataset
        return self.compute_intermediate_quantities(inputs, show_progress=show_progress).square().sum(1)


class NaiveInfluenceFunction(InfluenceFunction):
    """Influence functions with the whole Hessian, for models or layers of some thousand parameters.

    model, train_dataset, layers, loss_fn, batch_size, test_loss_fn, sample_wise_grads_per_batch: as in `TracInCP`.
    checkpoint: as one of its checkpoints. hessian_dataset: examples for the Hessian; None for the training data.
    projection_dim: how many of the Hessian's largest eigenvalues count. seed: for Captum's sake; nothing is random.
    hessian_reg: added to each eigenvalue. hessian_inverse_tol: smaller eigenvalues are left out.
    projection_on_cpu: where R is kept. show_progress: a bar on stderr.

    Raises NoPositiveEigenvalue for a Hessian without an eigenvalue above the tolerance.
    Source: Koh & Liang 2017, eq. 2 (arXiv:1703.04730).

    >>> net = nn.Linear(1, 1, bias=False).double()
    >>> loss = nn.MSELoss(reduction="none")
    >>> examples = torch.utils.data.TensorDataset(torch.ones(2, 1).double(), torch.tensor([[1.0], [3.0]]).double())
    >>> best = {"weight": torch.tensor([[2.0]])}
    >>> naive = NaiveInfluenceFunction(net, examples, best, loss_fn=loss, hessian_reg=0.0)
    >>> naive.influence((torch.ones(1, 1).double(), torch.ones(1, 1).double()))  # gradients 2, -2 and 2; Hessian 4
    tensor([[ 1., -1.]], dtype=torch.float64)
    """

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoint: str,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        layers: list[str] | None = None,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        hessian_dataset: Dataset[Any] | DataLoader[Any] | None = None,
        test_loss_fn: LossFunction | None = None,
        sample_wise_grads_per_batch: bool = False,
        projection_dim: int = 50,
        seed: int = 42,
        hessian_reg: float = 1e-6,
        hessian_inverse_tol: float = 1e-5,
        projection_on_cpu: bool = True,
        show_progress: bool = False,
    ) -> None:
        super().__init__(
            model, train_dataset, checkpoint, checkpoints_load_func, layers, loss_fn, batch_size, hessian_dataset,
            test_loss_fn, sample_wise_grads_per_batch,
        )  # fmt: skip
        check_projection(projection_dim)
        self.projection_dim, self.hessian_reg = projection_dim, hessian_reg
        self.hessian_inverse_tol = hessian_inverse_tol
        self._prepare(projection_on_cpu, show_progress)

    def _root(self, hessian: HessianOfLoss) -> Tensor:
        return inverse_root(hessian.matrix(), self.projection_dim, self.hessian_reg, self.hessian_inverse_tol)


class ArnoldiInfluenceFunction(InfluenceFunction):
    """Influence functions by products of the Hessian with vectors, for models of any size.

    arnoldi_dim: the number of products. arnoldi_tol: the length of a next vector that ends them. seed: of the first.
    The other arguments: as in `NaiveInfluenceFunction`.

    Source: Schioppa et al. 2022, algorithm 1 (arXiv:2112.03052).

    >>> net = nn.Linear(1, 1, bias=False).double()
    >>> loss = nn.MSELoss(reduction="none")
    >>> examples = torch.utils.data.TensorDataset(torch.ones(2, 1).double(), torch.tensor([[1.0], [3.0]]).double())
    >>> best = {"weight": torch.tensor([[2.0]])}
    >>> arnoldi = ArnoldiInfluenceFunction(net, examples, best, loss_fn=loss, hessian_reg=0.0)
    >>> arnoldi.self_influence().round(decimals=4)
    tensor([1., 1.], dtype=torch.float64)
    """

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoint: str,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        layers: list[str] | None = None,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        hessian_dataset: Dataset[Any] | DataLoader[Any] | None = None,
        test_loss_fn: LossFunction | None = None,
        sample_wise_grads_per_batch: bool = False,
        projection_dim: int = 50,
        seed: int = 0,
        arnoldi_dim: int = 200,
        arnoldi_tol: float = 1e-1,
        hessian_reg: float = 1e-3,
        hessian_inverse_tol: float = 1e-4,
        projection_on_cpu: bool = True,
        show_progress: bool = False,
    ) -> None:
        super().__init__(
            model, train_dataset, checkpoint, checkpoints_load_func, layers, loss_fn, batch_size, hessian_dataset,
            test_loss_fn, sample_wise_grads_per_batch,
        )  # fmt: skip
        check_projection(projection_dim)
        check_projection(arnoldi_dim, "arnoldi_dim")
        self.projection_dim, self.seed = projection_dim, seed
        self.arnoldi_dim, self.arnoldi_tol = arnoldi_dim, arnoldi_tol
        self.hessian_reg, self.hessian_inverse_tol = hessian_reg, hessian_inverse_tol
        self._prepare(projection_on_cpu, show_progress)

    def _root(self, hessian: HessianOfLoss) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        parts = self.gradients.parameters().values()
        start = torch.cat([torch.randn(p.shape, generator=generator, dtype=p.dtype).reshape(-1) for p in parts])
        basis, restricted = krylov(hessian.times, start.to(self.model_device), self.arnoldi_dim, self.arnoldi_tol)
        return basis @ inverse_root(restricted, self.projection_dim, self.hessian_reg, self.hessian_inverse_tol)


def check_projection(value: Any, name: str = "projection_dim") -> None:
    """Raises CaptumAssertion unless it is a count, or None."""
    if value is not None and (not isinstance(value, int) or value < 1):
        raise CaptumAssertion(f"{name} must be an integer, at least 1; got {value!r}.")
