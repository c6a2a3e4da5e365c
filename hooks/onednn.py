"""Large products with weights on the CPU go to oneDNN where it is faster than MKL. Torch has both, and takes MKL.

MKL uses only AVX2 on AMD processors with AVX-512 (Zen 4 and later). oneDNN uses AVX-512 and takes half the time: 200
against 95 GFLOP/s on one thread of an EPYC (`python -m tests.bench methods` prints both). Sums are rounded in another
order.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache, partial
from inspect import unwrap
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary, ref

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

from xai_nlp.hooks.scope import modules_of

MIN_MULTIPLICATIONS = 2**22  # of one product; a smaller one costs more to hand over than it saves
SHAPES = 64  # shapes of products for which oneDNN keeps code of their own
MOST_FUNCTIONS = 256  # that are known to meet no large weight
MIN_WEIGHT = 2**16  # entries of a model's largest weight; with smaller ones hardly any product is large
USES_BEFORE_COPY = 5  # of a weight in a call, from which on a column-major copy pays
MOST_COPIED = 2**24  # entries of all large weights of a model, if copies of them may be kept during a call: 64 MiB


@cache
def onednn_is_faster() -> bool:
    """Is oneDNN the faster library on this processor?

    The processor's name decides, not a measurement, so that a machine gives the same numbers every time.
    """
    processor: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(
        "AMD" in processor.get("cpu_name", "")
        and processor.get("avx512_f")
        and torch.backends.mkl.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


_state = threading.local()  # open: is `onednn_products` open in this thread?
_entries: WeakKeyDictionary[nn.Module, tuple[Any, float]] = WeakKeyDictionary()  # model -> its kind, its large entries
_narrow: dict[int, ref[Any]] = {}  # functions of which a pass met no large weight; a WeakSet's callbacks lose Ctrl-C


@contextmanager
def onednn_products(model: Any = None, modules: Sequence[nn.Module] | None = None) -> Iterator[_OneDnnMode | None]:
    """While open, oneDNN computes this thread's large products with weights on the CPU, where it is faster.

    Weights are constants to these products, also where a function hides a model whose weights are being trained.
    Nested in itself, the outermost decides.

    model: a module without large weights is left alone; None for any function.
    modules: those of the model, where they are at hand.
    """
    if getattr(_state, "open", False):
        yield None
        return
    _state.open = True
    try:
        entries = _large_entries(model, modules) if onednn_is_faster() else 0
        with _OneDnnMode(copies=entries <= MOST_COPIED) if entries else nullcontext() as mode:
            yield mode
    finally:
        _state.open = False


@contextmanager
def onednn_products_of(function: Callable[..., Any]) -> Iterator[None]:
    """`onednn_products` during one pass of a function that may hide a model.

    A function that has met no large weight is left alone from its second pass on: to look at each operation takes a
    narrow model a fourth of its time.
    """
    function = unwrap(function)
    known = isinstance(function, FunctionType | partial)  # other callables may be without a weak reference
    referred = _narrow.get(id(function))
    if known and referred is not None and referred() is function:
        yield
        return
    with onednn_products() as mode:
        yield
    if known and mode is not None and not mode.met_large_weight:
        if len(_narrow) >= MOST_FUNCTIONS:
            _narrow.clear()
        _narrow[id(function)] = ref(function)


def _large_entries(model: Any, modules: Sequence[nn.Module] | None) -> float:
    """The entries of a model's large weights for products; ∞ for what may hide a model.

    They are looked through once, and again when there are more or fewer modules, or weights of another type or place.
    """
    if not isinstance(model, nn.Module):
        return math.inf
    modules = modules or modules_of(model)
    first = next((p for module in modules for p in module._parameters.values() if p is not None), None)
    kind = (len(modules), first.dtype, first.device) if first is not None else None
    known_kind, entries = _entries.get(model, (None, 0))
    if kind is not None and known_kind != kind:
        entries = _count_large_entries(modules)
        _entries[model] = kind, entries
    return entries


def _count_large_entries(modules: Sequence[nn.Module]) -> int:
    """Tables of embeddings take part in no product, unless a head shares them."""
    large = {
        p
        for module in modules
        if type(module) is not nn.Embedding
        for p in module._parameters.values()
        if p is not None and p.numel() >= MIN_WEIGHT and p.ndim == 2
        if p.dtype is torch.float32 and p.device.type == "cpu"
    }
    return sum(p.numel() for p in large)


@dataclass
class _Use:
    """A weight, held so that no other tensor takes its place in memory."""

    weight: Tensor
    version: int
    count: int = 0
    copy: Tensor | None = None


class _ColumnMajor:
    """Copies of weights (out, in) in column-major order, by which oneDNN multiplies faster.

    To copy a weight takes as long as a few products save, so it is copied when it has been used a few times.
    """

    def __init__(self) -> None:
        self.uses: dict[Any, _Use] = {}

    def of(self, weight: Tensor) -> Tensor:
        """A weight that is column-major already, or is new; else its copy."""
        if weight.t().is_contiguous() or weight.is_inference():
            return weight
        place = weight.data_ptr(), weight.shape, weight.stride()
        use = self.uses.get(place)
        if use is None or use.version != weight._version:
            use = self.uses[place] = _Use(weight.detach(), weight._version)
        use.count += 1
        if use.count == USES_BEFORE_COPY:
            use.copy = use.weight.t().contiguous().t()
        return weight if use.copy is None else use.copy


class _OneDnnMode(TorchFunctionMode):
    """copies: keep column-major copies of weights while the mode is open."""

    met_large_weight = False

    def __init__(self, *, copies: bool) -> None:
        super().__init__()
        self.copies = _ColumnMajor() if copies else None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.linear and len(args) == 3 and not kwargs:
            x, weight, bias = args
        elif func is torch.addmm and len(args) == 3 and not kwargs:  # GPT-2's layers
            bias, x, weight = args
        else:
            return func(*args, **(kwargs or {}))
        copies = self.copies if type(weight) is nn.Parameter else None  # other tensors come and go
        if func is torch.addmm:
            weight = weight.t()
        self.met_large_weight |= weight.numel() >= MIN_WEIGHT
        return onednn_linear(x, weight, bias, copies) if _is_suitable(x, weight, bias) else func(*args)


def _is_suitable(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Can oneDNN compute this product, and is it large enough?"""
    return (
        x.ndim > 1
        and weight.ndim == 2
        and x.shape[-1] == weight.shape[1]
        and x.numel() * len(weight) >= MIN_MULTIPLICATIONS
        and all(t.dtype is torch.float32 and t.layout is torch.strided and t.device.type == "cpu" for t in (x, weight))
        and type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and (bias is None or (bias.shape == weight.shape[:1] and bias.dtype is x.dtype))
        and bool(torch.backends.mkldnn.enabled)
        and not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        and not (torch._C._functorch.is_functorch_wrapped_tensor(x) or forward_ad._current_level >= 0)
    )


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, copies: _ColumnMajor | None = None) -> Tensor:
    """x Wᵀ + b (…, out) by oneDNN, of x (…, in) and W (out, in) in float32; gradients of any order flow to x."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _OneDnnLinear.apply(x, weight, bias, copies)
    with torch.no_grad():
        return _run(x, copies.of(weight) if copies else weight, bias)


_shapes: set[tuple[int, int, int, bool]] = set()  # that were computed as they are


def _run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The product. oneDNN compiles code for every shape and keeps it (half a MiB), so that shapes must be few.

    When SHAPES of them have come as they are, the rows of a new one are filled up to one of a few counts. A row of a
    product does not depend on the others, to the last bit.
    """
    rows = x.numel() // x.shape[-1]
    shape = (rows, *weight.shape, weight.is_contiguous())
    if len(_shapes) < SHAPES:
        _shapes.add(shape)
    if shape in _shapes or rows == rounded(rows):
        return _product(x, weight, bias)
    filled = x.new_empty(rounded(rows), x.shape[-1])  # whatever the further rows are
    filled[:rows] = x.reshape(rows, -1)
    return _product(filled, weight, bias)[:rows].view(*x.shape[:-1], -1)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def rounded(rows: int) -> int:
    """The next of few counts of rows: at most a sixteenth more, or 31 rows.

    >>> [rounded(rows) for rows in (60, 64, 1000, 2000, 2050, 9000)]
    [64, 64, 1024, 2048, 2176, 9216]
    """
    step = max(32, 2 ** (rows.bit_length() - 5))
    return -(-rows // step) * step


class _OneDnnLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, copies: _ColumnMajor | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.copies = copies
        return _run(x, copies.of(weight) if copies else weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (weight,), gradient, copies = ctx.saved_tensors, gradients[0], ctx.copies
        back = weight.t()
        rows = None if torch.is_grad_enabled() and gradient.requires_grad else _few_rows(gradient)
        if rows is None:
            return onednn_linear(gradient, back, None, copies), None, None, None
        of_x = gradient.new_zeros(*gradient.shape[:-1], len(back))
        if len(rows):
            some = gradient.reshape(-1, len(weight))[rows]
            of_x.view(-1, len(back))[rows] = _run(some, copies.of(back) if copies else back, None)
        return of_x, None, None, None


def _few_rows(gradient: Tensor) -> Tensor | None:
    """The rows of a gradient (…, out) that are not all zero, where they are at most half of them; else None.

    The output often depends on one token of the last layer, such as [CLS]: then the gradient is zero at all others.
    """
    rows = gradient.reshape(-1, gradient.shape[-1])
    most = len(rows) // 2
    if int(rows[:, 0].count_nonzero()) > most:  # one column tells most of the time, and costs nothing
        return None
    nonzero = rows.abs().amax(1).nonzero()[:, 0]
    return nonzero if len(nonzero) <= most else None
