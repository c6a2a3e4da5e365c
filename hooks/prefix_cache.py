"""What a forward pass has done when it comes to a place, as far as it need not be done again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from xai_nlp.hooks.replace import Passed, skipped
from xai_nlp.hooks.scope import HookPoint, attached, hooked, tensors_of, with_tensors

WORTH = 0.25  # of the modules that run in a pass
MOST = 2**26  # entries that are kept


def settled(places: Sequence[HookPoint], run: Callable[[Tensor], Tensor], everyone: Tensor) -> Passed:
    """The modules that are done when a pass comes to the first of the places, and what they gave out: for `skipped`.

    `run(owner)` gives the model's output for rows of the examples `everyone` (B,). A module counts if it is in eval
    mode and gives out a row for each example. None do where that would save little, where it would take much memory, or
    where the model needs more of them than what they gave out: without them, other rows must come out the same.
    """
    noted = _Noted(len(everyone))
    hooks = (
        partial(register_module_forward_pre_hook, noted.enter),
        partial(register_module_forward_hook, noted.leave),
    )
    with torch.no_grad():
        with attached(hooks), hooked([(place, noted.close) for place in places]):
            output = run(everyone)
        if sum(done.size for done in noted.done) < WORTH * noted.ran:
            return ()
        passed = [(done.module, done.output) for done in noted.done]
        return passed if _same(passed, run, everyone, output) else ()


def _same(passed: Passed, run: Callable[[Tensor], Tensor], everyone: Tensor, output: Tensor) -> bool:
    rows = torch.cat([everyone[:1], everyone])  # one more, so that each is in another place
    try:
        with skipped(passed, rows, len(everyone)):
            again = run(rows)
        expected = output[rows.to(output.device)]
        near = 100 * torch.finfo(expected.dtype).eps * float(expected.abs().max())
        return torch.allclose(again, expected, rtol=0, atol=near)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError):  # such a model cannot go on from there
        return False


class _Done(NamedTuple):
    module: nn.Module
    output: Any
    size: int  # how many modules ran for it
    entries: int


class _Entered(NamedTuple):
    module: nn.Module
    done: int  # how many were done before
    ran: int


class _Noted:
    """Follows a forward pass until it is closed: which modules are done, the outermost each."""

    def __init__(self, examples: int) -> None:
        self.examples, self.thread = examples, threading.get_ident()
        self.done: list[_Done] = []
        self.inside: list[_Entered] = []
        self.ran, self.closed = 0, False

    def close(self, value: Any) -> None:
        self.closed = True

    def enter(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() == self.thread:
            self.inside.append(_Entered(module, len(self.done), self.ran))
            self.ran += 1

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        while (entered := self.inside.pop()).module is not module:  # one that was left by an error
            pass
        if not self.closed and self._counts(module, output):
            entries = sum(t.numel() for t in tensors_of(output))
            del self.done[entered.done :]  # its parts
            if sum(done.entries for done in self.done) + entries > MOST:
                self.done, self.closed = [], True
                return
            own = with_tensors(output, [t.clone() for t in tensors_of(output)])  # it may be written on later
            self.done.append(_Done(module, own, self.ran - entered.ran, entries))

    def _counts(self, module: nn.Module, output: Any) -> bool:
        parts = (
            output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else [output]
        )
        return not any(child.training for child in module.modules()) and all(
            part is None
            or (isinstance(part, Tensor) and part.is_floating_point() and part.shape[:1] == (self.examples,))
            for part in parts
        )
