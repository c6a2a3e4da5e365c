"""In which precision the passes of an explanation are made, and which explanations need a better one."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xai_nlp.core.adaptive_quadrature import MIN_DIFFERENCE, PATH_LEVELS
from xai_nlp.core.registry import Method
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.precision import check_precision, fast_precisions, products_in
from xai_nlp.methods.path import PathMethod

AUTO = "auto"  # the fastest precision that leaves the tolerance
LOWER = ("bf16", "tf32")


def precisions(choice: str | None, method: Method, model: nn.Module) -> list[str | None]:
    """The precisions to try, one after the other; the last one's scores stand. None is torch's setting.

    "auto" tries fast ones where the residual tells what they left: in a complete method that refines to a tolerance.
    Raises InvalidInput for a precision that the device or the weights do not have.
    """
    if choice is None:
        return [None]
    device = device_of(model)
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    if choice != AUTO:
        check_precision(choice, device)
        if dtype is not torch.float32:
            raise InvalidInput(
                f"precision={choice!r} goes with weights in float32; these are in {str(dtype).removeprefix('torch.')}. "
                "Leave precision out, or load the model with dtype='float32'."
            )
        return [choice]
    if dtype is not torch.float32:
        return [None]
    return [*fast_precisions(device)] if _tells_what_is_left(method) else ["float32"]


def _tells_what_is_left(method: Method) -> bool:
    refines = isinstance(method, PathMethod) and method.steps == "auto"
    return refines and method.complete and method.operates_on == "inputs" and getattr(method, "multiply", True)


def quick(method: Method) -> Method:
    """The method as a low precision tries it: noise of rounding is nothing that more steps could refine."""
    assert isinstance(method, PathMethod)
    return replace(method, max_steps=min(method.max_steps, PATH_LEVELS[-1]))


def is_within(method: Method, residual: np.ndarray, explained: np.ndarray) -> np.ndarray:
    """Which windows are within the tolerance of the method, in all targets: (B,) from (B, T) each."""
    assert isinstance(method, PathMethod)
    allowed = method.tolerance * np.maximum(abs(explained), MIN_DIFFERENCE)
    within: np.ndarray = (abs(residual) <= allowed).all(1)
    return within


def whole_calls_in(precision: str | None, device: torch.device) -> AbstractContextManager[None]:
    """While open, backward passes too are made in a precision that is a setting of the process."""
    return products_in(None if precision == "bf16" else precision, device)


def passes_in(precision: str | None, subject: Subject) -> Subject:
    """The same subject; what its passes record for the way back is in bf16 if that is the precision."""
    if precision != "bf16":
        return subject

    def forward(arguments: Mapping[str, Tensor], owner: Tensor) -> Any:
        with products_in(precision, subject.device):
            return subject.forward(arguments, owner)

    return replace(subject, forward=forward)
