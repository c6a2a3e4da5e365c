"""Fewer digits for a model's products: passes take less time where the processor has units for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from xai_nlp.errors import InvalidInput, UnknownName

#: precision -> digits of the factors of a product, in bits; sums are kept in float32.
PRECISIONS = {"bf16": 8, "tf32": 11, "float32": 24}


@contextmanager
def products_in(precision: str | None, device: torch.device) -> Iterator[None]:
    """While open, models whose weights are in float32 compute their products in this precision; None changes nothing.

    "float32" and "tf32" are settings of the process, put back at the end; "bf16" is of this thread.
    Raises UnknownName for another precision, InvalidInput for one that the device does not have.

    >>> x, layer = torch.ones(1, 2), torch.nn.Linear(2, 2)
    >>> with products_in("bf16", x.device):
    ...     layer(x).dtype
    torch.bfloat16
    """
    if precision is None:
        yield
        return
    check_precision(precision, device)
    if precision == "bf16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
        return
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def check_precision(precision: str, device: torch.device) -> None:
    """Raises UnknownName for a precision that does not exist, InvalidInput for one that the device does not have."""
    if precision not in PRECISIONS:
        raise UnknownName("precision", precision, PRECISIONS)
    if precision == "tf32" and precision not in fast_precisions(device):
        raise InvalidInput(f"tf32 products are those of NVIDIA GPUs since 2020; this model is on {device}.")


def fast_precisions(device: torch.device) -> list[str]:
    """The precisions that make passes faster on this device, the fastest first; "float32" is the last.

    On a CPU that is bf16 with AMX. With AVX-512 alone (an EPYC) passes in bf16 take as long as those in float32.

    >>> fast_precisions(torch.device("cpu"))[-1]
    'float32'
    """
    if device.type == "cuda":
        newer = torch.cuda.get_device_capability(device) >= (8, 0)
        return ["bf16", "tf32", "float32"] if newer else ["float32"]
    processor: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)() if device.type == "cpu" else {}
    return ["bf16", "float32"] if processor.get("amx_bf16") else ["float32"]
