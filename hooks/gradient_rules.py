"""Change how gradients flow while a model runs: a table from operation to rule, and nothing attached to the model.

Each torch operation of a forward pass is looked up by its name, whether a module, a function or an operator calls it:
`nn.ReLU()(x)`, `F.relu(x)` and `x.relu_()` are all "relu". A rule returns the value of the operation with a graph of
its own, which decides how the gradient flows.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from types import FunctionType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode

from xai_nlp.hooks.graph_rules import replace_saved
from xai_nlp.hooks.scope import attached
from xai_nlp.hooks.stand_ins import standing_in

PYTHON_MODULES = {"torch.nn.functional", "torch.functional", "torch._tensor"}  # whose functions consist of operations
SYNONYMS = {
    "multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "absolute": "abs", "concat": "cat",
}  # fmt: skip


@dataclass(eq=False, slots=True)
class Call:
    """One call of an operation, and the ways to run it."""

    name: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    mode: TorchFunctionMode
    module: nn.Module | None = None  # the innermost module that is running
    in_place: bool = False
    unchanged: bool = False  # the rule found nothing to change: such operations need not be looked up again

    @property
    def x(self) -> Tensor:
        """The argument of an operation of one tensor."""
        return self.args[0] if self.args else self.kwargs["input"]

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the operation with these first arguments in place of its own; it never writes on them."""
        args = (*args, *self.args[len(args) :])
        if self.in_place:
            args = (args[0].clone(), *args[1:])
        return self.function(*args, **{**self.kwargs, **kwargs})

    def run_as(self, formula: Callable[..., Any]) -> Any:
        """Runs a formula in place of the operation, with the same arguments; its operations go by their own rules."""
        with self.mode:
            return formula(*self.args, **self.kwargs)


Rule: TypeAlias = Callable[[Call], Any]
Rules: TypeAlias = Mapping[str, Rule]
Factor: TypeAlias = Tensor | Callable[[Tensor], Tensor] | None  # of a gradient


class _WithGradientOf(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: list[Tensor], graph: Tensor, factor: Factor) -> Tensor:
        ctx.factor = factor
        return value[0]  # a list is no input of the function, so the output is no view and may be written on

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (gradient,), factor = gradients, ctx.factor
        if isinstance(factor, Tensor):
            of_all_rows = factor.shape == gradient.shape
            gradient = gradient * (factor if of_all_rows else torch.cat((factor, factor)))
        elif factor is not None:
            gradient = factor(gradient)
        return None, gradient, None


def with_gradient_of(value: Tensor, graph: Tensor, factor: Factor = None) -> Tensor:
    """The value of one tensor with the gradient of another one of the same shape (R, …).

    factor: the gradient is multiplied by it, or is what it returns of the gradient; a factor for half the rows (R/2, …)
        is used for both halves.

    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> y = with_gradient_of(torch.tensor([5.0]), x * 3)
    >>> y.item(), torch.autograd.grad(y, x)
    (5.0, (tensor([3.]),))
    """
    detached = value.detach()
    return _WithGradientOf.apply([detached.clone() if value.requires_grad else detached], graph, factor)


def with_factor(value: Tensor, x: Tensor, factor: Callable[[], Tensor]) -> Tensor:
    """The value of an operation, with the gradient that flows to x multiplied by a factor of its shape (R, …).

    factor: asked for when the gradient comes.

    >>> x = torch.tensor([2.0], requires_grad=True)
    >>> y = with_factor(torch.tensor([5.0]), x, lambda: torch.tensor([3.0]))
    >>> y.item(), torch.autograd.grad(y, x)
    (5.0, (tensor([3.]),))
    """
    value = value.detach()
    product = x * value  # its node is quicker than a function of ours would be
    product.data = value
    replace_saved(product.grad_fn, "other", factor)
    return product


class _OneNode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, call: Call, *inputs: Tensor) -> Any:
        with torch.enable_grad():
            ctx.inputs = [x.detach().requires_grad_() for x in inputs]
            own = {id(x): leaf for x, leaf in zip(inputs, ctx.inputs, strict=True)}
            output = call.run(*_with(own, call.args))
        ctx.outputs = [t for t in (output if isinstance(output, tuple) else (output,)) if t.requires_grad]
        return tuple(t.detach() for t in output) if isinstance(output, tuple) else output.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        grad = torch.autograd.grad(ctx.outputs, ctx.inputs, gradients, retain_graph=True, allow_unused=True)
        return None, *grad


def _with(own: Mapping[int, Tensor], value: Any) -> Any:
    """An argument with other tensors for some of its own."""
    if isinstance(value, (tuple, list)):
        return type(value)(_with(own, item) for item in value)
    return own.get(id(value), value)


def _inputs(value: Any) -> list[Tensor]:
    """The tensors in an argument that gradients are taken through."""
    if isinstance(value, (tuple, list)):
        return [tensor for item in value for tensor in _inputs(item)]
    return [value] if depends_on_input(value) else []


def slope_rule(call: Call) -> Any:
    """The operation as a single node of the graph, by its own gradient: rules do not see what it consists of."""
    return _OneNode.apply(call, *_inputs(call.args))


def depends_on_input(value: Any) -> bool:
    """Is this a tensor, or does it hold one, that gradients are taken through? Parameters do not count."""
    if isinstance(value, Tensor):
        return value.requires_grad and not (value.is_leaf and isinstance(value, nn.Parameter))
    return isinstance(value, (tuple, list)) and any(map(depends_on_input, value))


ModuleRule: TypeAlias = Callable[[nn.Module], Rule | None]


def _no_rule(module: nn.Module) -> Rule | None:
    return None


