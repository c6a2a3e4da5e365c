"""Attention probabilities, read and replaced in a model as it was loaded.

Most families look their attention function up by name; while a point is open, they find one that goes by way of the
probabilities. The others compute attention by themselves, and a hook stands where the probabilities leave softmax.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention_function import by_probabilities
from xai_nlp.hooks.deterministic import deterministic_multinomial
from xai_nlp.hooks.scope import CallCounter, attached

AttentionEdit = Callable[[int, Tensor], Tensor | None]


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionFamilies:
    """How families of models name their attention modules. `xai_nlp.models.attention_families` holds the tables.

    probability_child: class of a module that computes attention itself -> its child that takes the probabilities.
    stack: path of a module, whether the model is an encoder–decoder, number of the call -> which tokens look at which.
    random_order: classes of modules that put tokens in an order which `torch.multinomial` draws, also in eval mode.
    """

    probability_child: Mapping[str, str] = field(default_factory=dict)
    stack: Callable[[str, bool, int], str] = lambda path, paired, call: "self"
    random_order: frozenset[str] = frozenset()


@dataclass(frozen=True, eq=False)
class AttentionReach:
    """How the attention probabilities of a model are reached, read off the model once.

    configs: name the attention function that modules look up.
    probability_children: the child that takes the probabilities, in families that compute attention themselves.
    """

    model: nn.Module
    families: AttentionFamilies
    configs: tuple[Any, ...]
    probability_children: Mapping[nn.Module, nn.Module]
    config_ids: frozenset[int]
    module_ids: frozenset[int]

    @classmethod
    def of(cls, model: nn.Module, families: AttentionFamilies) -> AttentionReach:
        """Raises Unsupported for a model whose attention cannot be reached."""
        configs, children = _configs(model), _probability_children(model, families)
        if not configs and not children:
            known = ", ".join(sorted(families.probability_child))
            raise Unsupported(
                f"the attention of {type(model).__name__} cannot be reached: it neither looks its attention function "
                "up with transformers' AttentionInterface, nor is it one of the families whose dropout after softmax "
                f"is known ({known}). Methods that do not ask for attention work on it."
            )
        config_ids = frozenset(id(getattr(module, "config", None)) for module in model.modules()) - {id(None)}
        return cls(model, families, configs, children, config_ids, frozenset(map(id, model.modules())))

    @property
    def paired(self) -> bool:
        """Is the model an encoder–decoder?"""
        return bool(getattr(getattr(self.model, "config", None), "is_encoder_decoder", False))

    @cached_property
    def random_order(self) -> bool:
        """Does the model draw the order of its tokens at every forward pass?"""
        return any(type(module).__name__ in self.families.random_order for module in self.model.modules())

    @contextmanager
    def open(self, visitor: _Visitor, modules: Iterable[nn.Module]) -> Iterator[None]:
        """While open, `visitor` gets the probabilities that these modules compute.

        A model that draws the order of its tokens leaves them in order, so that two passes give matrices that agree.
        """

        def hook(module: nn.Module, _child: nn.Module, args: tuple[Any, ...]) -> Any:
            if threading.get_ident() != visitor.thread:
                return None
            return (visitor(module, args[0]), *args[1:])

        children = [(m, self.probability_children[m]) for m in modules if m in self.probability_children]
        with ExitStack() as stack:
            if self.random_order:
                stack.enter_context(deterministic_multinomial())
            for config in self.configs:
                stack.enter_context(_lent(config))
            stack.enter_context(attached(partial(c.register_forward_pre_hook, partial(hook, m)) for m, c in children))
            stack.enter_context(attached(visitor.reset_hooks()))
            _here.visitors.append(visitor)
            stack.callback(_here.visitors.remove, visitor)
            yield


@dataclass(frozen=True)
class AttentionPoint:
    """One attention matrix of a forward pass: the probabilities (B, H, Q, K) that a module computes at its n-th call.

    They stand after softmax and before dropout, masked keys at 0; H counts query heads, also where several share their
    keys. They carry gradients, and so may what replaces them.
    """

    module: nn.Module
    call: int = 0  # how often the module had run before in this pass
    reach: AttentionReach = field(compare=False, repr=False, kw_only=True)
    path: str = field(default="", compare=False)
    heads: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"the attention of {self.path}" + (f", call {self.call}" if self.call else "")

    def open(self, edit: Callable[[Tensor], Tensor | None]) -> AbstractContextManager[None]:
        """While open, `edit` gets the probabilities; what it returns, if not None, goes on instead.

        Raises InvalidInput in the forward pass if another shape is returned.
        """
        counter = CallCounter(self.call)

        def visit(module: nn.Module, probabilities: Tensor) -> Tensor | None:
            return edit(probabilities) if module is self.module and counter.matches() else None

        visitor = _Visitor(self.reach, visit, counter.reset, frozenset({id(self.module)}))
        return self.reach.open(visitor, [self.module])

    @property
    def stack(self) -> str:
        """Which tokens look at which: "self"; in an encoder–decoder "encoder", "decoder" or "cross".

        Where the image has a side of its own: "vision" there, "image" where words look at it, "words" where it looks at
        words.
        """
        return self.reach.families.stack(self.path, self.reach.paired, self.call)


@contextmanager
def intercept(reach: AttentionReach, edit: AttentionEdit) -> Iterator[None]:
    """Hand each attention matrix to `edit(number, probabilities)` as the model runs; what it returns, if any, is used.

    Matrices are those of `AttentionPoint`. `number` counts them from 0 in each forward pass of `model`: the layers of
    an encoder or a decoder; in an encoder–decoder the encoder's first, then self and cross attention in turn.

    Only this thread's passes are edited; another thread that runs the model gets what it always got. Nested edits see
    what the outer ones returned. Raises Unsupported for a model whose attention cannot be reached, when opened or at
    its first forward pass.
    """
    with _numbered(reach, lambda number, _module, probabilities: edit(number, probabilities)):
        yield


@contextmanager
def _numbered(reach: AttentionReach, edit: Callable[[int, nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    """`intercept`, with the module that computes each matrix."""
    model, number = reach.model, -1

    def visit(module: nn.Module, probabilities: Tensor) -> Tensor | None:
        nonlocal number
        number += 1
        return edit(number, module, probabilities)

    def reset(*_: Any) -> None:
        nonlocal number
        if threading.get_ident() == visitor.thread:
            number = -1

    def check(*_: Any) -> None:
        if threading.get_ident() == visitor.thread and number < 0:
            raise Unsupported(
                f"{type(model).__name__} went through a forward pass without computing attention probabilities "
                "where they can be reached. Methods that do not ask for attention work on it."
            )

    visitor = _Visitor(reach, visit, reset, reach.module_ids)
    checks = [partial(root.register_forward_hook, check) for root in _roots(model)]
    with reach.open(visitor, reach.probability_children), attached(checks):
        yield


def attention_points(reach: AttentionReach, run: Callable[[], Any]) -> tuple[AttentionPoint, ...]:
    """The attention matrices that a model computes in `run`, in their order. Raises Unsupported if there are none."""
    paths = {module: path for path, module in reach.model.named_modules()}
    calls = Counter[nn.Module]()
    points: list[AttentionPoint] = []

    def note(number: int, module: nn.Module, probabilities: Tensor) -> None:
        heads = probabilities.shape[1]
        points.append(AttentionPoint(module, calls[module], reach=reach, path=paths[module], heads=heads))
        calls[module] += 1

    with _numbered(reach, note), torch.no_grad():
        run()
    return tuple(points)


def attention_modules(reach: AttentionReach) -> dict[str, AttentionPoint]:
    """The modules of a model that compute attention, by path, in the order of the model's modules; no pass is run."""
    return {
        path: AttentionPoint(module, reach=reach, path=path)
        for path, module in reach.model.named_modules()
        if module in reach.probability_children or _looks_up_attention(module)
    }


