"""Attention probabilities, read and replaced in a model as it was loaded.

Most families look their attention function up by name (`hooks.attention_interface`): while a point is open, the model's
config names a function that computes the probabilities. The others compute attention themselves, and a hook stands
where the probabilities leave softmax.
"""

from __future__ import annotations

import inspect
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.errors import Unsupported
from xai_nlp.hooks.attention_interface import Visitor, configs_of, substituted, visited_by
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
        configs, children = configs_of(model), _probability_children(model, families)
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
    def open(
        self,
        visit: Callable[[nn.Module, Tensor], Tensor | None],
        reset: Callable[[], None],
        module: nn.Module | None = None,
    ) -> Iterator[None]:
        """While open, `visit` gets the probabilities that a module computes, or every module, in this thread.

        reset: called when a forward pass of the model begins. A model that draws the order of its tokens leaves them in
        order, so that the matrices of two passes agree.
        """
        visitor = Visitor(visit, self.module_ids if module is None else frozenset({id(module)}), self.config_ids)

        def visit_child(module: nn.Module, _child: nn.Module, args: tuple[Any, ...]) -> Any:
            return (visitor(module, args[0]), *args[1:]) if threading.get_ident() == visitor.thread else None

        def begin(*_: Any) -> None:
            if threading.get_ident() == visitor.thread:
                reset()

        children = [(m, child) for m, child in self.probability_children.items() if id(m) in visitor.modules]
        with ExitStack() as stack:
            if self.random_order:
                stack.enter_context(deterministic_multinomial())
            for config in self.configs:
                stack.enter_context(substituted(config))
            stack.enter_context(
                attached(partial(c.register_forward_pre_hook, partial(visit_child, m)) for m, c in children)
            )
            stack.enter_context(attached(partial(root.register_forward_pre_hook, begin) for root in _roots(self.model)))
            stack.enter_context(visited_by(visitor))
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

        return self.reach.open(visit, counter.reset, self.module)

    @property
    def stack(self) -> str:
        """Which tokens look at which: "self"; in an encoder–decoder "encoder", "decoder" or "cross".

        Where the image has a side of its own: "vision" there, "image" where words look at it, "words" where it looks at
        words.
        """
        return self.reach.families.stack(self.path, self.reach.paired, self.call)


@contextmanager
def intercept(reach: AttentionReach, edit: AttentionEdit) -> Iterator[None]:
    """While open, `edit(number, probabilities)` gets each attention matrix; what it returns, if not None, goes on.

    Matrices are those of `AttentionPoint`. `number` counts them from 0 in each forward pass of the model: the layers of
    an encoder or a decoder; in an encoder–decoder the encoder's first, then self and cross attention in turn.

    Passes in other threads are left alone. A nested edit gets what the outer one returned. Raises Unsupported in a
    forward pass that computes no attention probabilities where they can be reached.
    """
    with _numbered(reach, lambda number, _module, probabilities: edit(number, probabilities)):
        yield


@contextmanager
def _numbered(reach: AttentionReach, edit: Callable[[int, nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    """`intercept`, with the module that computes each matrix."""
    thread, number = threading.get_ident(), -1

    def visit(module: nn.Module, probabilities: Tensor) -> Tensor | None:
        nonlocal number
        number += 1
        return edit(number, module, probabilities)

    def reset() -> None:
        nonlocal number
        number = -1

    def check(*_: Any) -> None:
        if threading.get_ident() == thread and number < 0:
            raise Unsupported(
                f"{type(reach.model).__name__} went through a forward pass without computing attention probabilities "
                "where they can be reached. Methods that do not ask for attention work on it."
            )

    checks = [partial(root.register_forward_hook, check) for root in _roots(reach.model)]
    with reach.open(visit, reset), attached(checks):
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


def _roots(model: nn.Module) -> set[nn.Module]:
    """The modules whose forward pass begins a pass of the model: some run a model without its head."""
    return {model, getattr(model, "base_model", model)}


def _probability_children(model: nn.Module, families: AttentionFamilies) -> dict[nn.Module, nn.Module]:
    """Each attention module of these families, with its child that takes the probabilities."""
    named = [(module, families.probability_child.get(type(module).__name__)) for module in model.modules()]
    return {module: module.get_submodule(name) for module, name in named if name and hasattr(module, name)}
