"""Re-enter a model anywhere: what passes at a place replaced by given tensors, and what is known not computed again."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import Tensor, nn

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import HookPoint, hooked, tensors_of, with_tensors


def replaced(replacements: Sequence[tuple[HookPoint, Sequence[Tensor]]]) -> AbstractContextManager[None]:
    """During the next forward pass each place carries the given tensors instead of its own.

    The modules before it still run, so positions, masks and types stay right; what they computed is dropped.
    Raises InvalidInput if a place carries another number of tensors than given.
    """

    def put(place: HookPoint, left: list[Tensor], value: Any) -> Any:
        found = len(tensors_of(value))
        if found > len(left) or (place.visits == 1 and found < len(left)):
            raise InvalidInput(
                f"{place} carries {found if place.visits == 1 else 'more'} floating-point tensors; "
                f"{given[id(left)]} were given to replace them."
            )
        now = [left.pop(0) for _ in range(found)]
        # A leaf that is differentiated may not be changed in place, which the next module may want to do.
        return with_tensors(value, [t.clone() if t.is_leaf and t.requires_grad else t for t in now])

    queues = [(place, list(tensors)) for place, tensors in replacements]
    given = {id(left): len(left) for _, left in queues}
    return hooked([(place, partial(put, place, left)) for place, left in queues])


Passed = Sequence[tuple[nn.Module, Any]]  # modules, and what each gave out, in the order in which they ran
Queue = list[Callable[[], Any]]  # what a module gives out at its next calls


@contextmanager
def skipped(passed: Passed, owner: Tensor, examples: int) -> Iterator[None]:
    """During the next forward pass these modules do not run again: they give out what they gave before.

    Values were computed for a batch of `examples`; row r of the pass gets those of example `owner[r]`. A module that
    ran several times (ALBERT) gives its values out in turn, and runs again when they are used up. Instances are
    patched, never classes; another thread that runs the model does not notice, and may skip on its own.
    """

    def of_rows(value: Any) -> Any:
        return with_tensors(
            value, (t[owner.to(t.device)] if t.ndim and len(t) == examples else t for t in tensors_of(value))
        )

    values: dict[nn.Module, Queue] = {}
    for module, value in passed:
        values.setdefault(module, []).append(partial(of_rows, value))
    with ExitStack() as stack:
        for module, queue in values.items():
            stack.enter_context(_stood_in(module, queue))
        yield


class _StandIn:
    """A module's forward while somebody skips it: gives a thread what that thread knows, runs the module for others."""

    def __init__(self, module: nn.Module) -> None:
        self.kept = module.__dict__.get("forward")  # accelerate, for one, puts its own there
        self.own = module.forward
        self.known: dict[int, list[Queue]] = {}  # thread -> its queues, the innermost last

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        left = next((queue for queue in reversed(self.known.get(threading.get_ident(), ())) if queue), None)
        return left.pop(0)() if left else self.own(*args, **kwargs)


_stand_ins: dict[nn.Module, _StandIn] = {}
_lock = threading.RLock()


@contextmanager
def _stood_in(module: nn.Module, queue: Queue) -> Iterator[None]:
    """Threads may come and go in any order: the first brings the stand-in, the last takes it away."""
    thread = threading.get_ident()
    with _lock:
        if module not in _stand_ins:
            _stand_ins[module] = module.__dict__["forward"] = _StandIn(module)
        stand_in = _stand_ins[module]
        stand_in.known.setdefault(thread, []).append(queue)
    try:
        yield
    finally:
        with _lock:
            stand_in.known[thread].pop()
            if not stand_in.known[thread]:
                del stand_in.known[thread]
            if not stand_in.known:
                del _stand_ins[module]
                if stand_in.kept is None:
                    del module.__dict__["forward"]
                else:
                    module.__dict__["forward"] = stand_in.kept


def outermost_blocks(model: nn.Module) -> list[nn.Module]:
    """The layers of an encoder or a decoder: members of ModuleLists that are in no other ModuleList."""
    if isinstance(model, nn.ModuleList):
        return list(model)
    return [block for child in model.children() for block in outermost_blocks(child)]
