"""Models whose weights are elsewhere until they are needed: on other devices, or on none ("meta")."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xai_nlp.errors import InvalidInput


def device_of(model: nn.Module) -> torch.device:
    """Where a model takes its inputs: where its first weight is, or is brought to when it is needed.

    In a model that is split over devices, the first weight is its embeddings'; those that are offloaded (on "meta",
    accelerate's `device_map`) are brought to where its hooks say.

    >>> device_of(nn.Linear(2, 2))
    device(type='cpu')
    """
    weights = (t.device for t in chain(model.parameters(), model.buffers()) if not t.is_meta)
    hooks = (getattr(getattr(m, "_hf_hook", None), "execution_device", None) for m in model.modules())
    brought = (torch.device(device) for device in hooks if device is not None)
    return next(weights, next(brought, torch.device("cpu")))


def weight_of(module: nn.Module, run: Callable[[], Any]) -> Tensor:
    """A module's weight; of one that is offloaded, as it is while `run` runs the model that it belongs to.

    >>> weight_of(nn.Linear(1, 1, bias=False).requires_grad_(False).apply(lambda m: m.weight.fill_(2)), lambda: None)
    tensor([[2.]])
    """
    weight: Any = module.weight
    if not weight.is_meta:
        return weight.detach()
    with _Watch(module) as watch, torch.no_grad():
        run()
    if watch.seen is None:
        raise InvalidInput(f"the weight of {type(module).__name__} is on no device, and running the model brings none.")
    return watch.seen


class _Watch(TorchFunctionMode):
    """Looks at a module's weight whenever something is computed, and keeps it when it is there."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.seen: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        weight: Any = self.module.weight
        if self.seen is None and not weight.is_meta:
            self.seen = weight.detach()
        return func(*args, **(kwargs or {}))
