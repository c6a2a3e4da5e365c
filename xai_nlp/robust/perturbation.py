"""The base class of attacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xai_nlp.attr.problems import Layer


class Perturbation:
    """An attack or another change of the inputs: calling it calls `perturb`, which returns the changed inputs.

    perturb: a method of the subclass, of the inputs and of arguments of its own.
    layer: where the tensors that `perturb` returns belong; None if they are inputs of the model. `MinParamPerturbation`
        and `AttackComparator` put them there.

    >>> class Halved(Perturbation):
    ...     def perturb(self, inputs): return inputs / 2
    >>> Halved()(torch.ones(2))
    tensor([0.5000, 0.5000])
    """

    perturb: Callable[..., Any]
    layer: Layer | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.perturb(*args, **kwargs)
