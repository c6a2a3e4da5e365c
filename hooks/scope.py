"""Hook points, and hooks that come off by themselves.

A hook point is a place in a model where tensors pass. `hooked` opens points during a forward pass, `captured` keeps
their tensors, and `replaced` puts other tensors there. The context managers remove every hook on the way out.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from xai_nlp.errors import InvalidInput

EditFn = Callable[[Any], Any]  # the value that passes -> the value that goes on, or None to leave it


def modules_of(model: nn.Module) -> list[nn.Module]:
    """All modules of a model, each once, the model first; it takes a quarter of the time of `model.modules()`.

    So little that no call needs to remember them, and none can miss a change.
    """
    modules, known = [model], {model}
    for module in modules:  # grows on the way
        if module._modules:
            for child in module._modules.values():
                if child is not None and child not in known:
                    known.add(child)
                    modules.append(child)
    return modules


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


class HookPoint(Protocol):
    """A place in a model where tensors pass: a `ModulePoint`, or an `attention.AttentionPoint`.

    Points are equal, and may be keys of a dict, if they name the same place.
    """

    @property
    def module(self) -> nn.Module: ...

    @property
    def call(self) -> int: ...

    def open(self, edit: EditFn) -> AbstractContextManager[None]:
        """While open, `edit` gets the value that passes; what it returns, if not None, goes on instead."""


@dataclass(frozen=True)
class ModulePoint:
    """The input or output of a module, at its n-th call of a forward pass.

    call: counts from 0; it matters where layers share one module (ALBERT).
    root: calls are counted from 0 in each forward pass of this module; without it, from when the point was opened, so
        that an edit changes one pass alone.
    """

    module: nn.Module
    side: Literal["input", "output"] = "output"
    call: int = 0
    name: str = field(default="", compare=False)
    root: nn.Module | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        call = f", call {self.call}" if self.call else ""
        return f"the {self.side} of {self.name or type(self.module).__name__}{call}"

    def open(self, edit: EditFn) -> AbstractContextManager[None]:
        """While open, `edit` gets the value that passes; what it returns, if not None, goes on instead."""
        counter, registrations = CallCounter(self.call), []
        if self.root is not None:
            registrations.append(partial(self.root.register_forward_pre_hook, counter.reset, prepend=True))

        def output_hook(module: nn.Module, args: Any, output: Any) -> Any:
            return edit(output) if counter.matches() else None

        def input_hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            if not counter.matches():
                return None
            if tensors_of(args) or not tensors_of(kwargs):
                new = edit(args)
                return None if new is None else (new, kwargs)
            new = edit(kwargs)
            return None if new is None else (args, new)

        if self.side == "input":
            registrations.append(partial(self.module.register_forward_pre_hook, input_hook, with_kwargs=True))
        else:
            registrations.append(partial(self.module.register_forward_hook, output_hook))
        return attached(registrations)


@dataclass(eq=False)
class CallCounter:
    """Counts a module's calls in the thread that made it; another thread that runs the model is left alone."""

    call: int = 0
    calls: int = 0
    thread: int = field(default_factory=threading.get_ident)

    def matches(self) -> bool:
        """Is this the call to look at? Counts it."""
        if threading.get_ident() != self.thread:
            return False
        self.calls += 1
        return self.calls == self.call + 1

    def reset(self, *_: Any) -> None:
        """A forward pass begins."""
        if threading.get_ident() == self.thread:
            self.calls = 0


@contextmanager
def hooked(edits: Sequence[tuple[HookPoint, EditFn]]) -> Iterator[None]:
    """Open points together: each edit gets the value at its point during the next forward pass."""
    with ExitStack() as stack:
        for point, edit in edits:
            stack.enter_context(point.open(edit))
        yield


def tensors_of(value: Any) -> tuple[Tensor, ...]:
    """The floating-point tensors of a module's value (a tensor, tuple, list or dict), in order."""
    if isinstance(value, Tensor):
        return (value,) if value.is_floating_point() else ()
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (tuple, list)) else ()
    return tuple(item for item in items if isinstance(item, Tensor) and item.is_floating_point())


def with_tensors(value: Any, tensors: Iterable[Tensor]) -> Any:
    """`value` with its floating-point tensors replaced, in order, and everything else unchanged."""
    new = iter(tensors)
    if isinstance(value, Tensor):
        return next(new) if value.is_floating_point() else value
    items = value.values() if isinstance(value, dict) else value
    changed = [next(new) if isinstance(item, Tensor) and item.is_floating_point() else item for item in items]
    if isinstance(value, dict):
        named = dict(zip(value, changed, strict=True))
        return named if type(value) is dict else type(value)(**named)
    return type(value)(*changed) if hasattr(value, "_fields") else type(value)(changed)


