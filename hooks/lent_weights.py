"""Lend a model copies of its weights, into which checkpoints are loaded; its own come back untouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.hooks.interrupts import interrupts_held_back


@contextmanager
def lent_weights(model: nn.Module) -> Iterator[None]:
    """While open, all parameters and buffers of the model are copies, and no parameter requires grad.

    Weights that modules share are shared by the copies. What is loaded or written meanwhile is gone afterwards, and the
    random generators stand where they stood.

    >>> net = nn.Linear(2, 2)
    >>> own = net.weight
    >>> with lent_weights(net):
    ...     _ = net.load_state_dict({"weight": torch.zeros(2, 2), "bias": torch.zeros(2)})
    ...     float(net.weight.detach().abs().sum()), net.weight is own
    (0.0, False)
    >>> net.weight is own
    True
    """
    copies: dict[int, Tensor] = {}
    stores: list[Any] = [store for module in model.modules() for store in (module._parameters, module._buffers)]
    own = [dict(store) for store in stores]
    training = [(module, module.training) for module in model.modules()]
    configs = {id(c): c for m in model.modules() if hasattr(c := getattr(m, "config", None), "__dict__")}
    settings = {key: dict(vars(config)) for key, config in configs.items()}  # a model's own loss writes into its config

    def copy(tensor: Tensor) -> Tensor:
        if id(tensor) not in copies:
            clone = tensor.detach().clone()
            copies[id(tensor)] = nn.Parameter(clone, requires_grad=False) if isinstance(tensor, nn.Parameter) else clone
        return copies[id(tensor)]

    devices = list(range(torch.cuda.device_count()))  # loaders and dropout draw random numbers
    with interrupts_held_back(), torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices):
        try:
            for store, tensors in zip(stores, own, strict=True):
                store.update({name: copy(t) for name, t in tensors.items() if t is not None})
            yield
        finally:
            for store, tensors in zip(stores, own, strict=True):
                store.clear()
                store.update(tensors)
            for module, mode in training:
                module.training = mode
            for key, config in configs.items():
                vars(config).clear()
                vars(config).update(settings[key])
