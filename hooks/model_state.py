"""A model borrowed, and handed back exactly as it was lent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from xai_nlp.hooks.onednn import onednn_products


def fingerprint(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    """All that a borrowed model must have back: hooks, attributes, modes, weights, gradients, configs.

    Two fingerprints are equal if nothing was left behind. Weights are compared by address and version, so a
    write in place shows even where it wrote the same numbers. Parts of a model may have configs of their own, which
    name the attention implementation each runs with.
    """
    configs = {id(m.config): vars(m.config) for m in model.modules() if hasattr(getattr(m, "config", None), "__dict__")}
    return {
        "": tuple(map(repr, configs.values())),
        **{
            name or ".": (
                {k: tuple(v) for k, v in vars(m).items() if k.endswith("_hooks") and v is not None},
                sorted(vars(m)),
                m.training,
                type(m).forward,
                [
                    (k, t.data_ptr(), t._version, t.dtype, t.requires_grad, t.grad is None)
                    for k, t in (*m.named_parameters(recurse=False), *m.named_buffers(recurse=False))
                ],
            )
            for name, m in model.named_modules()
        },
    }


class _Loan:
    """How often a model is on loan, and how it was before the first."""

    def __init__(self, model: nn.Module) -> None:
        self.holders = 0
        modules = list(model.modules())
        self.learning = [
            (m, name)
            for m in modules
            for name, p in m._parameters.items()  # as named_parameters, in a quarter of the time
            if p is not None and p.requires_grad
        ]
        self.training = [m for m in modules if m.training]

    def learn(self, wanted: bool) -> None:
        """By name: weights that are offloaded come for a forward pass as other parameters, and go as others again."""
        for module, name in self.learning:
            getattr(module, name).requires_grad_(wanted)


_loans: WeakKeyDictionary[nn.Module, _Loan] = WeakKeyDictionary()
_lock = threading.RLock()


@contextmanager
def frozen_model(model: nn.Module, *, evaluate: bool = False) -> Iterator[None]:
    """While open, no parameter asks for a gradient (so none is kept for it) and, if asked, dropout is off.

    Large products with its weights are done by the faster library. Nested and concurrent loans of one model are
    counted: the last to end restores what the first one found.
    """
    with _lock:
        if model not in _loans:
            _loans[model] = _Loan(model)
        loan = _loans[model]
        loan.holders += 1
        loan.learn(False)
        if evaluate:
            for module in loan.training:
                module.training = False
    try:
        with onednn_products(model):
            yield
    finally:
        with _lock:
            loan.holders -= 1
            if not loan.holders:
                del _loans[model]
                loan.learn(True)
                for module in loan.training:
                    module.training = True
