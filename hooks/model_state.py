"""Freeze a model while it is explained, and compare its state before and after."""

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from xai_nlp.hooks.held import held
from xai_nlp.hooks.interrupts import interrupts_held_back
from xai_nlp.hooks.onednn import onednn_products
from xai_nlp.hooks.scope import modules_of


def fingerprint(model: nn.Module) -> dict[str, tuple[Any, ...]]:
    """The state of a model that an explanation must not change: hooks, attributes, modes, weights, gradients, configs.

    Two fingerprints are equal if nothing has changed. Weights are compared by address and version, so that a write in
    place shows even if it writes the same numbers. Parts of a model may have configs of their own, which name the
    attention implementation of each.

    >>> model = nn.Linear(2, 2)
    >>> before = fingerprint(model)
    >>> model = model.eval()
    >>> fingerprint(model) == before
    False
    """
    configs = {id(m.config): vars(m.config) for m in model.modules() if hasattr(getattr(m, "config", None), "__dict__")}
    return {
        "": tuple(map(repr, configs.values())),
        **{
            name or ".": (
                {k: tuple(v) for k, v in vars(m).items() if k.endswith("_hooks") and v is not None},
                sorted(vars(m)),
                m.training,
                type(m).forward,
                [
                    (k, t.data_ptr(), t._version, t.dtype, t.requires_grad, t.grad is None)
                    for k, t in (*m.named_parameters(recurse=False), *m.named_buffers(recurse=False))
                ],
            )
            for name, m in model.named_modules()
        },
    }


@contextmanager
def _without_gradients(model: nn.Module) -> Iterator[list[nn.Module]]:
    modules = modules_of(model)
    owners: list[Any] = []
    names: list[str] = []  # offloaded weights are other parameters during a forward pass, and others again after it
    try:
        for module in modules:
            if parameters := module._parameters:
                for name, p in parameters.items():
                    if p is not None and p.requires_grad:
                        p.requires_grad = False
                        owners.append(parameters)
                        names.append(name)
        yield modules
    finally:
        for parameters, name in zip(owners, names, strict=True):
            parameters[name].requires_grad = True


@contextmanager
def _in_evaluation_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    training = [module for module in modules if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _run_eagerly() -> AbstractContextManager[None]:
    return torch.compiler.set_stance("force_eager")


@contextmanager
def as_written() -> Iterator[None]:
    """While open, gradients can be taken, and compiled functions run as they were written, with our hooks and rules."""
    recording = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
    may_compile = "torch._dynamo" in sys.modules  # nothing is compiled without it, and its import takes a second
    with recording, held("compiled functions", _run_eagerly) if may_compile else nullcontext():
        yield


class _Frozen(threading.local):
    """The models that are frozen in a thread, the innermost last."""

    def __init__(self) -> None:
        self.models: list[nn.Module] = []


_frozen = _Frozen()


def innermost_frozen_model() -> nn.Module | None:
    """The model that this thread explains, if that is known."""
    return _frozen.models[-1] if _frozen.models else None


@contextmanager
def frozen_model(model: nn.Module, *, evaluate: bool = False) -> Iterator[None]:
    """While open, no parameter of the model requires grad, so that no gradient is computed for it.

    Its large products with weights go to oneDNN where that is faster. Nested and concurrent contexts of one model are
    counted: the last one of its kind to close restores the original state. Ctrl-C takes effect between two passes.

    evaluate: also put all its modules into evaluation mode, without dropout.

    >>> model = nn.Linear(2, 2)
    >>> with frozen_model(model, evaluate=True):
    ...     model.weight.requires_grad, model.training
    (False, False)
    >>> model.weight.requires_grad, model.training
    (True, True)
    """
    with interrupts_held_back(), as_written(), held(("frozen", model), partial(_without_gradients, model)) as modules:
        evaluation = held(("evaluated", model), partial(_in_evaluation_mode, modules)) if evaluate else nullcontext()
        with evaluation, onednn_products(model, modules):
            _frozen.models.append(model)
            try:
                yield
            finally:
                _frozen.models.pop()
