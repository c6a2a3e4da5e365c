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
from xai_nlp.hooks.attention_interface import Visitor, configs_of, substituted, visitors
from xai_nlp.hooks.deterministic import deterministic_multinomial
from xai_nlp.hooks.scope import CallCounter, attached

AttentionEdit = Callable[[int, nn.Module, Tensor], Tensor | None]


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
    random_order: the model draws the order of its tokens at every forward pass.
    """

    model: nn.Module
    families: AttentionFamilies
    configs: tuple[Any, ...]
    probability_children: Mapping[nn.Module, nn.Module]
    random_order: bool

    @classmethod
    def of(cls, model: nn.Module, families: AttentionFamilies) -> AttentionReach:
        """Raises Unsupported for a model whose attention cannot be reached."""
        configs = configs_of(model)
        named = [(module, families.probability_child.get(type(module).__name__)) for module in model.modules()]
        children = {module: module.get_submodule(name) for module, name in named if name and hasattr(module, name)}
        if not configs and not children:
            known = ", ".join(sorted(families.probability_child))
            raise Unsupported(
                f"the attention of {type(model).__name__} cannot be reached: it neither looks its attention function "
                "up with transformers' AttentionInterface, nor is it one of the families whose dropout after softmax "
                f"is known ({known}). Methods that do not ask for attention work on it."
            )
        random_order = any(type(module).__name__ in families.random_order for module in model.modules())
        return cls(model, families, configs, children, random_order)

    @cached_property
    def modules(self) -> frozenset[nn.Module]:
        """All modules of the model."""
        return frozenset(self.model.modules())

    @property
    def roots(self) -> set[nn.Module]:
        """The modules whose forward pass begins a pass of the model: some run a model without its head."""
        return {self.model, getattr(self.model, "base_model", self.model)}

    @contextmanager
    def open(
        self,
        visit: Callable[[nn.Module, Tensor], Tensor | None],
        counter: CallCounter,
        module: nn.Module | None = None,
    ) -> Iterator[None]:
        """While open, `visit` gets the probabilities that a module computes, or every module, in this thread.

        counter: counts from 0 in each forward pass of the model. A model that draws the order of its tokens leaves them
        in order, so that the matrices of two passes agree.
        """
        visitor = Visitor(visit, self.modules if module is None else frozenset({module}), self.configs)

        def visit_child(module: nn.Module, _child: nn.Module, args: tuple[Any, ...]) -> Any:
            return (visitor(module, args[0]), *args[1:]) if visitor in visitors.open else None

        children = [(m, child) for m, child in self.probability_children.items() if m in visitor.modules]
        visits = [partial(child.register_forward_pre_hook, partial(visit_child, m)) for m, child in children]
        beginnings = [partial(root.register_forward_pre_hook, counter.reset) for root in self.roots]
        with ExitStack() as stack:
            if self.random_order:
                stack.enter_context(deterministic_multinomial())
            for config in self.configs:
                stack.enter_context(substituted(config))
            stack.enter_context(attached([*visits, *beginnings]))
            visitors.open.append(visitor)
            stack.callback(visitors.open.remove, visitor)
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

        return self.reach.open(visit, counter, self.module)

    @property
    def stack(self) -> str:
        """Which tokens look at which: "self"; in an encoder–decoder "encoder", "decoder" or "cross".

        Where the image has a side of its own: "vision" there, "image" where words look at it, "words" where it looks at
        words.
        """
        config = getattr(self.reach.model, "config", None)
        return self.reach.families.stack(self.path, getattr(config, "is_encoder_decoder", False), self.call)


@contextmanager
def intercept(reach: AttentionReach, edit: AttentionEdit) -> Iterator[None]:
    """While open, `edit(number, module, probabilities)` gets each matrix; what it returns, if not None, goes on.

    Matrices are those of `AttentionPoint`. `number` counts them from 0 in each forward pass of the model: the layers of
    an encoder or a decoder; in an encoder–decoder the encoder's first, then self and cross attention in turn.

    Passes in other threads are left alone. A nested edit gets what the outer one returned. Raises Unsupported in a
    forward pass that computes no attention probabilities where they can be reached.
    """
    counter = CallCounter()

    def visit(module: nn.Module, probabilities: Tensor) -> Tensor | None:
        counter.calls += 1
        return edit(counter.calls - 1, module, probabilities)

    def check(*_: Any) -> None:
        if threading.get_ident() == counter.thread and not counter.calls:
            raise Unsupported(
                f"{type(reach.model).__name__} went through a forward pass without computing attention probabilities "
                "where they can be reached. Methods that do not ask for attention work on it."
            )

    with reach.open(visit, counter), attached(partial(root.register_forward_hook, check) for root in reach.roots):
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

    with intercept(reach, note), torch.no_grad():
        run()
    return tuple(points)


def attention_modules(reach: AttentionReach) -> dict[str, AttentionPoint]:
    """The modules of a model that compute attention, by path, in the order of the model's modules; no pass is run."""
    points = {}
    for path, module in reach.model.named_modules():
        code = getattr(inspect.unwrap(type(module).forward), "__code__", None)
        looks_up = code is not None and "ALL_ATTENTION_FUNCTIONS" in code.co_names
        if module in reach.probability_children or looks_up:
            points[path] = AttentionPoint(module, reach=reach, path=path)
    return points
