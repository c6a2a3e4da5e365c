"""Layer-wise relevance propagation: how each operation passes relevance from its output to its inputs.

The gradient that flows back is relevance divided by value, r/z. The ordinary gradient of a linear operation then shares
relevance in proportion to contributions, and nothing is divided by a value near zero; rules change the other
operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from xai_nlp.core.problem import Problem
from xai_nlp.errors import Unsupported
from xai_nlp.hooks.gradient_rules import Call, Rule, Rules, depends_on_input, with_gradient_of
from xai_nlp.hooks.scope import tensors_of
from xai_nlp.methods.propagation import operations

BiasHandling: TypeAlias = Literal["share", "absorb"]
AttentionPath: TypeAlias = Literal["both", "values"]

_INPUT_WEIGHT_BIAS = ("input", "weight", "bias")
#: Affine operations, with the names of their arguments by position.
AFFINE = {
    "linear": _INPUT_WEIGHT_BIAS,
    **{f"conv{kind}{n}d": _INPUT_WEIGHT_BIAS for n in (1, 2, 3) for kind in ("", "_transpose")},
    "addmm": ("bias", "input", "weight"),
    "baddbmm": ("bias", "input", "weight"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias"),
}


class NoRule(Unsupported, TypeError):
    """An operation or a module that relevance cannot be propagated through."""


# Rules of operations. -------------------------------------------------------------------------------------------------


def _nonzero(z: Tensor) -> Tensor:
    """z, with zeros replaced by the smallest number that can be divided by."""
    return torch.where(z == 0, torch.finfo(z.dtype).tiny ** 0.5, z)


def identity_rule(call: Call) -> Tensor:
    """Each entry passes on all its relevance: r/x = r/y · y/x."""
    x = call.x
    with torch.no_grad():
        y = call.run()
        ratio = torch.where((x == 0) & (y == 0), 0, _nonzero(y) / _nonzero(x))
    return with_gradient_of(y, x, ratio)


def constant_rule(call: Call) -> Tensor:
    """The operation counts as a constant: no relevance flows through it."""
    return call.run().detach()


def product_rule(call: Call) -> Tensor:
    """Each of two factors that depend on the input gets half the relevance.

    Source: Achtibat et al. 2024, prop. 3.3 (arXiv:2402.05602).
    """
    y = call.run()
    factors = (item for arg in call.args for item in (arg if isinstance(arg, tuple) else (arg,)))
    return with_gradient_of(y, y / 2) if sum(map(depends_on_input, factors)) > 1 else y


def quotient_rule(call: Call) -> Tensor:
    """A denominator is a scale: the numerator gets all the relevance."""
    x, other = call.args[:2]
    return call.run(x, other.detach() if isinstance(other, Tensor) else other)


def softmax_rule(call: Call, *, biases: BiasHandling, attends: AttentionPath) -> Tensor:
    """Softmax, or its logarithm, by its slope: the first-order model at x shares relevance among the logits.

    The constant of that model is absorbed, or shared by the sizes of the logits times their weights. Attention weights
    are constants if relevance flows through values alone.
    Source: Achtibat et al. 2024, prop. 3.1 (arXiv:2402.05602); values alone: Ali et al. 2022, sec. 4.
    """
    if attends == "values" and "attention" in type(call.module).__name__.lower():
        return constant_rule(call)
    y = call.run()
    if biases == "absorb":
        return y
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    weights = y.detach().exp() if call.name == "log_softmax" else y.detach()
    products = call.x.masked_fill(weights == 0, 0) * weights  # a masked logit may be infinite
    constant_products = products.detach()
    mean = constant_products.sum(dim, keepdim=True)
    slope = call.x.detach() - mean if call.name == "log_softmax" else constant_products - weights * mean
    sizes = (products * constant_products.sign()).sum(dim, keepdim=True)
    return with_gradient_of(y, y + _by_size(sizes, (y.detach() - slope).nan_to_num(0)))


def sum_rule(call: Call) -> Tensor:
    """A summand that does not depend on the input is a bias, shared in each row by the sizes of the entries."""
    summands = [item for item in call.args[:2] if depends_on_input(item)]
    y = call.run()
    if len(summands) != 1 or summands[0].shape != y.shape:
        return y
    x = summands[0] if summands[0] is call.args[0] or call.name == "add" else -summands[0]
    bias = (y - x).detach()
    bias = torch.where(bias > torch.finfo(y.dtype).min / 2, bias, 0)  # a mask is no bias
    return with_gradient_of(y, x + _by_size((x * x.detach().sign()).sum(-1, keepdim=True), bias))


def _by_size(sizes: Tensor, bias: Tensor) -> Tensor:
    """The value of a bias, with the gradient of the sizes. An infinite bias is a mask, which is shared by nobody."""
    total = sizes.detach()
    return sizes * torch.where((total == 0) | bias.isinf(), 0, bias / total)


# Rules of a layer, by Captum's names. ---------------------------------------------------------------------------------

AffinePart: TypeAlias = tuple[Tensor, Tensor, Tensor | None]  # input, weight and bias


@dataclass(frozen=True)
class PropagationRule:
    """A layer with weights shares relevance in proportion to the contributions of its inputs to z'.

    Each rule says how z' differs from the output z: other weights, another bias, some of the inputs only.
    Source: Montavon et al. 2019, sec. 10.2 (doi:10.1007/978-3-030-28954-6_10).
    """

    epsilon = 1e-9  # z' is moved away from zero by so much

    def parts(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[AffinePart]:
        """Inputs, weights and biases whose outputs add up to z'."""
        return [(x, weight, bias)]

    def __call__(self, call: Call) -> Any:
        affine = _AffineCall.of(call)
        z = call.run()
        if not isinstance(z, Tensor):
            return z
        changed = z
        if affine is not None:
            outputs = [affine.run(*part) for part in self.parts(*affine.operands)]
            changed = sum(outputs[1:], outputs[0])
        constant = changed.detach()
        stable = constant + torch.where(constant < 0, -self.epsilon, self.epsilon)
        return with_gradient_of(z, changed * (z.detach() / stable))


