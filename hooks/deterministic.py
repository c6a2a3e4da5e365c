"""Models that draw random orders in eval mode, held still."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class deterministic_multinomial(TorchFunctionMode):
    """While on, this thread's `torch.multinomial` draws come in order instead of at random.

    ViLT draws its patches in a random order at every forward pass, also in eval mode. With the mode on they come in
    reading order, the same at every pass, and the state of the generator is left alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.multinomial:
            return _in_order(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _in_order(input: Tensor, num_samples: Any, replacement: bool = False, **_: Any) -> Tensor:
    """The first `num_samples` places of each row, around and around where there are fewer."""
    places = torch.arange(int(num_samples), device=input.device) % input.shape[-1]
    return places.expand(*input.shape[:-1], -1)
