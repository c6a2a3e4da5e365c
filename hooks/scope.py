"""Hooks that come off by themselves, and the tensors they caught."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from xai_nlp.errors import InvalidInput


@contextmanager
def attached(registrations: Iterable[Callable[[], RemovableHandle]]) -> Iterator[None]:
    """Call each registration, and remove every hook it made on the way out.

    They go on the stack one at a time, so when the third registration raises the first two are
    already owned and come off; a `remove` that raises does not keep the others on.
    """
    with ExitStack() as stack:
        for register in registrations:
            stack.callback(register().remove)
        yield


EditFn = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class ModulePoint:
    """A place in a model where tensors pass: what a module takes in, or gives out, at its n-th call of a forward pass.

    `call` matters where layers share one module (ALBERT); it counts from 0.
    """

    module: nn.Module
    side: Literal["input", "output"] = "output"
    call: int = 0
    name: str = ""

    def __str__(self) -> str:
        return f"the {self.side} of {self.name or type(self.module).__name__}" + (
            f", call {self.call}" * bool(self.call)
        )

    @property
    def visits(self) -> int:
        """How often a forward pass comes by."""
        return 1

    def open(self, visit: EditFn) -> AbstractContextManager[None]:
        """While open, `visit` gets what passes here; what it returns, if not None, goes on instead."""
        hook = _hook(self, visit)
        if self.side == "input":
            return attached([partial(self.module.register_forward_pre_hook, hook, with_kwargs=True)])
        return attached([partial(self.module.register_forward_hook, hook)])


class HookPoint(Protocol):
    """Where tensors pass in a model: a Site, or the attention matrices of some layers (`attention.AttentionSite`)."""

    @property
    def visits(self) -> int: ...

    def open(self, visit: EditFn) -> AbstractContextManager[None]: ...


def _hook(site: ModulePoint, visit: EditFn) -> Callable[..., Any]:
    """A hook that hands the site's value to `visit`, at the right call and in the thread that asked.

    Another thread that runs the same model meets our hook, and must neither see nor change a thing.
    """
    thread, calls = threading.get_ident(), 0

    def mine() -> bool:
        nonlocal calls
        if threading.get_ident() != thread:
            return False
        calls += 1
        return calls == site.call + 1

    def output_hook(module: nn.Module, args: Any, output: Any) -> Any:
        return visit(output) if mine() else None

    def input_hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not mine():
            return None
        if tensors_of(args) or not tensors_of(kwargs):
            new = visit(args)
            return None if new is None else (new, kwargs)
        new = visit(kwargs)
        return None if new is None else (args, new)

    return input_hook if site.side == "input" else output_hook


@contextmanager
def hooked(visits: Sequence[tuple[HookPoint, EditFn]]) -> Iterator[None]:
    """Hand each place's value to its visit during the next forward pass; what it returns, if not None, goes on instead.

    Good for one forward pass at a time: a site's `call` is counted from where this context opens.
    """
    with ExitStack() as stack:
        for place, visit in visits:
            stack.enter_context(place.open(visit))
        yield


# A module gives out a tensor, a tuple, a list or a dict (a ModelOutput is one): the tensors in it, and the way back.


def tensors_of(value: Any) -> tuple[Tensor, ...]:
    """The floating-point tensors of a module's value, in order; nothing else can be attributed."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else (value,)
    return tuple(item for item in items if isinstance(item, Tensor) and item.is_floating_point())


def with_tensors(value: Any, tensors: Iterable[Tensor]) -> Any:
    """`value` with its floating-point tensors replaced, in order, and everything else as it was."""
    new = iter(tensors)

    def swap(item: Any) -> Any:
        return next(new) if isinstance(item, Tensor) and item.is_floating_point() else item

    if isinstance(value, Tensor):
        return swap(value)
    if isinstance(value, dict):
        changed = {key: swap(item) for key, item in value.items()}
        return type(value)(**changed) if type(value) is not dict else changed
    swapped = [swap(item) for item in value]
    return type(value)(*swapped) if hasattr(value, "_fields") else type(value)(swapped)


@dataclass
class Seen:
    """What `captured` caught so far: for each place its tensors, in the order in which they passed."""

    places: Sequence[HookPoint]
    caught: dict[int, tuple[Tensor, ...]] = field(default_factory=dict)
    visits: Counter[int] = field(default_factory=Counter)

    @property
    def complete(self) -> bool:
        return all(self.visits[i] >= place.visits for i, place in enumerate(self.places))

    def tensors(self) -> list[tuple[Tensor, ...]]:
        """One tuple of tensors a place. Raises InvalidInput if the forward pass did not come by."""
        for i, place in enumerate(self.places):
            if not self.caught.get(i):
                why = "gave out no floating-point tensor" if i in self.caught else "was not reached by the forward pass"
                raise InvalidInput(f"{place} {why}; choose a module that this input passes through.")
        return [self.caught[i] for i in range(len(self.places))]


@contextmanager
def captured(
    places: Sequence[HookPoint],
    *,
    differentiable: bool = False,
    rows: int | None = None,
    until: ExitStack | None = None,
) -> Iterator[Seen]:
    """Keep the tensors at the places; they are there once the forward pass has gone by.

    `differentiable` makes each a node that a gradient can be asked of: it requires grad, and the model goes on with
    a copy, so that an operation in place further on does not change what was caught. With `rows`, what passes once
    for a whole batch (position embeddings) is caught as one row for each.

    What no gradient comes to yet starts a graph: a tensor of its own, or with `until` the very tensor that passed,
    which requires grad until that closes. Whoever else kept it, as transformers does with what its layers give out,
    then has the node too.
    """
    seen = Seen(places)

    def for_each_row(t: Tensor) -> Tensor:
        return t.expand(rows, *t.shape[1:]) if rows and len(t) == 1 < rows else t

    def node(passed: Tensor) -> Tensor:
        t = for_each_row(passed)
        if t.requires_grad:
            return t
        if until is None or t is not passed:
            return t.detach().requires_grad_()
        until.callback(t.requires_grad_, False)
        return t.requires_grad_()

    def keep(i: int, value: Any) -> Any:
        passed = tensors_of(value)
        if differentiable:
            tensors = tuple(map(node, passed))
        else:
            tensors = tuple(for_each_row(t).detach().clone() for t in passed)  # a later operation may be in place
        seen.caught[i] = (*seen.caught.get(i, ()), *tensors)
        seen.visits[i] += 1
        return with_tensors(value, (t.clone() for t in tensors)) if differentiable else None

    with hooked([(place, partial(keep, i)) for i, place in enumerate(places)]):
        yield seen
