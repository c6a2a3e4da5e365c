"""The gradient of each example's loss with respect to parameters, exact for every module, in one backward pass.

Each call of a module with parameters keeps its inputs and the gradient at its output; both together give the gradient
of each example. Whether they do is checked against autograd with random weights for the examples; parameters for which
they do not (used outside of their module, examples not in the first dimension) get one backward pass for each example.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import unfold
from torch.utils._pytree import tree_flatten, tree_unflatten

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.interrupts import check_interrupt
from xai_nlp.hooks.scope import attached
from xai_nlp.influence.batches import Batch, Loss
from xai_nlp.influence.gradient_terms import Dense, ExampleGradients, Outer, Term, summed

NOISE = 1e-5  # of the length of the whole gradient: less than that is rounding


@dataclass
class ModuleCall:
    """One call of a module: what went in, and the gradients at the tensors that came out."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    gradients: dict[int, Tensor] = field(default_factory=dict)  # by the place among the tensors of the output


class NotByExample(Exception):
    """A tensor whose rows do not belong to the examples."""


def by_example(tensor: Tensor, size: int) -> Tensor:
    """Rows that belong to the examples in order: (B, rows of one, …). One row serves all."""
    tensor = tensor.detach()
    if tensor.ndim and len(tensor) == 1:
        tensor = tensor.expand(size, *tensor.shape[1:])
    if not tensor.ndim or len(tensor) % size:
        raise NotByExample
    return tensor.reshape(size, len(tensor) // size, *tensor.shape[1:])


# The rules: a call -> the terms of its parameters, by the parameter's name in the module -----------------------------

Terms = dict[str, Term]


def _vectors(tensor: Tensor, size: int) -> Tensor:
    """All vectors of each example: (B, T, D)."""
    return by_example(tensor, size).flatten(1, -2)


def linear_terms(call: ModuleCall, size: int) -> Terms:
    """Of y = W x + b: gradient ⊗ input, and the gradient."""
    gradient = _vectors(call.gradients[0], size)
    return {"weight": Outer(gradient, _vectors(call.args[0], size)), "bias": Dense(gradient.sum(1))}


def embedding_terms(call: ModuleCall, size: int) -> Terms:
    """Of rows that are looked up: one-hot ⊗ gradient; a padding row has none."""
    module: Any = call.module
    ids, gradient = by_example(call.args[0], size).flatten(1), _vectors(call.gradients[0], size)
    if module.padding_idx is not None:
        gradient = gradient * (ids != module.padding_idx)[:, :, None]
    return {"weight": Outer(ids, gradient, module.num_embeddings)}


def convolution_terms(call: ModuleCall, size: int) -> Terms:
    """Of a convolution in two dimensions: gradient ⊗ patch, over all places."""
    module: Any = call.module
    x, gradient = by_example(call.args[0], size), by_example(call.gradients[0], size)
    if module.groups != 1 or module.padding_mode != "zeros" or isinstance(module.padding, str) or x.ndim != 5:
        raise NotByExample
    how = {name: getattr(module, name) for name in ("kernel_size", "dilation", "padding", "stride")}
    patches = unfold(x.flatten(0, 1), **how).unflatten(0, x.shape[:2])  # (B, k, in · patch, places)
    vectors = gradient.flatten(3).transpose(2, 3).flatten(1, 2)
    return {"weight": Outer(vectors, patches.transpose(2, 3).flatten(1, 2)), "bias": Dense(vectors.sum(1))}


def any_terms(call: ModuleCall, size: int, names: Sequence[str]) -> Terms:
    """Of any module: it runs again for each example, all of them at once."""
    module = call.module
    leaves, structure = tree_flatten((call.args, dict(call.kwargs)))
    moved = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and _has_rows(leaf, size)]
    places = sorted(call.gradients)
    rows = [by_example(leaves[i], size) for i in moved]
    gradients = [by_example(call.gradients[place], size) for place in places]
    own = {name: p.detach() for name, p in module.named_parameters(recurse=False) if name in names}

    def of_one(parts: Sequence[Tensor], pulled: Sequence[Tensor]) -> Mapping[str, Tensor]:
        values = list(leaves)
        for i, part in zip(moved, parts, strict=True):
            values[i] = part
        args, kwargs = tree_unflatten(values, structure)

        def outputs(parameters: Mapping[str, Tensor]) -> list[Tensor]:
            tensors = tensors_of(functional_call(module, dict(parameters), args, kwargs))
            return [tensors[place] for place in places]

        pull: Callable[..., Any] = vjp(outputs, own)[1]
        (found,) = pull(list(pulled))
        return dict(found)

    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # operations without a rule of their own for batches are slow, not wrong
        found = vmap(of_one, randomness="error")(rows, gradients)
    return {name: Dense(value.detach()) for name, value in found.items()}


def _has_rows(tensor: Tensor, size: int) -> bool:
    return bool(tensor.ndim) and (len(tensor) == 1 or len(tensor) % size == 0)