@contextmanager
def gradient_rules(
    rules: Rules,
    *,
    module_rule: ModuleRule = _no_rule,
    on_unknown: Callable[[Call, Any], None] | None = None,
    on_change: Callable[[nn.Module | None], None] | None = None,
) -> Iterator[None]:
    """While open, operations on tensors that require grad go by their rules, in this thread only.

    rules: name of an operation -> its rule; an operation without a rule runs as usual.
    module_rule: module -> its rule if the whole module counts as one operation, or None to go by its operations.
    on_unknown: called with each operation that has no rule, and with its output, if that requires grad.
    on_change: called with the module whose operation went by a rule, or that went by one itself; with None outside of
        modules.

    >>> x = torch.tensor([-1.0], requires_grad=True)
    >>> with gradient_rules({"relu": lambda call: with_gradient_of(call.run(), call.x)}):    # straight through
    ...     y = torch.relu(x)
    >>> y.item(), torch.autograd.grad(y, x)
    (0.0, (tensor([1.]),))
    """
    mode = _GradientRuleMode(rules, module_rule, on_unknown, on_change)
    registrations = (
        partial(register_module_forward_pre_hook, mode.enter_module),
        partial(register_module_forward_hook, mode.leave_module),
    )
    with attached(registrations), mode:
        yield


def gradient_rules_within(
    modules: Iterable[nn.Module], rules: Rules, *, module_rule: ModuleRule = _no_rule
) -> AbstractContextManager[None]:
    """`gradient_rules` of the operations of some modules alone, and of those that they run.

    A module that counts as one operation runs without a graph, and by its rule. Nothing looks at other operations.
    """
    mode = _GradientRuleMode(rules, module_rule)
    return standing_in({module: partial(mode.run_module, module, module_rule(module)) for module in modules})


class _GradientRuleMode(TorchFunctionMode):
    def __init__(
        self,
        rules: Rules,
        module_rule: ModuleRule,
        on_unknown: Callable[[Call, Any], None] | None = None,
        on_change: Callable[[nn.Module | None], None] | None = None,
    ) -> None:
        super().__init__()
        self.rules, self.module_rule, self.on_unknown, self.on_change = rules, module_rule, on_unknown, on_change
        self.thread = threading.get_ident()
        self.running: list[nn.Module] = []
        self.whole_modules = 0  # modules with a rule of their own that are running
        self.expanded: list[Any] = []  # Python functions whose operations are being looked up

    def run_module(
        self, module: nn.Module, rule: Rule | None, forward: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """A module alone whose operations are looked up, or that counts as one operation."""
        if rule is None or self.whole_modules or not depends_on_input(args) or not torch.is_grad_enabled():
            self.running.append(module)
            try:
                with self:
                    return forward(*args, **kwargs)
            finally:
                self.running.pop()
        self.whole_modules += 1
        try:
            return rule(Call(type(module).__name__, forward, args, kwargs, self, module))
        finally:
            self.whole_modules -= 1

    def enter_module(self, module: nn.Module, args: Any) -> None:
        if threading.get_ident() == self.thread:
            self.running.append(module)
            self.whole_modules += self.module_rule(module) is not None

    def leave_module(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        if threading.get_ident() != self.thread:
            return None
        while self.running.pop() is not module:  # a module that ended with an error
            pass
        rule = self.module_rule(module)
        if rule is None:
            return None
        self.whole_modules -= 1
        if self.whole_modules or not depends_on_input(args) or not torch.is_grad_enabled():
            return None
        return self.changed(rule, Call(type(module).__name__, lambda *_, **__: output, args, {}, self, module))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name, is_in_place, position = _operation(func)
        rule = self.rules.get(name)
        if (
            rule is Call.run  # as usual
            or (rule is None and self.on_unknown is None and not isinstance(func, FunctionType))
            or self.whole_modules
            or not torch.is_grad_enabled()
            or not (depends_on_input(args) or depends_on_input(tuple(kwargs.values())))
        ):
            return func(*args, **kwargs)
        inplace = kwargs.get("inplace") or (position is not None and len(args) > position and args[position])
        module = self.running[-1] if self.running else None
        call = Call(name, func, args, kwargs, self, module, is_in_place or bool(inplace))
        if rule is not None:
            output = self.changed(rule, call)
            return args[0].copy_(output) if call.in_place else output
        if isinstance(func, FunctionType) and func.__module__ in PYTHON_MODULES and func not in self.expanded:
            self.expanded.append(func)
            try:
                with self:
                    return _without_override_check(func)(*args, **kwargs)
            finally:
                self.expanded.pop()
        output = func(*args, **kwargs)
        if self.on_unknown is not None and depends_on_input(output):
            self.on_unknown(call, output)
        return output

    def changed(self, rule: Rule, call: Call) -> Any:
        """The output of a call by its rule."""
        output = rule(call)
        if self.on_change is not None and not call.unchanged:
            self.on_change(call.module)
        return output


@cache
def _without_override_check(function: FunctionType) -> FunctionType:
    """A Python function of torch that does not look for an override of itself, so that its operations are looked up."""
    checks = {name: lambda *_, **__: False for name in function.__globals__ if name.startswith("has_torch_function")}
    code, scope = function.__code__, {**function.__globals__, **checks}
    copy = FunctionType(code, scope, function.__name__, function.__defaults__, function.__closure__)
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


@cache
def _operation(func: Any) -> tuple[str, bool, int | None]:
    """An operation's name, whether it always writes on its first argument, and the position of its `inplace`."""
    full_name = getattr(func, "__name__", "")
    name, is_in_place = full_name.strip("_"), full_name.endswith("_") and not full_name.endswith("__")
    names = list(inspect.signature(func, follow_wrapped=False).parameters) if isinstance(func, FunctionType) else []
    return SYNONYMS.get(name, name), is_in_place, names.index("inplace") if "inplace" in names else None
