"""Our attention implementation stands in for the one that a model's config names, and lets visitors edit probabilities.

transformers looks the implementation up by name at each call (AttentionInterface), and the mask that it needs.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.attention_function import by_probabilities
from xai_nlp.hooks.held import held


@dataclass(eq=False)
class Visitor:
    """A function that reads or replaces the probabilities of some modules. It belongs to the thread that opened it."""

    visit: Callable[[nn.Module, Tensor], Tensor | None]
    modules: frozenset[nn.Module]  # whose probabilities it gets
    configs: tuple[Any, ...]  # of their model

    def __call__(self, module: nn.Module, probabilities: Tensor) -> Tensor:
        new = self.visit(module, probabilities)
        if new is None:
            return probabilities
        if new.shape != probabilities.shape:
            raise InvalidInput(
                f"an attention matrix has shape {tuple(probabilities.shape)}, the one to replace it "
                f"{tuple(new.shape)}; they must agree."
            )
        return new


class _ThreadVisitors(threading.local):
    """The visitors that get the probabilities which our implementation computes in this thread, the innermost last."""

    def __init__(self) -> None:
        self.open: list[Visitor] = []


visitors = _ThreadVisitors()


def _lookup(module: nn.Module) -> dict[str, Any] | None:
    """The names of the file the module's class was written in, if it looks attention functions up."""
    for cls in type(module).__mro__:
        if cls.__module__ == "transformers.modeling_utils":  # where the table lives; every model descends from it
            return None
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        if "ALL_ATTENTION_FUNCTIONS" in names:
            return names
    return None


def configs_of(model: nn.Module) -> tuple[Any, ...]:
    """The configs that tell these modules which attention to use, and their models which masks to make; each once."""
    from transformers import PreTrainedConfig, PreTrainedModel

    looking = {module for module in model.modules() if _lookup(module) is not None}
    configs = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        above = isinstance(module, PreTrainedModel) and any(inner in looking for inner in module.modules())
        if isinstance(config, PreTrainedConfig) and (above or module in looking):
            configs[id(config)] = config
    return tuple(configs.values())


_names: dict[str | None, str] = {}  # a model's own implementation -> the name of ours, which stands in for it


@contextmanager
def _substituted(config: Any) -> Iterator[None]:
    original = config._attn_implementation
    config._attn_implementation_internal = _registered(original)
    try:
        yield
    finally:
        config._attn_implementation_internal = original


def substituted(config: Any) -> AbstractContextManager[None]:
    """While open, the config names our implementation. Contexts are counted; the last to close restores the original.

    The attribute is set as `set_attn_implementation` sets it, but config by config, so that each comes back as it was:
    a model may run its parts in different implementations, and that method knows only one for all.
    """
    return held(("attention", id(config)), partial(_substituted, config))


def _registered(original: str | None) -> str:
    """The name of our implementation that stands in for `original`.

    It stays registered: a thread that has read the name from a config may look it up after the last context has closed.
    The name says nothing about the original, for transformers searches names for "flash", "flex" and "sdpa".
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    if original not in _names:
        name = f"xai_nlp_{len(_names)}"
        AttentionMaskInterface.register(name, partial(_mask, original))
        AttentionInterface.register(name, partial(_attention, original))
        _names[original] = name
    return _names[original]


def _mask(original: str | None, *args: Any, config: Any = None, **kwargs: Any) -> Any:
    """The mask that this thread's attention function needs: ours adds it to the scores, and never infers causality."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS as MASKS

    ours = any(config is own for visitor in visitors.open for own in visitor.configs)
    name = "eager" if ours or original is None else original
    return MASKS[name](*args, config=config, **kwargs) if name in MASKS else None


def _attention(original: str | None, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """The attention function that stands in for `original`: the same, except in threads with visitors."""
    own_visitors = [visitor for visitor in visitors.open if module in visitor.modules]
    if own_visitors:
        return by_probabilities(own_visitors, original, module, *args, **kwargs)
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    names = {"ALL_ATTENTION_FUNCTIONS": ALL_ATTENTION_FUNCTIONS} | (_lookup(module) or {})  # a family may have its own
    own = names["ALL_ATTENTION_FUNCTIONS"].get_interface(original or "eager", names.get("eager_attention_forward"))
    return (own or partial(by_probabilities, (), original))(module, *args, **kwargs)