def _looks_up_attention(module: nn.Module) -> bool:
    """Does the module's own forward look its attention function up?"""
    code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
    return code is not None and "ALL_ATTENTION_FUNCTIONS" in code.co_names


# The visitors of this thread ------------------------------------------------------------------------------------------


def _roots(model: nn.Module) -> set[nn.Module]:
    """The modules whose forward pass begins a pass of the model: some run a model without its head."""
    return {model, getattr(model, "base_model", model)}


@dataclass(eq=False)
class _Visitor:
    """An edit of the probabilities that some modules compute. Belongs to the thread that made it."""

    reach: AttentionReach
    visit: Callable[[nn.Module, Tensor], Tensor | None]
    reset: Callable[..., None]  # called before each forward pass of the model
    modules: frozenset[int]
    thread: int = field(default_factory=threading.get_ident)

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

    def reset_hooks(self) -> list[Callable[[], Any]]:
        return [partial(root.register_forward_pre_hook, self.reset) for root in _roots(self.reach.model)]


class _Here(threading.local):
    def __init__(self) -> None:
        self.visitors: list[_Visitor] = []


_here = _Here()


# Families that compute attention by themselves ----------------------------------------------------------------------


def _probability_children(model: nn.Module, families: AttentionFamilies) -> dict[nn.Module, nn.Module]:
    """Each attention module of these families, with its child that takes the probabilities."""
    named = [(module, families.probability_child.get(type(module).__name__)) for module in model.modules()]
    return {module: module.get_submodule(name) for module, name in named if name and hasattr(module, name)}


