"""Freeze a model while it is explained, and compare its state before and after."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from xai_nlp.hooks.onednn import onednn_products


def fingerprint(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    """The state of a model that an explanation must not change: hooks, attributes, modes, weights, gradients, configs.

    Two fingerprints are equal if nothing has changed. Weights are compared by address and version, so that a write in
    place shows even if it writes the same numbers. Parts of a model may have configs of their own, which name the
    attention implementation of each.

    >>> model = nn.Linear(2, 2)
    >>> before = fingerprint(model)
    >>> model = model.eval()
    >>> fingerprint(model) == before
    False
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


class _OriginalState:
    """The state of a model before it was frozen, and how many contexts hold it frozen."""

    def __init__(self, model: nn.Module) -> None:
        self.holders = 0
        modules = list(model.modules())
        # By name: offloaded weights are other parameters during a forward pass, and others again after it.
        self.trainable = [
            (m, name)
            for m in modules
            for name, p in m._parameters.items()  # takes a quarter of the time of named_parameters
            if p is not None and p.requires_grad
        ]
        self.training = [m for m in modules if m.training]

    def require_grad(self, requires_grad: bool) -> None:
        for module, name in self.trainable:
            getattr(module, name).requires_grad_(requires_grad)

    def train(self, mode: bool) -> None:
        for module in self.training:
            module.training = mode


_frozen: WeakKeyDictionary[nn.Module, _OriginalState] = WeakKeyDictionary()
_lock = threading.RLock()


@contextmanager
def frozen_model(model: nn.Module, *, evaluate: bool = False) -> Iterator[None]:
    """While open, no parameter of the model requires grad, so that no gradient is computed for it.

    Its large products with weights go to oneDNN where that is faster. Nested and concurrent contexts of one model are
    counted: the last one to close restores the original state.

    evaluate: also put all its modules into evaluation mode, without dropout.

    >>> model = nn.Linear(2, 2)
    >>> with frozen_model(model, evaluate=True):
    ...     model.weight.requires_grad, model.training
    (False, False)
    >>> model.weight.requires_grad, model.training
    (True, True)
    """
    with _lock:
        if model not in _frozen:
            _frozen[model] = _OriginalState(model)
        original = _frozen[model]
        original.holders += 1
        original.require_grad(False)
        if evaluate:
            original.train(False)
    try:
        with onednn_products(model):
            yield
    finally:
        with _lock:
            original.holders -= 1
            if not original.holders:
                del _frozen[model]
                original.require_grad(True)
                original.train(True)
