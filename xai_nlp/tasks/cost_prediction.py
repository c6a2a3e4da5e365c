"""Time and memory that a text of the model's full length takes, predicted from shorter ones."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.batching import default_rows
from xai_nlp.core.diagnosis import Check, ok, warning
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.points import edit
from xai_nlp.hooks.scope import HookPoint
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.probe import Probe

LONGEST = 256  # tokens of the longest text that is run
PARTS = (0.25, 0.5, 1)  # of that length: the texts that are run
RUNS = 3  # of each text
POINTS = 33  # of the path of integrated gradients, with its default steps
UNLIMITED = 10**6  # tokens: a limit above it is none
LONG = 4096  # tokens that are predicted for a model without a limit


@dataclass(frozen=True)
class RowCost:
    """One row forward and backward: tokens, bytes that it keeps for the gradient, seconds."""

    length: int
    bytes: float
    seconds: float


def cost(probe: Probe) -> Check:
    """What integrated gradients take for a text as long as the model reads."""
    limit = full_length(probe)
    windows = list(_windows(probe, limit))
    costs = [row_cost(probe, window) for window in windows]
    row = predicted(probe, costs, limit or costs[-1].length)
    entries = probe.explainer.row_entries(probe.explainer.batch(windows[-1:]))
    if limit:
        entries = entries * row.length // costs[-1].length
    device = device_of(probe.explainer.model)
    rows = min(POINTS, default_rows(entries, device.type))
    needed, seconds, there = row.bytes * rows, row.seconds * POINTS, _memory(device)
    what = f"A text of {row.length:,} tokens" if limit else "An image"
    sentence = (
        f"{what} takes about {_duration(seconds)} and {_size(needed)} of activations, by integrated gradients with "
        f"{POINTS} points."
    )
    numbers = {"length": row.length, "seconds": seconds, "bytes": needed, "rows": rows}
    if there and needed > there:
        fitting = max(1, int(rows * there / needed / 2))
        return warning(f"{sentence} The machine has {_size(there)}.", f"Explain with batch_size={fitting}.", **numbers)
    return ok(sentence, **numbers)


def full_length(probe: Probe) -> int | None:
    """The tokens of the longest text that the model reads at once; None for inputs of one size."""
    if not probe.repeated_inputs:
        return None
    explainer = probe.explainer
    limits = [explainer.adapter.max_length, getattr(explainer.tokenizer, "model_max_length", None)]
    limit = min((int(n) for n in limits if n), default=UNLIMITED)
    return limit if limit < UNLIMITED else LONG


def predicted(probe: Probe, costs: list[RowCost], length: int) -> RowCost:
    """The cost of a row of so many tokens.

    Bytes follow a polynomial of the length, of degree 2 at most: activations are linear in it, attention quadratic.
    Seconds rise with the number of products: P for each token, and 2·D·layers for each pair of tokens.
    """
    costs = sorted({one.length: one for one in costs}.values(), key=lambda one: one.length)
    first, last = costs[0], costs[-1]
    if length <= last.length:
        return last
    nothing = [RowCost(0, 0, 0)] if len(costs) == 1 else []
    points = [*nothing, *costs]
    fit = np.polyfit([one.length for one in points], [one.bytes for one in points], len(points) - 1)
    least, most, work = (_products(probe, n) for n in (first.length, last.length, length))
    rise = (last.seconds - first.seconds) / (most - least) if most > least else last.seconds / most
    seconds = last.seconds + min(max(0.0, rise), last.seconds / most) * (work - most)
    return RowCost(length, max(last.bytes, float(np.polyval(fit, length))), seconds)


def row_cost(probe: Probe, window: TokenWindow) -> RowCost:
    """One row of a window; seconds are those of the fastest run, for other programs may slow the others."""
    batch = probe.explainer.batch([window])
    weights = {tensor.untyped_storage().data_ptr() for tensor in probe.explainer.model.parameters()}
    leaves: list[Tensor] = []
    kept: dict[int, int] = {}  # bytes by the address of a storage

    def leaf(tensor: Tensor) -> Tensor:
        leaves.append(tensor.detach().requires_grad_())
        return leaves[-1].clone()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    point = probe.explainer.adapter.points.embeddings
    edits: dict[HookPoint, Callable[[Any], Any]] = {point: leaf} if point is not None and batch.has_text else {}
    seconds = inf
    for _ in range(RUNS):
        leaves.clear()
        kept.clear()
        arguments = {} if batch.images is None else {"image": batch.images.pixels.detach().requires_grad_()}
        began = time.perf_counter()
        with torch.enable_grad(), edit(edits), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            output = probe.explainer.run(batch, arguments, batch.everyone)
            size = float(sum(kept.values()))
            if output.requires_grad:  # else the check of gradients says so
                torch.autograd.grad(output.float().sum(), [*leaves, *arguments.values()], allow_unused=True)
        if batch.movable.is_cuda:
            torch.cuda.synchronize(batch.movable.device)
        seconds = min(seconds, time.perf_counter() - began)
    length = leaves[0].shape[1] if leaves else 0
    return RowCost(length, size, seconds)


def _windows(probe: Probe, limit: int | None) -> Iterator[TokenWindow]:
    """The example, repeated to parts of the longest length that is run; itself where it cannot be longer."""
    if limit is None:
        yield probe.window
        return
    own, words = _length(probe.window), max(len(probe.example[name].split()) for name in probe.repeated_inputs)
    for part in PARTS:
        more = max(0, int((part * min(limit, LONGEST) - own) * words / own))
        while (window := _read(probe, more, limit)) is None:
            more = more * 4 // 5
        yield window


def _read(probe: Probe, more: int, limit: int) -> TokenWindow | None:
    """The example with so many more words; None where it is longer than the model."""
    try:
        window = probe.longer(more) if more else probe.window
    except InvalidInput:
        return None
    return window if not more or _length(window) <= limit else None


def _length(window: TokenWindow) -> int:
    """The tokens of a window; of two texts that are read apart, those of the longer one."""
    return max(getattr(window, "sides", (len(window),)))


def _products(probe: Probe, length: int) -> float:
    """Products of a forward pass over so many tokens, but for a factor."""
    explainer = probe.explainer
    table = {id(weight) for weight in explainer.model.get_input_embeddings().parameters()}
    each = sum(tensor.numel() for tensor in explainer.model.parameters() if id(tensor) not in table)
    return length * each + length**2 * 2 * explainer.width * len(explainer.points.layers)


def _memory(device: torch.device) -> int:
    """The bytes of memory that a device has; 0 where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if device.type == "cpu" else 0
    except (AttributeError, OSError, ValueError):
        return 0


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:,.0f} ms"
    return f"{seconds:,.1f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def _size(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
