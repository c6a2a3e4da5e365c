"""A place for what enters a model by argument, such as an image; and models that shuffle held still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xai_nlp.hooks.scope import EditFn


@dataclass(eq=False)
class ArgumentPoint:
    """A Place that whoever runs the model lets a tensor through on its way in: `model(pixel_values=gate.passed(…))`.

    Belongs to one thread: make one for each batch.
    """

    name: str
    visits: int = 1
    _visiting: list[EditFn] = field(default_factory=list)

    def __str__(self) -> str:
        return f"the input {self.name}"

    @contextmanager
    def open(self, visit: EditFn) -> Iterator[None]:
        self._visiting.append(visit)
        try:
            yield
        finally:
            self._visiting.remove(visit)

    def passed(self, tensor: Tensor) -> Tensor:
        """The tensor, as the last of those who look in leaves it."""
        for visit in tuple(self._visiting):
            new = visit(tensor)
            tensor = tensor if new is None else new
        return tensor


class deterministic_multinomial(TorchFunctionMode):
    """While on, this thread's draws without weights come in order instead of at random.

    ViLT draws its patches in a random order at every forward pass, also in eval mode; so they come in reading order,
    the same at every pass, and the state of the generator is left alone.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.multinomial:
            return _in_order(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _in_order(weights: Tensor, count: Any, replacement: bool = False, **_: Any) -> Tensor:
    """The first `count` places, around and around where there are fewer."""
    return torch.arange(int(count), device=weights.device) % weights.shape[-1]