@dataclass(frozen=True)
class EpsilonRule(PropagationRule):
    """Shares by contribution, and absorbs contributions smaller than ε. Bach et al. 2015, eq. 58."""

    epsilon: float = 1e-9


@dataclass(frozen=True)
class GammaRule(PropagationRule):
    """Favours positive weights by a factor 1 + γ. Montavon et al. 2019, sec. 10.2.1."""

    gamma: float = 0.25
    set_bias_to_zero: bool = False

    def parts(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[AffinePart]:
        favoured = weight + self.gamma * weight.clamp(min=0)
        return [(x, favoured, _zero(bias) if self.set_bias_to_zero else bias)]


@dataclass(frozen=True)
class Alpha1_Beta0_Rule(PropagationRule):  # Captum's name
    """Positive weights only. Bach et al. 2015, eq. 60 with α = 1, for inputs that are not negative."""

    set_bias_to_zero: bool = False

    def parts(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[AffinePart]:
        return [(x, weight.clamp(min=0), _zero(bias) if self.set_bias_to_zero else bias)]


@dataclass(frozen=True)
class ZPlusRule(PropagationRule):
    """Positive contributions only, whatever the signs of inputs. Montavon et al. 2017, sec. 5.2 (arXiv:1512.02479)."""

    def parts(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> list[AffinePart]:
        return [(x.clamp(min=0), weight.clamp(min=0), _zero(bias)), (x.clamp(max=0), weight.clamp(max=0), _zero(bias))]


@dataclass(frozen=True)
class IdentityRule(EpsilonRule):
    """Each entry passes on all its relevance, in layers that keep the shape, whatever operations they consist of."""


@dataclass(frozen=True)
class SharedBias(PropagationRule):
    """Shares by contribution, and shares the bias by the sizes of contributions, so that nothing is lost.

    Relevance is then conserved exactly: Σᵢ xᵢwᵢ/z·r + Σᵢ |xᵢwᵢ|/Σ|xw|·b/z·r = r. Where all contributions are zero the
    relevance of the bias is lost. After the uniform sharing of Bach et al. 2015, eq. 58, in which zeros have a share.
    """

    def __call__(self, call: Call) -> Any:
        affine = _AffineCall.of(call)
        z = call.run()
        if affine is None:
            return z
        x, weight, bias = affine.operands
        sizes = affine.run(x * x.detach().sign(), weight.abs(), _zero(bias), centre=False)
        with torch.no_grad():
            constant = affine.run(torch.zeros_like(x), weight, bias)
        if call.name == "batch_norm":  # weighs each entry alone, so the bias is shared among the channels of a place
            sizes = sizes.sum(1, keepdim=True)
        return with_gradient_of(z, z + _by_size(sizes, constant))


def _zero(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else torch.zeros_like(bias)


@dataclass(frozen=True, eq=False)
class _AffineCall:
    """A call of an affine operation, with its arguments by name."""

    call: Call
    arguments: dict[str, Any]

    @classmethod
    def of(cls, call: Call) -> _AffineCall | None:
        """None if the operation has no weights, or if weights or bias depend on the input as well."""
        names = AFFINE.get(call.name, ())
        arguments = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
        weight, bias = (arguments.get(name) for name in ("weight", "bias"))
        return None if weight is None or not names or depends_on_input([weight, bias]) else cls(call, arguments)

    @property
    def operands(self) -> AffinePart:
        return self.arguments["input"], self.arguments["weight"], self.arguments.get("bias")

    def run(self, x: Tensor, weight: Any, bias: Any, *, centre: bool = True) -> Tensor:
        """Runs the operation with another input, weight and bias; without `centre`, batch norm subtracts no mean."""
        changed = {**self.arguments, "input": x, "weight": weight, "bias": bias}
        if not centre and isinstance(changed.get("running_mean"), Tensor):
            changed["running_mean"] = torch.zeros_like(changed["running_mean"])
        args = [changed.get(name, arg) for name, arg in zip(AFFINE[self.call.name], self.call.args, strict=False)]
        kwargs = {name: changed[name] for name in self.call.kwargs}
        return self.call.function(*args, *self.call.args[len(args) :], **kwargs)


# The table. -----------------------------------------------------------------------------------------------------------


def lrp_rules(biases: BiasHandling, attends: AttentionPath, of_module: Mapping[nn.Module, PropagationRule]) -> Rules:
    """The table from operation to rule; operations of the modules in `of_module` go by the module's rule."""
    shares = biases == "share"
    affine: Rule = SharedBias() if shares else Call.run
    table: dict[str, Rule] = {
        **dict.fromkeys(operations.SUMS | operations.REARRANGEMENTS, Call.run),
        **dict.fromkeys(operations.ACTIVATIONS | {"pow", "square"}, identity_rule),
        **dict.fromkeys(operations.SCALES, constant_rule),
        **dict.fromkeys(operations.PRODUCTS, product_rule),
        **dict.fromkeys(AFFINE, affine),
        **operations.formula_rules(affine, constant_weights=attends == "values"),
        "div": quotient_rule,
        **dict.fromkeys(("add", "sub"), sum_rule if shares else Call.run),
        **dict.fromkeys(("softmax", "log_softmax"), partial(softmax_rule, biases=biases, attends=attends)),
    }
    own = {module: rule for module, rule in of_module.items() if not isinstance(rule, IdentityRule)}

    def by_layer(usual: Rule, call: Call) -> Any:
        return own.get(call.module, usual)(call)  # type: ignore[arg-type]

    if own:
        table |= {name: partial(by_layer, table[name]) for name in operations.SUMS | set(AFFINE)}
    return table


def refuse_relevance(call: Call, output: Any) -> None:
    """Raises NoRule if relevance comes to this operation; one that no relevance comes to may run (a loss)."""
    where = "" if call.module is None else f" in {type(call.module).__name__}"

    def refuse(relevance: Tensor) -> None:
        raise NoRule(
            f"no rule to propagate relevance through the operation {call.name!r}{where}. Give a layer that keeps its "
            "shape an IdentityRule (`module.rule = IdentityRule()`, with LRP of xai_nlp.attr), or use another method."
        )

    for tensor in tensors_of(output):
        if tensor.requires_grad:
            tensor.register_hook(refuse)


def lrp_problem(
    problem: Problem,
    biases: BiasHandling,
    attends: AttentionPath = "both",
    of_module: Mapping[nn.Module, PropagationRule] | None = None,
) -> Problem:
    """The same problem, whose gradient is relevance divided by value.

    of_module: the rules of layers that have their own.
    """
    own = of_module or {}

    def module_rule(module: nn.Module) -> Rule | None:
        is_one = operations.is_activation_formula(module) or isinstance(own.get(module), IdentityRule)
        return identity_rule if is_one else None

    rules = lrp_rules(biases, attends, own)
    return operations.with_gradient_rules(problem, rules, module_rule=module_rule, on_unknown=refuse_relevance)
