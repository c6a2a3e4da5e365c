"""Layer-wise relevance propagation: how each operation hands on what it is given.

What flows back is relevance divided by the value it belongs to, r/z. For a linear operation the ordinary gradient is
then the rule that shares relevance in proportion to contributions, and nothing is divided by a value near zero; rules
say what else is to happen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from xai_nlp.errors import Unsupported
from xai_nlp.hooks.gradient_rules import Call, Rule, Rules, moves, with_gradient_of
from xai_nlp.hooks.scope import tensors_of
from xai_nlp.methods.propagation.operations import (
    ACTIVATIONS,
    PLACINGS,
    PRODUCTS,
    SCALES,
    SUMS,
    as_product,
    attention,
    group_norm,
    layer_norm,
    rms_norm,
    written_out,
)

Biases: TypeAlias = Literal["share", "absorb"]
Attention: TypeAlias = Literal["both", "values"]

#: The positions of what is weighed, the weights and the bias, for operations that have them.
_WEIGHED = ("input", "weight", "bias")
AFFINE = {
    "linear": _WEIGHED,
    **{f"conv{kind}{n}d": _WEIGHED for n in (1, 2, 3) for kind in ("", "_transpose")},
    "addmm": ("bias", "input", "weight"),
    "baddbmm": ("bias", "input", "weight"),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias"),
}


class NoRule(Unsupported, TypeError):
    """An operation or a module that relevance cannot be propagated through."""


# Relevance is handed on as r/z: helpers that keep the values and change the gradients. ------------------------------


def nonzero(z: Tensor) -> Tensor:
    """Zeros made as small as can be divided by."""
    return torch.where(z == 0, torch.finfo(z.dtype).tiny ** 0.5, z)


def identity(call: Call) -> Tensor:
    """Everything that comes back goes on, entry by entry: r/x = r/y · y/x."""
    x = call.x
    with torch.no_grad():
        y = call.run()
        ratio = torch.where((x == 0) & (y == 0), 0, nonzero(y) / nonzero(x))
    return with_gradient_of(y, x, ratio)


def held(call: Call) -> Tensor:
    """A constant as far as relevance goes."""
    return call.run().detach()


def halved(call: Call) -> Tensor:
    """Of two factors that both depend on the input each gets half.

    Source: Achtibat et al. 2024, prop. 3.3 (arXiv:2402.05602).
    """
    y = call.run()
    return with_gradient_of(y, y / 2) if sum(map(moves, _operands(call))) > 1 else y


def _operands(call: Call) -> tuple[Any, ...]:
    return tuple(item for arg in call.args for item in (arg if isinstance(arg, tuple) else (arg,)))


def stabilised(z: Tensor, epsilon: float) -> Tensor:
    """z, moved away from zero by ε."""
    return z + torch.where(z < 0, -epsilon, epsilon)


def softmax(call: Call, *, biases: Biases, attends: Attention) -> Tensor:
    """Softmax, or its logarithm, by its slope: what a first-order model of it at x gives to each logit.

    The rest is that model's constant. It is absorbed, or shared by the sizes of what the logits weigh. Attention that
    hands everything to its values is a constant.
    Source: Achtibat et al. 2024, prop. 3.1 (arXiv:2402.05602); values alone: Ali et al. 2022, sec. 4.
    """
    if attends == "values" and "attention" in type(call.module).__name__.lower():
        return held(call)
    y = call.run()
    if biases == "absorb":
        return y
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    weights = y.detach().exp() if call.name == "log_softmax" else y.detach()
    weighed = call.x.masked_fill(weights == 0, 0) * weights  # what is masked may be infinite
    each = weighed.detach()
    mean = each.sum(dim, keepdim=True)
    slope = call.x.detach() - mean if call.name == "log_softmax" else each - weights * mean
    return with_gradient_of(
        y, y + by_size((weighed * each.sign()).sum(dim, keepdim=True), (y.detach() - slope).nan_to_num(0))
    )


def quotient(call: Call) -> Tensor:
    """A denominator is a scale: the numerator gets everything."""
    x, other = call.args[:2]
    return call.run(x, other.detach() if isinstance(other, Tensor) else other)


# Rules of a layer, by Captum's names. ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class PropagationRule:
    """How a layer with weights shares relevance: in proportion to what its inputs would contribute to z'.

    Each rule says how z' differs from the output z: other weights, another bias, some of the inputs only.
    Source: Montavon et al. 2019, sec. 10.2 (doi:10.1007/978-3-030-28954-6_10).
    """

    @property
    def stability(self) -> float:
        return 1e-9

    def parts(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> list[tuple[Tensor, Any, Any]]:
        """Inputs, weights and bias whose outputs add up to z'."""
        return [(x, weight, bias)]

    def __call__(self, call: Call) -> Any:
        weighed = _Weighed.of(call)
        z = call.run()
        if not isinstance(z, Tensor):
            return z
        if weighed is None:
            changed = z
        else:
            changed = sum(weighed.run(*part) for part in self.parts(weighed.x, weighed.weight, weighed.bias))  # type: ignore[assignment]
        factor = z.detach() / stabilised(changed.detach(), self.stability)
        return with_gradient_of(z, changed * factor)