# Families that look their attention function up by name --------------------------------------------------------------


def _lookup(module: nn.Module) -> dict[str, Any] | None:
    """The names of the file the module's class was written in, if it looks attention functions up."""
    for cls in type(module).__mro__:
        if cls.__module__ == "transformers.modeling_utils":  # where the table lives; every model descends from it
            return None
        names = vars(sys.modules[cls.__module__]) if cls.__module__ in sys.modules else {}
        if "ALL_ATTENTION_FUNCTIONS" in names:
            return names
    return None


def _configs(model: nn.Module) -> tuple[Any, ...]:
    """The configs that tell these modules which attention to use, and their models which masks to make; each once."""
    from transformers import PreTrainedConfig, PreTrainedModel

    looking = {module for module in model.modules() if _lookup(module) is not None}
    found = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        above = isinstance(module, PreTrainedModel) and any(inner in looking for inner in module.modules())
        if isinstance(config, PreTrainedConfig) and (above or module in looking):
            found[id(config)] = config
    return tuple(found.values())


class _Loan:
    """How often a config is on loan, and the implementation it named before the first."""

    def __init__(self, config: Any) -> None:
        self.config, self.holders = config, 0
        self.original: str | None = config._attn_implementation


_loans: dict[int, _Loan] = {}
_names: dict[str | None, str] = {}  # a model's own implementation -> the name of ours, which stands in for it
_lock = threading.RLock()


@contextmanager
def _lent(config: Any) -> Iterator[None]:
    """While open, the config names our implementation. Loans are counted; the last to end restores what was found.

    The attribute is set as `set_attn_implementation` sets it, but config by config, so that each comes back as it was:
    a model may run its parts in different implementations, and that method knows only one for all.
    """
    with _lock:
        loan = _loans.get(id(config))
        if loan is None:
            loan = _Loan(config)
            name = _registered(loan.original)
            _loans[id(config)] = loan
            config._attn_implementation_internal = name
        loan.holders += 1
    try:
        yield
    finally:
        with _lock:
            loan.holders -= 1
            if not loan.holders:
                del _loans[id(config)]
                config._attn_implementation_internal = loan.original


def _registered(original: str | None) -> str:
    """The name of our implementation that stands in for `original`.

    It stays registered: a thread that has read the name from a config may look it up after the loan has ended.
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

    ours = any(id(config) in visitor.reach.config_ids for visitor in _here.visitors)
    name = "eager" if ours or original is None else original
    return MASKS[name](*args, config=config, **kwargs) if name in MASKS else None


def _attention(original: str | None, module: nn.Module, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
    """The attention function that stands in for `original`: the same to all but the threads that look in."""
    visitors = [visitor for visitor in _here.visitors if id(module) in visitor.modules]
    if visitors:
        return by_probabilities(visitors, original, module, *args, **kwargs)
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    names = {"ALL_ATTENTION_FUNCTIONS": ALL_ATTENTION_FUNCTIONS} | (_lookup(module) or {})  # a family may have its own
    own = names["ALL_ATTENTION_FUNCTIONS"].get_interface(original or "eager", names.get("eager_attention_forward"))
    return (own or partial(by_probabilities, (), original))(module, *args, **kwargs)