@dataclass
class CapturedTensors:
    """Tensors that passed at some points during the last forward pass."""

    points: Sequence[HookPoint]
    values: dict[HookPoint, tuple[Tensor, ...]] = field(default_factory=dict)

    def tensors(self, points: Sequence[HookPoint] | None = None) -> list[tuple[Tensor, ...]]:
        """One tuple of tensors for each point. Raises InvalidInput for a point that the pass did not reach."""
        points = self.points if points is None else points
        for point in points:
            if not self.values.get(point):
                why = "was not reached by the forward pass"
                why = "gave out no floating-point tensor" if point in self.values else why
                raise InvalidInput(f"{point} {why}; choose a module that this input passes through.")
        return [self.values[point] for point in points]

    def __getitem__(self, point: HookPoint) -> Any:
        """The tensor at a point, or a tuple where the module takes or gives several."""
        if point not in self.points:
            raise InvalidInput(f"{point} was not captured; name it in `capture(…)`.")
        (tensors,) = self.tensors([point])
        return tensors[0] if len(tensors) == 1 else tensors


class EveryPointCaptured(BaseException):
    """Ends a forward pass. It is no Exception, so that no model's own `except` swallows it."""


@contextmanager
def captured(
    points: Sequence[HookPoint],
    *,
    differentiable: bool | None = False,
    rows: int | None = None,
    until: ExitStack | None = None,
    stop: bool = False,
) -> Iterator[CapturedTensors]:
    """Keep the tensors at the points; they are there once the forward pass has gone by.

    differentiable: each tensor is part of the graph of what follows. The model goes on with a copy, so a later
        operation in place does not change the captured tensor. None: if gradients are enabled during the pass.
    rows: a tensor that passes once for the whole batch (position embeddings) is expanded to one row for each.
    until: if the captured tensor is not part of a graph, it becomes a leaf. By default the leaf is a detached copy;
        with `until`, the original tensor itself is marked `requires_grad` until that stack closes, so other holders
        of it (transformers records the outputs of its layers) hold the leaf too.
    stop: `EveryPointCaptured` ends the forward pass once all points are captured.
    """
    result = CapturedTensors(points)

    def keep(point: HookPoint, value: Any) -> Any:
        tensors = tensors_of(value)
        if rows is not None:
            tensors = tuple(t.expand(rows, *t.shape[1:]) if len(t) == 1 < rows else t for t in tensors)
        graph = torch.is_grad_enabled() if differentiable is None else differentiable
        if not graph:
            tensors = tuple(t.detach().clone() for t in tensors)
        elif until is None:
            tensors = tuple(t if t.requires_grad else t.detach().requires_grad_() for t in tensors)
        else:
            for t in tensors:
                if not t.requires_grad:
                    until.callback(t.requires_grad_().requires_grad_, False)
        result.values[point] = tensors
        if stop and len(result.values) == len(set(points)):
            raise EveryPointCaptured
        return with_tensors(value, [t.clone() for t in tensors]) if graph else None

    with hooked([(point, partial(keep, point)) for point in points]):
        yield result


def replaced(replacements: Sequence[tuple[HookPoint, Sequence[Tensor]]]) -> AbstractContextManager[None]:
    """During the next forward pass each point carries these tensors instead of its own.

    The modules before it still run, so positions, masks and types stay right. Raises InvalidInput if a point carries
    another number of tensors.
    """

    def put(point: HookPoint, tensors: Sequence[Tensor], value: Any) -> Any:
        count = len(tensors_of(value))
        if count != len(tensors):
            raise InvalidInput(
                f"{point} carries {count} floating-point tensors; {len(tensors)} were given to replace them."
            )
        # The next module may want to change the tensor in place, which autograd forbids for a leaf.
        return with_tensors(value, [t.clone() if t.is_leaf and t.requires_grad else t for t in tensors])

    return hooked([(point, partial(put, point, tensors)) for point, tensors in replacements])


def tensors_at(
    points: Sequence[HookPoint],
    run: Callable[[], Any],
    replacements: Sequence[tuple[HookPoint, Sequence[Tensor]]] = (),
) -> list[tuple[Tensor, ...]]:
    """The tensors at some points when `run` runs the model: one tuple for each point.

    The model stops once all are captured. Replacements come first where they share a module with a point, so the sum of
    embeddings can be computed for other words, with positions and types unchanged. Tensors carry gradients if gradients
    are enabled. Raises InvalidInput for a point that the model does not reach.
    """
    with replaced(replacements), captured(points, differentiable=torch.is_grad_enabled(), stop=True) as result:
        with suppress(EveryPointCaptured):
            run()
    return result.tensors()
