"""Change how gradients flow while a model runs: a table from operation to rule, and nothing attached to the model.

Every torch operation that a forward pass calls is looked up by name, whether it is called by a module, a function or
an operator: `nn.ReLU()(x)`, `F.relu(x)`, `x.relu_()` are all "relu". A rule gives out what the operation gives out,
by a graph of its own, so that the gradient flows as the rule wants.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from types import FunctionType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from xai_nlp.hooks.scope import attached

PYTHON = {"torch.nn.functional", "torch.functional", "torch._tensor"}  # where functions are made of operations
SAME = {"multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "absolute": "abs", "concat": "cat"}


@dataclass(frozen=True, eq=False)
class Call:
    """An operation as it is called: by whom, with what, and the way to run it."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: nn.Module | None = None  # the innermost that is running
    in_place: bool = False
    mode: TorchFunctionMode | None = None

    @property
    def x(self) -> Tensor:
        """What an operation of one tensor is applied to."""
        return self.args[0] if self.args else self.kwargs["input"]

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The operation itself, of these first arguments in place of its own; never writes on them."""
        given = (*args, *self.args[len(args) :])
        if self.in_place:
            given = (given[0].clone(), *given[1:])
        return self.function(*given, **{**self.kwargs, **kwargs})

    def made_of(self, parts: Callable[..., Any]) -> Any:
        """The operation done as other operations, each by its own rule."""
        assert self.mode is not None
        with self.mode:
            return parts(*self.args, **self.kwargs)


Rule: TypeAlias = Callable[[Call], Any]
Rules: TypeAlias = Mapping[str, Rule]


class _Instead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: list[Tensor], graph: Tensor, factor: Tensor | None) -> Tensor:
        ctx.factor = factor
        return value[0]  # in a list, it is no input: what is given out is no view, and may be written on

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (gradient,) = gradients
        if ctx.factor is not None and ctx.factor.shape == gradient.shape:
            gradient = gradient * ctx.factor
        elif ctx.factor is not None:
            gradient = (gradient.unflatten(0, (2, -1)) * ctx.factor).flatten(0, 1)
        return None, gradient, None


def with_gradient_of(value: Tensor, graph: Tensor, factor: Tensor | None = None) -> Tensor:
    """The value of one tensor with the gradient of another.

    With a factor the gradient is multiplied by it; one for half the rows is used for both halves.
    """
    alone = value.detach()
    return _Instead.apply([alone.clone() if value.requires_grad else alone], graph, factor)


def moves(value: Any) -> bool:
    """Does this depend on what is explained? Parameters do not, whether or not they are being trained."""
    if isinstance(value, Tensor):
        return value.requires_grad and not isinstance(value, nn.Parameter)
    return isinstance(value, (tuple, list)) and any(map(moves, value))


@contextmanager
def gradient_rules(
    rules: Rules,
    *,
    whole: Callable[[nn.Module], Rule | None] = lambda module: None,
    unknown: Callable[[Call, Any], None] = lambda call, output: None,
) -> Iterator[None]:
    """While open, operations on what requires grad go by their rules, in this thread only.

    whole: the rule of a module that counts as one operation, whatever it is made of; None looks inside.
    unknown: told of each operation that is not in the table, and of what it gives out, if that requires grad.
    """
    mode = _Rewiring(rules, whole, unknown)
    registrations = (
        partial(register_module_forward_pre_hook, mode.enter),
        partial(register_module_forward_hook, mode.leave),
    )
    with attached(registrations), mode:
        yield


class _Rewiring(TorchFunctionMode):
    def __init__(
        self, rules: Rules, whole: Callable[[nn.Module], Rule | None], unknown: Callable[[Call, Any], None]
    ) -> None:
        super().__init__()
        self.rules, self.whole, self.unknown = rules, whole, unknown
        self.thread = threading.get_ident()
        self.running: list[nn.Module] = []
        self.inside = 0  # how many modules that count as one operation are running
        self.opened: list[Any] = []  # functions that are being looked into

    def enter(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() == self.thread:
            self.running.append(module)
            self.inside += self.whole(module) is not None

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if threading.get_ident() != self.thread:
            return None
        while self.running.pop() is not module:  # a module that was left by an error
            pass
        rule = self.whole(module)
        if rule is None:
            return None
        self.inside -= 1
        if self.inside or not moves(args) or not torch.is_grad_enabled():
            return None
        return rule(Call(type(module).__name__, lambda *_, **__: output, args, {}, module))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.inside or not torch.is_grad_enabled() or not moves((*args, *kwargs.values())):
            return func(*args, **kwargs)
        name, always, place = _read(func)
        in_place = always or bool(kwargs.get("inplace") or (place is not None and len(args) > place and args[place]))
        call = Call(name, func, args, kwargs, self.running[-1] if self.running else None, in_place, self)
        rule = self.rules.get(name)
        if rule is None:
            if isinstance(func, FunctionType) and func.__module__ in PYTHON and func not in self.opened:
                self.opened.append(func)
                try:
                    with self:
                        return _opened(func)(*args, **kwargs)
                finally:
                    self.opened.pop()
            output = func(*args, **kwargs)
            if moves(output):
                self.unknown(call, output)
            return output
        output = rule(call)
        return args[0].copy_(output) if in_place else output


@cache
def _opened(function: FunctionType) -> FunctionType:
    """A Python function of torch that does not ask again whether it is overridden, so that its parts are asked."""
    asked = {name: lambda *_, **__: False for name in function.__globals__ if name.startswith("has_torch_function")}
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **asked},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


@cache
def _read(func: Any) -> tuple[str, bool, int | None]:
    """An operation's name, whether it writes on its first argument, and the place of the argument that says so."""
    tokenize_answer = getattr(func, "__name__", "")
    name = tokenize_answer.strip("_")
    writes = tokenize_answer.endswith("_") and not tokenize_answer.endswith("__")
    named = list(inspect.signature(func, follow_wrapped=False).parameters) if isinstance(func, FunctionType) else []
    return SAME.get(name, name), writes, named.index("inplace") if "inplace" in named else None
