"""Attention probabilities, read and replaced, in a model as it was loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.errors import Unsupported
from xai_nlp.hooks.scope import attached

Visit = Callable[[int, Tensor], "Tensor | None"]

NAME = "xai_nlp"  # our attention function's, in transformers' registry
REFUSED = ("softcap", "s_aux", "position_bias", "head_mask")  # arguments that change the probabilities, not honoured


@dataclass
class _Watch:
    """One open `intercepted`: whose modules, what to do, and how many attentions this forward pass has seen."""

    modules: set[int]
    visit: Visit
    seen: int = 0

    def shown(self, probabilities: Tensor) -> Tensor:
        layer, self.seen = self.seen, self.seen + 1
        new = self.visit(layer, probabilities)
        return probabilities if new is None else new


_here = threading.local()  # .watches: those of this thread; another thread's never see each other


def _watches(module: nn.Module) -> list[_Watch]:
    return [watch for watch in getattr(_here, "watches", []) if id(module) in watch.modules]


@contextmanager
def intercepted(model: Any, visit: Visit, attentions: Sequence[nn.Module] = ()) -> Iterator[None]:
    """While open, attention probabilities go through `visit(layer, probabilities)`; what it returns replaces them.

    probabilities: (B, heads, queries, keys), after softmax and mask, differentiable. None leaves them as they are.
    layer: the how-manieth attention of the forward pass, from 0 (where layers share a module too).
    attentions: the modules with a `dropout` after the softmax, for families that have no exchangeable attention.

    Families that follow transformers' attention interface run with a function of ours, whatever they were loaded
    with, and get their own back. Raises Unsupported for a model with neither. Nested use applies the outer visit first.
    """
    watch = _Watch({id(module) for module in model.modules()}, visit)
    roots = {id(m): m for m in (model, getattr(model, "base_model", model))}.values()
    with ExitStack() as stack:
        if model._can_set_attn_implementation():
            stack.enter_context(_exchanged(model))
            stack.enter_context(_watching(watch))
            stack.enter_context(attached([partial(_at_each_start, root, watch) for root in roots]))
        elif attentions and all(isinstance(getattr(m, "dropout", None), nn.Module) for m in attentions):
            stack.enter_context(attached([partial(_after_softmax, m, k, visit) for k, m in enumerate(attentions)]))
        else:
            raise Unsupported(
                f"the attention of {type(model).__name__} can be neither exchanged (it does not follow transformers' "
                "attention interface) nor read after its softmax (no `dropout` there is known). "
                "Methods that need no attention probabilities work."
            )
        yield


@contextmanager
def _watching(watch: _Watch) -> Iterator[None]:
    _here.watches = [*getattr(_here, "watches", []), watch]
    try:
        yield
    finally:
        _here.watches = [other for other in _here.watches if other is not watch]


def _at_each_start(root: nn.Module, watch: _Watch) -> Any:
    thread = threading.get_ident()

    def restart(*_: Any) -> None:
        if threading.get_ident() == thread:
            watch.seen = 0

    return root.register_forward_pre_hook(restart)


def _after_softmax(module: Any, layer: int, visit: Visit) -> Any:
    thread = threading.get_ident()

    def hook(_: nn.Module, __: Any, probabilities: Tensor) -> Tensor | None:
        return visit(layer, probabilities) if threading.get_ident() == thread else None

    return module.dropout.register_forward_hook(hook)


# The exchange: counted, since several threads or nested calls may ask for the same model's. ------------------------

_lock = threading.RLock()
_lent: dict[int, tuple[int, list[tuple[Any, Any]]]] = {}  # id(model) -> holders, (config, implementation)


@contextmanager
def _exchanged(model: Any) -> Iterator[None]:
    """The model attends through `_attend`; its configs get back what they had when the last holder leaves."""
    _register()
    with _lock:
        holders, found = _lent.get(id(model), (0, []))
        if not holders:
            configs = {id(m.config): m.config for m in model.modules() if hasattr(m, "config")}
            found = [(config, config._attn_implementation_internal) for config in configs.values()]
            try:
                model.set_attn_implementation(NAME)
            except BaseException:
                _give_back(found)
                raise
        _lent[id(model)] = holders + 1, found
    try:
        yield
    finally:
        with _lock:
            holders, found = _lent.pop(id(model))
            if holders > 1:
                _lent[id(model)] = holders - 1, found
            else:
                _give_back(found)


def _give_back(found: Sequence[tuple[Any, Any]]) -> None:
    for config, implementation in found:
        config._attn_implementation_internal = implementation


def _register() -> None:
    """Our function, and the mask it needs: without a mask function of that name masks arrive as None."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, eager_mask)


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Attention as written out in its papers: q, k, v (B, heads, L, d) -> (B, L, heads, d) and the probabilities.

    Keys and values that several query heads share are repeated; a mask holds sliding windows and causality already.
    """
    for name in REFUSED:
        if kwargs.get(name) is not None:
            raise Unsupported(
                f"{type(module).__name__} attends with {name!r}, which is not honoured when it is intercepted."
            )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = query @ key.transpose(2, 3) * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    if attention_mask is not None:
        scores = scores + attention_mask[..., : key.shape[2]]
    elif getattr(module, "is_causal", False) and query.shape[2] > 1:
        future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(future, torch.finfo(scores.dtype).min)
    wide = torch.promote_types(scores.dtype, torch.float32)
    probabilities = scores.softmax(-1, dtype=wide).to(query.dtype)
    probabilities = nn.functional.dropout(probabilities, p=dropout, training=module.training)
    for watch in _watches(module):
        probabilities = watch.shown(probabilities)
    return (probabilities @ value).transpose(1, 2).contiguous(), probabilities
