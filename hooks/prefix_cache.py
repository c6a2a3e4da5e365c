"""The prefix cache: modules that finish before a hook point are not run again when a model is re-entered there."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from xai_nlp.hooks.scope import HookPoint, attached, hooked, tensors_of, with_tensors
from xai_nlp.hooks.stand_ins import standing_in

Point = TypeVar("Point", bound=Any)

LEAST_SHARE = 0.25  # of the modules that run in a pass; a smaller prefix is not worth its bookkeeping
MOST_ENTRIES = 2**26  # entries of the cached outputs


@dataclass(frozen=True)
class CachedPrefix:
    """Modules that finish before a point, each with its output for a batch of examples, in the order of their calls.

    runs: how often each module ran as a part of them.
    """

    outputs: tuple[tuple[nn.Module, Any], ...] = ()
    runs: Mapping[nn.Module, int] = field(default_factory=dict)

    def after(self, point: Point) -> Point:
        """The point with its call counted as it is while the prefix is in use.

        Calls inside the cached modules do not happen; the cached modules themselves are still called.
        """
        return replace(point, call=point.call - self.runs.get(point.module, 0))

    @classmethod
    def joined(cls, parts: Sequence[CachedPrefix]) -> CachedPrefix:
        """The prefix of a batch from those of its parts; empty if the parts ran different modules."""
        if len(parts) == 1:
            return parts[0]
        modules = [[module for module, _ in part.outputs] for part in parts]
        if any(other != modules[0] for other in modules):
            return cls()
        outputs = []
        for of_module in zip(*(part.outputs for part in parts), strict=True):
            tensors = [tensors_of(output) for _, output in of_module]
            sizes = [len(of_part[0]) for of_part in tensors]
            joined = [
                torch.cat(of_parts) if [len(t) for t in of_parts] == sizes else of_parts[0]  # else one for all rows
                for of_parts in zip(*tensors, strict=True)
            ]
            outputs.append((of_module[0][0], with_tensors(of_module[0][1], joined)))
        return cls(tuple(outputs), parts[0].runs)


def cached_prefixes(
    points: Sequence[HookPoint], run: Callable[[Tensor], Tensor], examples: Tensor, limit: int | None = None
) -> tuple[CachedPrefix, ...]:
    """The prefix of each point, from one forward pass: the outermost modules that finish before it.

    run: gives the model's output (R, *C) for rows of the examples `examples` (B,). A module counts if it is in eval
    mode and gives out a row for each example. A prefix is empty where it would save little, where it would take much
    memory, or where the model needs more than the outputs: a trial with other rows must give the same output.
    limit: rows of a pass at most; the trial keeps to it.
    """
    recorder = _Recorder(len(examples), len(points))
    hooks = (
        partial(register_module_forward_pre_hook, recorder.enter),
        partial(register_module_forward_hook, recorder.leave),
    )
    with torch.no_grad():
        with attached(hooks), hooked([(point, partial(recorder.reach, i)) for i, point in enumerate(points)]):
            output = run(examples)
        prefixes = [recorder.prefix(i) for i in range(len(points))]
        longest = max(prefixes, key=lambda prefix: len(prefix.runs) + len(prefix.outputs))
        if longest.outputs and not _same_output(longest, run, examples, output, limit):
            return (CachedPrefix(),) * len(points)
        return tuple(prefixes)


def _same_output(
    prefix: CachedPrefix, run: Callable[[Tensor], Tensor], examples: Tensor, output: Tensor, limit: int | None
) -> bool:
    places = torch.arange(len(examples), device=examples.device)
    rows = torch.cat([places[:1], places])  # one more row, so that each example is in another place
    if limit is not None and len(rows) > limit:
        rows = places[1:] if len(places) > 1 else places  # one row less, for the same reason
    try:
        with use_cached(prefix, rows, len(examples)):
            again = run(examples[rows])
        expected = output[rows.to(output.device)]
        tolerance = 100 * torch.finfo(expected.dtype).eps * float(expected.abs().max())
        return again.shape == expected.shape and torch.allclose(again, expected, rtol=0, atol=tolerance)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError):  # the model cannot continue from there
        return False


class _Finished(NamedTuple):
    module: nn.Module
    output: Any
    runs: tuple[nn.Module, ...]  # the modules that ran inside it
    entries: int


class _Recorder:
    """Follows one forward pass: which outermost modules have finished when it reaches each point."""

    def __init__(self, examples: int, points: int) -> None:
        self.examples, self.points, self.thread = examples, points, threading.get_ident()
        self.finished: list[_Finished] = []
        self.inside: list[tuple[nn.Module, int, int]] = []  # a running module; how many had finished and run before
        self.ran: list[nn.Module] = []
        self.at_point: dict[int, list[_Finished]] = {}
        self.full = False
        self.training: dict[nn.Module, bool] = {}  # what `_trains` found

    def reach(self, index: int, value: Any) -> None:
        self.at_point.setdefault(index, list(self.finished))

    def enter(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() == self.thread:
            self.inside.append((module, len(self.finished), len(self.ran)))
            self.ran.append(module)

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        entered, finished, ran = self.inside.pop()
        while entered is not module:  # it was left by an error
            entered, finished, ran = self.inside.pop()
        if self.full or len(self.at_point) == self.points:
            return
        tensors = tensors_of(output)
        if not self._has_rows(output, tensors) or self._trains(module):
            return
        entries = sum(t.numel() for t in tensors)
        del self.finished[finished:]  # its parts
        if sum(one.entries for one in self.finished) + entries > MOST_ENTRIES:
            self.finished, self.full = [], True
            return
        copied = with_tensors(output, [t.clone() for t in tensors])  # a later operation may be in place
        self.finished.append(_Finished(module, copied, tuple(self.ran[ran + 1 :]), entries))

    def _has_rows(self, output: Any, tensors: Sequence[Tensor]) -> bool:
        """Does the output hold a row for each example? Beside it there may be one for all of them (T5's biases)."""
        if isinstance(output, Tensor):
            return bool(tensors) and output.shape[:1] == (self.examples,)
        items = output.values() if isinstance(output, dict) else output if isinstance(output, (list, tuple)) else ()
        rows = [t.shape[:1] for t in tensors]
        return (
            len(rows) == sum(item is not None for item in items) > 0
            and rows[0] == (self.examples,)
            and set(rows) <= {(self.examples,), (1,)}
        )

    def _trains(self, module: nn.Module) -> bool:
        """Is the module, or a part of it, in training mode?"""
        if module not in self.training:
            parts = [part for part in module._modules.values() if part is not None]
            self.training[module] = module.training or any(map(self._trains, parts))
        return self.training[module]

    def prefix(self, index: int) -> CachedPrefix:
        finished = self.at_point.get(index, [])
        if sum(1 + len(one.runs) for one in finished) < LEAST_SHARE * len(self.ran):
            return CachedPrefix()
        runs = Counter(module for one in finished for module in one.runs)
        return CachedPrefix(tuple((one.module, one.output) for one in finished), runs)


@contextmanager
def use_cached(prefix: CachedPrefix, owner: Tensor, examples: int) -> Iterator[None]:
    """During the next forward pass the modules of a prefix do not run: they give out what is cached.

    Outputs were cached for a batch of `examples`; row r of the pass gets those of example `owner[r]`. A module that ran
    several times (ALBERT) gives its outputs out in turn, and runs again when they are used up. Another thread that runs
    the model is left alone, and may use a cache of its own.
    """

    def rows_of(output: Any) -> Any:
        rows = (t[owner.to(t.device)] if t.ndim and len(t) == examples else t for t in tensors_of(output))
        return with_tensors(output, rows)

    def answer(outputs: list[Any], forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return rows_of(outputs.pop(0)) if outputs else forward(*args, **kwargs)

    outputs = defaultdict[nn.Module, list[Any]](list)
    for module, output in prefix.outputs:
        outputs[module].append(output)
    with standing_in({module: partial(answer, own) for module, own in outputs.items()}):
        yield
