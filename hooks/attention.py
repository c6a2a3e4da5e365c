"""Attention probabilities, read and replaced, in a model as it was loaded: sdpa stays the default for everybody else.

Two ways in. Most families look their attention function up by name, and we lend them one of ours that goes by way of
the probabilities. The others compute attention by themselves, and a hook stands where the probabilities leave softmax.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.attention_function import by_probabilities
from xai_nlp.hooks.replace import Passed, outermost_blocks
from xai_nlp.hooks.scope import attached

EditFn = Callable[[int, Tensor], Tensor | None]

#: Families that compute attention by themselves: class of the module -> its child that takes what leaves softmax.
AFTER_SOFTMAX = {
    "BlipAttention": "dropout",
    "BlipTextSelfAttention": "dropout",
    "BloomAttention": "attention_dropout",
    "BrosSelfAttention": "dropout",
    "CodeGenAttention": "attn_dropout",
    "DisentangledSelfAttention": "dropout",  # DeBERTa, DeBERTa-v2
    "FlavaSelfAttention": "dropout",
    "FunnelRelMultiheadAttention": "attention_dropout",
    "GPTJAttention": "attn_dropout",
    "GPTNeoSelfAttention": "attn_dropout",
    "LayoutLMv2SelfAttention": "dropout",
    "LayoutLMv3SelfAttention": "dropout",
    "LukeSelfAttention": "dropout",
    "LxmertAttention": "dropout",
    "MPNetSelfAttention": "dropout",
    "MegatronBertSelfAttention": "dropout",
    "RemBertSelfAttention": "dropout",
    "RoFormerSelfAttention": "dropout",
    "TapasSelfAttention": "dropout",
    "ViltSelfAttention": "dropout",
    "VisualBertSelfAttention": "dropout",
}

#: What attention over another sequence is called in a module's path.
CROSS = ("encoder_attn", "EncDecAttention", "crossattention", "cross_attn", "visual_attention")
#: What the side that looks at an image is called in a module's path.
VISION = {"vision_model", "vision_tower", "visual", "r_layers", "visn_self_att"}


@contextmanager
def intercepted(model: nn.Module, visit: EditFn) -> Iterator[None]:
    """Hand each attention matrix to `visit(layer, probabilities)` as the model runs; what it returns, if any, is used.

    Probabilities are (B, H, Q, K), after softmax and before dropout, masked keys at 0; H counts query heads, also where
    several share their keys. `layer` counts attention computations from 0 in each forward pass of `model`: the layers
    of an encoder or a decoder; in an encoder-decoder the encoder's first, then self and cross attention in turn.
    What is visited carries gradients, and so may what is returned. Nested visits see what the outer ones returned.

    Only this thread's forward passes are visited; another thread that runs the same model gets what it always got.
    Raises Unsupported for a model whose attention cannot be reached, when opened or at its first forward pass.
    """
    with _opened(model, lambda layer, _module, probabilities: visit(layer, probabilities)):
        yield


@dataclass(frozen=True)
class Matrix:
    """One attention computation of a forward pass: which module made it, and how large it is."""

    path: str
    heads: int
    queries: int
    keys: int
    paired: bool = False  # in an encoder-decoder
    call: int = 0  # how often the module had run before in this pass

    @property
    def stack(self) -> str:
        """Whose tokens look at whose: "self"; in an encoder-decoder "encoder", "decoder" or "cross".

        Where an image has a side of its own: "vision" there, "image" where words look at it, "words" where it looks at
        them.
        """
        parts = self.path.split(".")
        if VISION & set(parts):
            return "vision"
        if any(name in self.path for name in CROSS):
            if "visual_attention" in parts:  # LXMERT: one module for both directions, words first
                return "words" if self.call else "image"
            return "image" if "text_encoder" in parts else "cross"
        if "text_decoder" in parts:
            return "decoder"
        named = (part for part in parts if self.paired and part in ("encoder", "decoder"))
        return next(named, "self")  # the outer name, where a decoder calls its layers an encoder's


@dataclass(frozen=True, eq=False)
class AttentionSite:
    """The attention matrices of some layers as one place: (B, H, Q, K) each, in the order in which they are computed.

    `numbers` count attention computations of a forward pass, as `intercepted` does.
    """

    model: nn.Module
    matrices: tuple[Matrix, ...]
    numbers: tuple[int, ...]

    @property
    def visits(self) -> int:
        return len(self.numbers)

    def open(self, visit: Callable[[Any], Any]) -> AbstractContextManager[None]:
        wanted = frozenset(self.numbers)
        return intercepted(self.model, lambda layer, p: visit(p) if layer in wanted else None)

    def __str__(self) -> str:
        return f"the attention of {type(self.model).__name__}"


def attention_site(model: nn.Module, run: Callable[[], Any]) -> AttentionSite:
    """All attention matrices that `run` makes `model` compute, as one place."""
    found = matrices(model, run)
    return AttentionSite(model, found, tuple(range(len(found))))


def matrices(model: nn.Module, run: Callable[[], Any]) -> tuple[Matrix, ...]:
    """The attention matrices that `run` makes `model` compute, in the order in which `visit` counts them."""
    paths = {module: path for path, module in model.named_modules()}
    paired = bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False))
    found: list[Matrix] = []

    def note(layer: int, module: nn.Module, probabilities: Tensor) -> None:
        heads, queries, keys = probabilities.shape[1:]
        call = sum(matrix.path == paths[module] for matrix in found)
        found.append(Matrix(paths[module], heads, queries, keys, paired, call))

    with _opened(model, note), torch.no_grad():
        run()
    return tuple(found)


@dataclass(frozen=True)
class Below:
    """What a forward pass has done when it comes to a matrix: blocks finished, and how many matrices they computed."""

    passed: Passed
    matrices: int


def below(model: nn.Module, run: Callable[[], Any]) -> tuple[Below, ...]:
    """What lies below each attention matrix that `run` makes `model` compute: `skipped` need not run it again."""
    thread, passed, seen, found = threading.get_ident(), [], 0, []
    inside = 0  # matrices computed when the last block was finished

    def finish(module: nn.Module, args: Any, output: Any) -> None:
        nonlocal inside
        if threading.get_ident() == thread:
            passed.append((module, output))
            inside = seen

    def see(layer: int, probabilities: Tensor) -> None:
        nonlocal seen
        found.append(Below(tuple(passed), inside))
        seen += 1

    blocks = [partial(block.register_forward_hook, finish) for block in outermost_blocks(model)]
    with attached(blocks), intercepted(model, see), torch.no_grad():
        run()
    return tuple(found)


# Who is looking, in this thread -------------------------------------------------------------------------------------


class _Visitor:
    """A visit, the model it looks into, and how far the forward pass has come. Belongs to the thread that made it."""

    def __init__(self, model: nn.Module, visit: Callable[[int, nn.Module, Tensor], Tensor | None]) -> None:
        self.model, self.visit = model, visit
        self.modules = frozenset(id(module) for module in model.modules())
        self.thread, self.calls = threading.get_ident(), 0

    def __call__(self, module: nn.Module, probabilities: Tensor) -> Tensor:
        layer, self.calls = self.calls, self.calls + 1
        new = self.visit(layer, module, probabilities)
        if new is None:
            return probabilities
        if new.shape != probabilities.shape:
            raise InvalidInput(
                f"attention of layer {layer} has shape {tuple(probabilities.shape)}, the one to replace it "
                f"{tuple(new.shape)}; they must agree."
            )
        return new

    def begin(self, *_: Any) -> None:
        """Before the model's forward: layers are counted from 0."""
        if threading.get_ident() == self.thread:
            self.calls = 0

    def end(self, *_: Any) -> None:
        """After the model's forward: something must have been seen."""
        if threading.get_ident() == self.thread and not self.calls:
            raise Unsupported(
                f"{type(self.model).__name__} went through a forward pass without computing attention probabilities "
                "where they can be reached. Methods that do not ask for attention work on it."
            )


