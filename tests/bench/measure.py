"""Paired timings in one process, peak memory in processes of their own."""

import ctypes
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Pair:
    """Seconds of ours and of Captum, in turn; the ratio is the median of each round's."""

    ours: float
    theirs: float
    ratio: float
    result: Any
    reference: Any


def paired(
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
    before: Callable[[], Any] = lambda: None,
) -> Pair:
    """Both, in turn, `rounds` times: the machine's drift hits both alike. What is done `before` each is not timed."""
    times: list[tuple[float, float]] = []
    result = reference = None
    for _ in range(rounds):
        seconds = []
        for run in (ours, theirs):
            before()
            start = clock()
            value = run()
            seconds.append(clock() - start)
            result, reference = (value, reference) if run is ours else (result, value)
        times.append((seconds[0], seconds[1]))
    mine, other = zip(*times, strict=True)
    ratio = statistics.median(b / a for a, b in times)
    return Pair(statistics.median(mine), statistics.median(other), ratio, result, reference)


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


def operations(run: Callable[[], Any]) -> int:
    """How many of torch's operations a call dispatches; neither load nor the machine has a part in it."""
    with _Operations() as counter:
        run()
    return counter.count


def python_calls(run: Callable[[], Any]) -> int:
    """How many functions Python calls, its own and those written in C."""
    count = 0

    def note(frame: Any, event: str, arg: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def gemm_rate() -> float:
    """GFLOP/s of this machine's matrix product, measured now."""
    a = torch.randn(1536, 1536)
    a @ a
    start = time.perf_counter()
    for _ in range(10):
        a @ a
    return 10 * 2 * 1536**3 / (time.perf_counter() - start) / 1e9


def product_rate(product: Callable[..., Any], *, column_major: bool = False) -> float:
    """GFLOP/s of a function x, weight -> x Wᵀ at the size of BERT-base's layers: 128 × 768 × 768."""
    x, weight = torch.randn(128, 768), torch.randn(768, 768)
    weight = weight.t() if column_major else weight
    product(x, weight)
    start = time.perf_counter()
    for _ in range(100):
        product(x, weight)
    return 100 * 2 * 128 * 768**2 / (time.perf_counter() - start) / 1e9


def _memory(name: str) -> int:
    """A line of /proc/self/status in KiB; ru_maxrss would do, were it not inherited from the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def resident() -> float:
    """MB of this process that are in memory now."""
    return _memory("VmRSS:") * 1024 / 1e6


def _child(prepare: Callable[[str], Callable[[], Any]], name: str, pipe: Any, calls: int = 1) -> None:
    run = prepare(name)
    for _ in range(calls - 1):
        run()
    ctypes.CDLL(None).malloc_trim(0)  # what is free goes back
    before = _memory("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    run()
    pipe.send((_memory("VmHWM:") - before) / 1024)


def peak_memory(prepare: Callable[[str], Callable[[], Any]], name: str) -> float:
    """MiB by which a fresh process's peak grows when it runs what `prepare(name)` gives."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_child, args=(prepare, name, there))
    process.start()
    process.join()
    return here.recv() if here.poll() else float("nan")


def _fork(prepare: Callable[[], Callable[[str], Callable[[], Any]]], names: list[str], pipe: Any) -> None:
    """A process that is ready, and gives birth to one for each name, in which the third call is measured."""
    torch.set_num_threads(1)  # a process with threads cannot be copied
    named, context = prepare(), multiprocessing.get_context("fork")
    for name in names:
        found = [float("nan")]
        for _ in range(2):  # the smaller: pages of libraries come and go
            here, there = context.Pipe()
            process = context.Process(target=_child, args=(named, name, there, 3))
            process.start()
            process.join()
            found += [here.recv()] if here.poll() else []
        pipe.send(min(found[1:], default=found[0]))


def peaks(prepare: Callable[[], Callable[[str], Callable[[], Any]]], names: list[str]) -> dict[str, float]:
    """The same for many names, of a call that is not the first, and without starting afresh for each: what `prepare()`
    gives makes a name's work."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_fork, args=(prepare, names, there))
    process.start()
    found = {name: here.recv() for name in names}
    process.join()
    return found


def largest_difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Relative to the largest score."""
    return float((got - expected).abs().max() / expected.abs().max())