@dataclass(frozen=True)
class EpsilonRule(PropagationRule):
    """Shares by contribution, and absorbs what is smaller than ε. Bach et al. 2015, eq. 58."""

    epsilon: float = 1e-9

    @property
    def stability(self) -> float:
        return self.epsilon


@dataclass(frozen=True)
class GammaRule(PropagationRule):
    """Favours positive weights by a factor 1 + γ. Montavon et al. 2019, sec. 10.2.1."""

    gamma: float = 0.25
    set_bias_to_zero: bool = False

    def parts(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> list[tuple[Tensor, Any, Any]]:
        heavier = None if weight is None else weight + self.gamma * weight.clamp(min=0)
        return [(x, heavier, _none(bias) if self.set_bias_to_zero else bias)]


@dataclass(frozen=True)
class Alpha1_Beta0_Rule(PropagationRule):  # Captum's name
    """Positive weights only. Bach et al. 2015, eq. 60 with α = 1, for inputs that are not negative."""

    set_bias_to_zero: bool = False

    def parts(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> list[tuple[Tensor, Any, Any]]:
        positive = None if weight is None else weight.clamp(min=0)
        return [(x, positive, _none(bias) if self.set_bias_to_zero else bias)]


@dataclass(frozen=True)
class ZPlusRule(PropagationRule):
    """Positive contributions only, whatever the signs of inputs. Montavon et al. 2017, sec. 5.2 (arXiv:1512.02479)."""

    def parts(self, x: Tensor, weight: Tensor | None, bias: Tensor | None) -> list[tuple[Tensor, Any, Any]]:
        if weight is None:
            return [(x, weight, bias)]
        return [(x.clamp(min=0), weight.clamp(min=0), _none(bias)), (x.clamp(max=0), weight.clamp(max=0), _none(bias))]


@dataclass(frozen=True)
class IdentityRule(EpsilonRule):
    """Hands everything on as it comes, entry by entry: for layers that keep the shape, whatever they are made of."""


@dataclass(frozen=True)
class SharedBias(PropagationRule):
    """Shares by contribution; what the bias adds is shared by the sizes of contributions, so that nothing is lost.

    With it relevance is conserved exactly: Σᵢ xᵢwᵢ/z·r + Σᵢ |xᵢwᵢ|/Σ|xw|·b/z·r = r. Where all contributions are zero
    there is nobody to give it to. After the uniform sharing of Bach et al. 2015, eq. 58, without what that gives to
    entries that are zero.
    """

    def __call__(self, call: Call) -> Any:
        weighed = _Weighed.of(call)
        z = call.run()
        if weighed is None or weighed.weight is None:
            return z
        with torch.no_grad():
            bias = weighed.run(torch.zeros_like(weighed.x), weighed.weight, weighed.bias)
        sizes = weighed.run(
            weighed.x * weighed.x.detach().sign(), weighed.weight.abs(), _none(weighed.bias), centre=False
        )
        if call.name == "batch_norm":  # which weighs each entry alone: shared among the channels of a place
            sizes = sizes.sum(1, keepdim=True)
        return with_gradient_of(z, z + by_size(sizes, bias))


def by_size(sizes: Tensor, bias: Tensor) -> Tensor:
    """A bias, as if it were made of the sizes."""
    total = sizes.detach()
    return sizes * torch.where(total == 0, 0, bias / total)


def added(call: Call) -> Tensor:
    """A sum. What is added and does not depend on the input is a bias, shared in each row by the entries' sizes."""
    moving = [item for item in call.args[:2] if moves(item)]
    y = call.run()
    if len(moving) != 1 or moving[0].shape != y.shape:
        return y
    x = moving[0] if moving[0] is call.args[0] or call.name == "add" else -moving[0]
    bias = (y - x).detach()
    bias = torch.where(bias > torch.finfo(y.dtype).min / 2, bias, 0)  # a mask is none
    return with_gradient_of(y, x + by_size((x * x.detach().sign()).sum(-1, keepdim=True), bias))


def _none(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else torch.zeros_like(bias)


@dataclass(frozen=True, eq=False)
class _Weighed:
    """An affine operation's parts, by name."""

    call: Call
    names: tuple[str, ...]
    given: dict[str, Any]

    @classmethod
    def of(cls, call: Call) -> _Weighed | None:
        """None if the operation has no weights, or if weights or bias depend on the input as well."""
        names = AFFINE.get(call.name)
        if names is None:
            return None
        given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
        return cls(call, names, given) if not moves([given.get("weight"), given.get("bias")]) else None

    @property
    def x(self) -> Tensor:
        return self.given["input"]

    @property
    def weight(self) -> Tensor | None:
        return self.given.get("weight")

    @property
    def bias(self) -> Tensor | None:
        return self.given.get("bias")

    def run(self, x: Tensor, weight: Any, bias: Any, *, centre: bool = True) -> Tensor:
        """The operation with other inputs, weights and bias; uncentred, a batch norm does not subtract its mean."""
        changed = {**self.given, "input": x, "weight": weight, "bias": bias}
        if not centre and isinstance(changed.get("running_mean"), Tensor):
            changed["running_mean"] = torch.zeros_like(changed["running_mean"])
        args = [changed.get(name, arg) for name, arg in zip(self.names, self.call.args, strict=False)]
        kwargs = {name: changed[name] for name in self.call.kwargs}
        return self.call.function(*args, *self.call.args[len(args) :], **kwargs)


# The table. -----------------------------------------------------------------------------------------------------------


def plain(call: Call) -> Any:
    return call.run()


def lrp_rules(biases: Biases, attends: Attention, of_module: dict[nn.Module, PropagationRule] | None = None) -> Rules:
    """Operation → rule. A layer with a rule of its own goes by that."""
    shares = biases == "share"
    affine: Rule = SharedBias() if shares else plain

    def norm(parts: Callable[..., Tensor], call: Call) -> Tensor:
        return call.made_of(parts)

    table: dict[str, Rule] = {
        **dict.fromkeys(SUMS | PLACINGS, plain),
        **dict.fromkeys(ACTIVATIONS | {"pow", "square"}, identity),
        **dict.fromkeys(SCALES, held),
        **dict.fromkeys(PRODUCTS, halved),
        **dict.fromkeys(AFFINE, affine),
        **dict.fromkeys(("linear", "addmm", "baddbmm"), partial(as_product, affine)),
        "div": quotient,
        **dict.fromkeys(("add", "sub"), added if shares else plain),
        **dict.fromkeys(("softmax", "log_softmax"), partial(softmax, biases=biases, attends=attends)),
        **{f.__name__: partial(norm, f) for f in (layer_norm, group_norm, rms_norm)},
        "scaled_dot_product_attention": lambda call: call.made_of(partial(attention, still=attends == "values")),
    }
    own = {module: rule for module, rule in (of_module or {}).items() if not isinstance(rule, IdentityRule)}
    if not own:
        return table

    def by_layer(usual: Rule, call: Call) -> Any:
        return own.get(call.module, usual)(call)  # type: ignore[arg-type]

    return {**table, **{name: partial(by_layer, table[name]) for name in SUMS | set(AFFINE)}}


def one_operation(of_module: dict[nn.Module, PropagationRule], module: nn.Module) -> Rule | None:
    """Activations that are written out, and layers that were given the identity rule, hand everything on."""
    return identity if written_out(module) or isinstance(of_module.get(module), IdentityRule) else None


def refused(call: Call, output: Any) -> None:
    """Relevance that comes to this operation is refused; one that nothing comes to may be there (a loss)."""
    where = "" if call.module is None else f" in {type(call.module).__name__}"

    def refuse(relevance: Tensor) -> None:
        raise NoRule(
            f"no rule to propagate relevance through the operation {call.name!r}{where}. Give a layer that keeps its "
            "shape an IdentityRule (`module.rule = IdentityRule()`, with LRP of xai_nlp.attr), or use another method."
        )

    for tensor in tensors_of(output):
        if tensor.requires_grad:
            tensor.register_hook(refuse)
