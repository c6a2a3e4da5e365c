"""Models whose weights are not on the device of the inputs: on several devices, or on none ("meta") until they run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from xai_nlp.errors import InvalidInput, Unsupported


def device_of(model: nn.Module) -> torch.device:
    """The device for a model's inputs: that of its first weight, or the one that an offloaded weight is brought to.

    In a model that is split over devices, the embeddings' weight is the first. The hooks of accelerate (`device_map`)
    name the device of weights that are offloaded.

    >>> device_of(nn.Linear(2, 2))
    device(type='cpu')
    """
    weights = (t.device for t in chain(model.parameters(), model.buffers()) if not t.is_meta)
    hooks = (getattr(getattr(m, "_hf_hook", None), "execution_device", None) for m in model.modules())
    execution_devices = (torch.device(device) for device in hooks if device is not None)
    return next(chain(weights, execution_devices), torch.device("cpu"))


def weight_of(module: nn.Module, run: Callable[[], Any]) -> Tensor:
    """A module's weight; if it is offloaded, the weight that is loaded while `run` runs the model.

    Raises InvalidInput if there is none even then, Unsupported if the module keeps no tensor, as quantised ones do.

    >>> layer = nn.Linear(1, 1)
    >>> weight_of(layer, run=lambda: None).equal(layer.weight)
    True
    """
    weight: Any = module.weight
    if not isinstance(weight, Tensor):
        raise Unsupported(
            f"{type(module).__module__}.{type(module).__name__} keeps no weight that can be read: the model is "
            "quantised. Load it in float32, or choose a method that needs no weights, such as occlusion."
        )
    if not weight.is_meta:
        return weight.detach()
    with _WeightReader(module) as reader, torch.no_grad():
        run()
    if reader.weight is None:
        raise InvalidInput(f"the weight of {type(module).__name__} is on no device, and running the model brings none.")
    return reader.weight


class _WeightReader(TorchFunctionMode):
    """Reads a module's weight at the first operation that runs while it is on a device."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.weight: Tensor | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        weight: Any = self.module.weight
        if self.weight is None and not weight.is_meta:
            self.weight = weight.detach()
        return func(*args, **(kwargs or {}))
