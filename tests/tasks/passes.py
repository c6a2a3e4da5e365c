"""The sizes of a model's forward passes, counted from outside."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


@contextmanager
def rows_counted(module: nn.Module, limit: int | None = None) -> Iterator[list[int]]:
    """While open, the number of rows of each forward pass of a module is appended to the list.

    limit: a pass of more rows ends as if memory had run out.
    """
    sizes: list[int] = []

    def count(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.ndim > 1]
        rows = len(kwargs.get("input_ids", tensors[0]))
        sizes.append(rows)
        if limit is not None and rows > limit:
            raise RuntimeError("not enough memory: you tried to allocate 4294967296 bytes")

    handle = module.register_forward_pre_hook(count, with_kwargs=True)
    try:
        yield sizes
    finally:
        handle.remove()


def calls_of(module: nn.Module, work: Callable[[], Any]) -> int:
    """How often the code of a module itself runs during `work`, however its forward is called."""
    calls, code = 0, type(module).forward

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += self is module
        return code(self, *args, **kwargs)

    type(module).forward = forward  # type: ignore[method-assign]
    try:
        work()
    finally:
        type(module).forward = code  # type: ignore[method-assign]
    return calls
