"""Large products with weights by the faster of the two libraries that torch carries.

On AMD processors with AVX-512 (Zen 4 and later) MKL, which torch asks, keeps to AVX2; oneDNN does not, and takes half
the time: 200 against 95 GFLOP/s on one thread of an EPYC (`python -m tests.bench methods` prints both). Sums are
rounded in another order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode

WORTH = 2**22  # multiplications of one product below which handing it over costs more than it saves
WIDE = 2**16  # entries of a weight below which a model's products are hardly that large


@cache
def faster() -> bool:
    """Is oneDNN the faster library here?

    By the processor's name, not by a stopwatch: the same machine shall give the same numbers every time.
    """
    about: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(
        "AMD" in about.get("cpu_name", "")
        and about.get("avx512_f")
        and torch.backends.mkl.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


_here = threading.local()


@contextmanager
def onednn_products(model: Any = None) -> Iterator[None]:
    """While open, this thread's large products with weights on the CPU are oneDNN's, where that is faster.

    Weights are constants to them, also where a function hides a model whose weights are being trained. Does nothing
    for a module without wide weights, and nothing inside itself: the outermost decides.
    """
    if getattr(_here, "decided", False):
        yield
        return
    wide = not isinstance(model, nn.Module) or any(
        p.ndim == 2 and p.numel() >= WIDE and p.device.type == "cpu" and p.dtype is torch.float32
        for p in model.parameters()
    )
    _here.decided = True
    try:
        with _Handing() if wide and faster() else nullcontext():
            yield
    finally:
        _here.decided = False


class _Handing(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.linear and len(args) == 3 and not kwargs:
            x, weight, bias = args
        elif func is torch.addmm and len(args) == 3 and not kwargs:  # GPT-2's layers
            bias, x, weight = args
            weight = weight.t()
        else:
            return func(*args, **(kwargs or {}))
        return onednn_linear(x, weight, bias) if _suited(x, weight, bias) else func(*args)


def _suited(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Is this a product that oneDNN can be handed, and large enough?"""
    return (
        x.ndim > 1
        and weight.ndim == 2
        and x.shape[-1] == weight.shape[1]
        and x.numel() * len(weight) >= WORTH
        and all(t.dtype is torch.float32 and t.layout is torch.strided and t.device.type == "cpu" for t in (x, weight))
        and type(x) is Tensor
        and type(weight) in (Tensor, nn.Parameter)
        and (bias is None or (bias.shape == weight.shape[:1] and bias.dtype is x.dtype))
        and bool(torch.backends.mkldnn.enabled)
        and not (torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"))
        and not (torch._C._functorch.is_functorch_wrapped_tensor(x) or forward_ad._current_level >= 0)
    )


def onednn_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b (…, out), by oneDNN, of x (…, in) and W (out, in); gradients flow to x, as often as they are asked."""
    if torch.is_grad_enabled() and x.requires_grad:
        return _Product.apply(x, weight, bias)
    with torch.no_grad():
        return _run(x, weight, bias)


def _run(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _run(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return onednn_linear(gradients[0], weight.t()), None, None
