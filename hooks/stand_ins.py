"""Functions stand in for the `forward` of modules, in the thread that asks. Instances are patched, never classes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

Forward = Callable[..., Any]
StandIn = Callable[..., Any]  # the forward that it stands in for, and the arguments of the call -> the output


class _Patch:
    """A module's forward while functions stand in for it, in any thread."""

    def __init__(self, module: nn.Module) -> None:
        self.own = module.__dict__.get("forward")  # accelerate, for one, puts its own there
        self.forward: Forward = module.forward
        self.opened: list[tuple[int, StandIn]] = []  # by thread; the innermost last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(self.opened, *args, **kwargs)

    def run(self, opened: Sequence[tuple[int, StandIn]], *args: Any, **kwargs: Any) -> Any:
        """The innermost function that this thread opened, or the module itself."""
        thread = threading.get_ident()
        for number in range(len(opened) - 1, -1, -1):
            owner, function = opened[number]
            if owner == thread:
                outer = partial(self.run, opened[:number]) if number else self.forward
                return function(outer, *args, **kwargs)
        return self.forward(*args, **kwargs)


_patches: dict[nn.Module, _Patch] = {}
_lock = threading.Lock()


@contextmanager
def standing_in(functions: Mapping[nn.Module, StandIn]) -> Iterator[None]:
    """While open, functions stand in for the forward of modules, in this thread.

    Contexts may be nested, an outer function being the forward of an inner one, and open and close in any order in
    several threads.

    >>> layer = nn.ReLU()
    >>> with standing_in({layer: lambda forward, x: forward(x) + 1}):
    ...     layer(torch.zeros(1))
    tensor([1.])
    >>> layer(torch.zeros(1))
    tensor([0.])
    """
    thread = threading.get_ident()
    with _lock:
        for module, function in functions.items():
            patch = _patches.get(module)
            if patch is None:
                patch = _patches[module] = _Patch(module)
                module.__dict__["forward"] = patch
            patch.opened = [*patch.opened, (thread, function)]
    try:
        yield
    finally:
        with _lock:
            for module, function in functions.items():
                patch = _patches[module]
                opened = list(patch.opened)
                del opened[max(n for n, one in enumerate(opened) if one == (thread, function))]
                patch.opened = opened
                if not opened:
                    del _patches[module]
                    _unpatch(module, patch)


def _unpatch(module: nn.Module, patch: _Patch) -> None:
    if patch.own is None:
        del module.__dict__["forward"]
    else:
        module.__dict__["forward"] = patch.own
