"""TracIn-WE: influence through the word embeddings, which splits over the words that two texts share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from xai_nlp.errors import Unsupported
from xai_nlp.influence.batches import Loss, LossFunction
from xai_nlp.influence.checkpoints import Checkpoints, _load_flexible_state_dict
from xai_nlp.influence.gradient_terms import Outer, products_by_position
from xai_nlp.influence.tracin import LoadFunction, TracInCP, module_of


class TracInWE(TracInCP):
    """`TracInCP` through the word embeddings alone: Σ_c η_c Σ_w ∇_w ℓ(x) · ∇_w ℓ(z) over the words w of both texts.

    embeddings: the layer of word embeddings, or its name; None for what the model says it is.
    The other arguments: as in `TracInCP`.

    Raises Unsupported for a model that does not say where its word embeddings are.
    Source: Yeh et al. 2022, sec. 4 (arXiv:2202.11844).

    >>> net = nn.Sequential(nn.Embedding(4, 1), nn.Flatten(), nn.Linear(2, 1, bias=False))
    >>> state = {"0.weight": torch.ones(4, 1), "2.weight": torch.ones(1, 2)}
    >>> examples = [(torch.tensor([1, 2]), torch.tensor(1.0))]
    >>> tracin = TracInWE(net, examples, [state], embeddings="0")  # without a loss: of the output itself
    >>> text = (torch.tensor([[2, 3]]), None)
    >>> tracin.influence(text), tracin.split(text, (torch.tensor([[1, 2]]), None))
    (tensor([[1.]]), (tensor([[[1., 0.]]]), tensor([[[0., 1.]]])))
    """

    def __init__(
        self,
        model: nn.Module,
        train_dataset: Dataset[Any] | DataLoader[Any],
        checkpoints: Checkpoints,
        checkpoints_load_func: LoadFunction = _load_flexible_state_dict,
        embeddings: nn.Module | str | None = None,
        loss_fn: LossFunction | None = None,
        batch_size: int | None = 1,
        test_loss_fn: LossFunction | None = None,
        sample_wise_grads_per_batch: bool = False,
    ) -> None:
        layer = module_of(model, embeddings) if isinstance(embeddings, str) else embeddings
        if layer is None:
            find = getattr(model, "get_input_embeddings", None)
            layer = find() if find is not None else None
        name = next((name for name, module in model.named_modules() if module is layer), None)
        if name is None:
            raise Unsupported(f"{type(model).__name__} does not say where its word embeddings are; give embeddings=….")
        super().__init__(
            model, train_dataset, checkpoints, checkpoints_load_func, [name], loss_fn, batch_size, test_loss_fn,
            sample_wise_grads_per_batch,
        )  # fmt: skip

    def split(self, inputs: Any, examples: Any) -> tuple[Tensor, Tensor]:
        """The influence of each of B examples on each of A inputs, by the tokens of both: (A, B, S) and (A, B, T).

        inputs, examples: a batch each. Either adds up to the influence: a token that both texts have gets its part.
        """

        lengths: list[int] = []

        def parts(rate: float) -> Tensor:
            first, second = self._by_token(inputs, self.test_loss), self._by_token(examples, self.loss)
            lengths[:] = first.left.shape[1], second.left.shape[1]
            return rate * torch.cat(products_by_position(first, second), 2)

        both = torch.stack(self._at_checkpoints(parts)).sum(0).split(lengths, 2)
        return both[0], both[1]

    def _by_token(self, batch: Any, loss: Loss) -> Outer:
        """The gradient at each token's vector."""
        (terms,) = self.gradients(batch, loss).terms.values()
        if len(terms) != 1 or not isinstance(terms[0], Outer) or not terms[0].rows:
            raise Unsupported("the word embeddings are used more than once; influence does not split over their words.")
        return terms[0]