class _Here(threading.local):
    def __init__(self) -> None:
        self.visitors: list[_Visitor] = []


_here = _Here()


@contextmanager
def _opened(model: nn.Module, visit: Callable[[int, nn.Module, Tensor], Tensor | None]) -> Iterator[None]:
    visitor, configs, children = _Visitor(model, visit), _configs(model), _children(model)
    if not configs and not children:
        raise Unsupported(
            f"the attention of {type(model).__name__} cannot be reached: it neither looks its attention function up "
            "with transformers' AttentionInterface, nor is it one of the families whose dropout after softmax is known "
            f"({', '.join(sorted(AFTER_SOFTMAX))}). Methods that do not ask for attention work on it."
        )

    def hook(module: nn.Module, _child: nn.Module, args: tuple[Any, ...]) -> Any:
        if threading.get_ident() != visitor.thread:
            return None
        return (visitor(module, args[0]), *args[1:])

    with ExitStack() as stack:
        for config in configs:
            stack.enter_context(_lent(config))
        registrations = [partial(child.register_forward_pre_hook, partial(hook, m)) for m, child in children]
        for root in {model, getattr(model, "base_model", model)}:  # some run a model without its head
            registrations.append(partial(root.register_forward_pre_hook, visitor.begin))
            registrations.append(partial(root.register_forward_hook, visitor.end))
        stack.enter_context(attached(registrations))
        _here.visitors.append(visitor)
        stack.callback(_here.visitors.remove, visitor)
        yield


# Families that compute attention by themselves ----------------------------------------------------------------------


def _children(model: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Each attention module of these families, with its child that takes what leaves softmax."""
    named = [(module, AFTER_SOFTMAX.get(type(module).__name__)) for module in model.modules()]
    return [(module, module.get_submodule(name)) for module, name in named if name and hasattr(module, name)]


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


def _configs(model: nn.Module) -> list[Any]:
    """The configs that tell these modules which attention to use, and their models which masks to make; each once."""
    from transformers import PreTrainedConfig, PreTrainedModel

    looking = {module for module in model.modules() if _lookup(module) is not None}
    found = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        above = isinstance(module, PreTrainedModel) and any(inner in looking for inner in module.modules())
        if isinstance(config, PreTrainedConfig) and (above or module in looking):
            found[id(config)] = config
    return list(found.values())


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

    ours = any(getattr(module, "config", None) is config for v in _here.visitors for module in v.model.modules())
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