RULES: dict[type[nn.Module], Callable[[ModuleCall, int], Terms]] = {
    nn.Linear: linear_terms,
    nn.Embedding: embedding_terms,
    nn.Conv2d: convolution_terms,
}


def rule_of(module: nn.Module) -> Callable[[ModuleCall, int], Terms] | None:
    """The rule of a module whose forward is torch's own; None for any other."""
    found = [rule for kind, rule in RULES.items() if type(module).forward is kind.forward]
    if not found or (isinstance(module, nn.Embedding) and (module.max_norm is not None or module.scale_grad_by_freq)):
        return None
    return found[0]


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors in a nest, in order."""
    return [leaf for leaf in tree_flatten(value)[0] if isinstance(leaf, Tensor)]


# The pass ------------------------------------------------------------------------------------------------------------


class GradientFunction:
    """Computes gradients of each example's loss; it remembers which parameters need a pass for each example.

    model: a model whose weights are lent (`lent_weights`). modules: those whose parameters count; None for all that
    require gradients. names: their parameters of these names alone.
    Raises CaptumAssertion if there are no parameters.
    """

    def __init__(
        self, model: nn.Module, modules: Sequence[nn.Module] | None = None, names: Sequence[str] | None = None
    ) -> None:
        self.model, self.names = model, names
        inside = model.modules() if modules is None else [one for module in modules for one in module.modules()]
        self._places = {  # name -> the module and the parameter's name there
            (module, name)
            for module in inside
            for name, p in module._parameters.items()
            if p is not None and p.is_floating_point() and (names is None or name in names)
            and (modules is not None or p.requires_grad)
        }  # fmt: skip
        if not self._places:
            raise CaptumAssertion("no parameters to take gradients of: the layers have none, or none requires_grad.")
        self._slow: dict[Any, frozenset[str]] = {}

    def parameters(self) -> dict[str, nn.Parameter]:
        """The parameters by name, in the model's order; shared ones once."""
        chosen = {id(module._parameters[name]) for module, name in self._places}
        return {name: p for name, p in self.model.named_parameters() if id(p) in chosen}

    @contextmanager
    def trainable(self) -> Iterator[dict[str, nn.Parameter]]:
        """While open, these parameters and no others require grad."""
        parameters = self.parameters()
        flags = [(p, p.requires_grad) for p in self.model.parameters()]
        chosen = {id(p) for p in parameters.values()}
        try:
            for p, _ in flags:
                p.requires_grad_(id(p) in chosen)
            yield parameters
        finally:
            for p, flag in flags:
                p.requires_grad_(flag)

    def __call__(self, data: Any, loss: Loss) -> ExampleGradients:
        """The gradients of the examples of a batch."""
        own = loss.is_models_own(data)
        batch = Batch.of(data, next(self.model.parameters()).device, own_loss=own)
        with torch.enable_grad(), self.trainable() as parameters:
            if not own:
                return self._of_batch(batch, loss, parameters)
            size = len(batch.tensors[0])
            return ExampleGradients.concatenated(
                [self._of_batch(row, loss, parameters, own) for row in batch.rows(size)]
            )

    def losses(self, batch: Batch, loss: Loss, own: bool = False) -> Tensor:
        """The loss of each example: (B,); of the model's own, one for the batch. Ctrl-C acts before the pass."""
        check_interrupt()
        output = self.model(*batch.args, **batch.kwargs)
        if not own:
            return loss.of_examples(output, batch.labels)
        value = output["loss"] if isinstance(output, Mapping) else getattr(output, "loss", None)
        if not isinstance(value, Tensor):
            raise CaptumAssertion("the model gives no loss for these labels; give loss_fn.")
        return value.reshape(1)

    def _of_batch(
        self, batch: Batch, loss: Loss, parameters: Mapping[str, nn.Parameter], own: bool = False
    ) -> ExampleGradients:
        # Longer texts do not move examples to another dimension: what was checked for one length holds for others.
        key = (loss.function, own, tuple((t.ndim, *t.shape[:1]) for t in batch.tensors))
        slow = self._slow.get(key)
        if slow is not None and len(slow) == len(parameters):
            return self._looped(self.losses(batch, loss, own), parameters)
        calls: list[ModuleCall] = []
        widened: list[bool] = []
        keep_call = partial(self._keep, calls, widened, batch)
        hooks = [partial(module.register_forward_hook, keep_call, with_kwargs=True) for module in self._called()]
        try:
            with attached(hooks):
                losses = self.losses(batch, loss, own)
        except (RuntimeError, ValueError, IndexError) as error:
            if not widened or isinstance(error, CaptumAssertion):
                raise
            self._slow[key] = frozenset(parameters)  # the model does not take a row for each example
            return self._looped(self.losses(batch, loss, own), parameters)
        size = len(losses)
        if slow is None and widened:
            plain = self.losses(batch, loss, own)
            if not torch.allclose(plain, losses, rtol=1e-4, atol=1e-6):
                self._slow[key] = frozenset(parameters)
                return self._looped(plain, parameters)
        keep = slow is None or bool(slow)
        torch.autograd.grad(losses.sum(), list(parameters.values()), retain_graph=keep, allow_unused=True)
        terms = self._terms(calls, parameters, slow or frozenset(), size)
        if slow is None:
            slow = self._slow[key] = frozenset(_disagreeing(terms, losses, parameters))
        rest = {name: p for name, p in parameters.items() if name in slow}
        looped = self._looped(losses, rest).terms if rest else {}
        zeros = {name: [Dense(p.new_zeros(size, *p.shape))] for name, p in parameters.items() if not terms.get(name)}
        return ExampleGradients(size, {name: looped.get(name) or terms.get(name) or zeros[name] for name in parameters})

    def _called(self) -> list[nn.Module]:
        """The modules that hold the parameters, and others that share one of them."""
        chosen = {id(module._parameters[name]) for module, name in self._places}
        return [m for m in self.model.modules() if any(id(p) in chosen for p in m._parameters.values())]

    @staticmethod
    def _keep(
        calls: list[ModuleCall],
        widened: list[bool],
        batch: Batch,
        module: nn.Module,
        args: Any,
        kwargs: Any,
        output: Any,
    ) -> Any:
        """A forward hook: keeps the call. An output of one row that serves all examples gets a row for each."""
        size = max((len(t) for t in batch.tensors if t.ndim), default=1)
        call = ModuleCall(module, args, kwargs)
        calls.append(call)
        if isinstance(output, Tensor) and output.ndim > 1 and len(output) == 1 < size:
            widened.append(True)
            output = output.expand(size, *output.shape[1:]).contiguous()
        for place, tensor in enumerate(tensors_of(output)):
            if tensor.requires_grad:
                tensor.register_hook(partial(_kept_gradient, call, place))
        return output

    @staticmethod
    def _terms(
        calls: Sequence[ModuleCall], parameters: Mapping[str, nn.Parameter], slow: frozenset[str], size: int
    ) -> dict[str, list[Term]]:
        """The terms of all calls by the parameter's name; those of a parameter that a rule fails on are left out."""
        names = {id(p): name for name, p in parameters.items() if name not in slow}
        found: dict[str, list[Term]] = {}
        failed: set[str] = set()
        for call in calls:
            own = {name: names[id(p)] for name, p in call.module._parameters.items() if id(p) in names}
            if not own or not call.gradients:
                continue
            try:
                terms = _terms_of(call, size, list(own))
            except (NotByExample, RuntimeError, ValueError, IndexError, KeyError, TypeError):
                failed.update(own.values())
                continue
            for name, whole in own.items():
                found.setdefault(whole, []).append(terms[name])
        return {name: terms for name, terms in found.items() if name not in failed}

    @staticmethod
    def _looped(losses: Tensor, parameters: Mapping[str, nn.Parameter]) -> ExampleGradients:
        """One backward pass for each example."""
        rows = []
        for loss in losses:
            found = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True, allow_unused=True)
            pairs = zip(found, parameters.values(), strict=True)
            rows.append([torch.zeros_like(p) if g is None else g.detach() for g, p in pairs])
        columns = zip(parameters, zip(*rows, strict=True), strict=True)
        return ExampleGradients(len(losses), {name: [Dense(torch.stack(column))] for name, column in columns})


def _kept_gradient(call: ModuleCall, place: int, gradient: Tensor) -> None:
    """A hook of a tensor: keeps its gradient, or adds to it."""
    before = call.gradients.get(place)
    call.gradients[place] = gradient.detach() if before is None else before + gradient.detach()


def _terms_of(call: ModuleCall, size: int, names: Sequence[str]) -> Terms:
    """The terms of one call."""
    rule = rule_of(call.module)
    with torch.no_grad():
        if rule is not None and call.args and not call.kwargs:
            try:
                return rule(call, size)
            except NotByExample:
                pass
        return any_terms(call, size, names)


def _disagreeing(
    terms: Mapping[str, Sequence[Term]], losses: Tensor, parameters: Mapping[str, nn.Parameter]
) -> Iterator[str]:
    """Parameters whose gradients by example do not add up to the gradient of a loss with random weights."""
    weights = torch.rand(len(losses), generator=torch.Generator().manual_seed(0)).to(losses) + 0.5
    found = torch.autograd.grad(
        (weights * losses).sum(), list(parameters.values()), retain_graph=True, allow_unused=True
    )
    totals = {
        name: losses.new_zeros((), dtype=torch.double) if g is None else g.flatten().double()
        for name, g in zip(parameters, found, strict=True)
    }
    whole = torch.stack([total.norm() for total in totals.values()]).norm()
    for name, total in totals.items():
        error = total if not terms.get(name) else total - summed(terms[name], weights).double()
        allowed = torch.finfo(parameters[name].dtype).eps ** 0.5 * total.norm() + NOISE * whole
        if not float(error.norm()) <= float(allowed):
            yield name
