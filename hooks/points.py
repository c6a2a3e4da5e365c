"""The named hook points of a model, and the two public context managers on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.attention import (
    AttentionFamilies,
    AttentionPoint,
    AttentionReach,
    attention_modules,
    attention_points,
)
from xai_nlp.hooks.scope import (
    CapturedTensors,
    HookPoint,
    ModulePoint,
    captured,
    hooked,
    modules_of,
    tensors_of,
    with_tensors,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """The named hook points of a model, as `xai_nlp.points(model)` gives them.

    word, position, types: vectors that make up an embedding, (B, L, D) each, or (1, L, D) where a batch shares them.
    embeddings: their sum, normalised where the architecture does it there, (B, L, D).
    layers: hidden states after each layer, (B, L, D). vision: the layers of an image's own encoder.
    attention, cross_attention, decoder_attention: probabilities after softmax, (B, H, Q, K).
    A name is None, or empty, where the architecture has no such place. `points["encoder.layer.3"]` is the output of any
    module, by its path; `dataclasses.replace(point, side="input")` is what enters it.

    >>> import xai_nlp
    >>> points = xai_nlp.points(xai_nlp.load("sentiment"))
    >>> points
    <Points of BertForSequenceClassification: word, position, types, embeddings, layers[0..2], attention[0..2]>
    >>> print(points.layers[2])
    the output of encoder.layer.2
    """

    model: nn.Module
    base: nn.Module  # the model without its head: paths may also count from here
    families: AttentionFamilies = field(default_factory=AttentionFamilies)
    word: ModulePoint | None = None
    position: ModulePoint | None = None
    types: ModulePoint | None = None
    embeddings: ModulePoint | None = None
    layers: tuple[ModulePoint, ...] = ()
    vision: tuple[ModulePoint, ...] = ()
    inside: tuple[Mapping[str, ModulePoint], ...] = ()  # of each layer: its "projection" and "norm" after attention
    _attention_orders: dict[nn.Module, tuple[tuple[nn.Module, ...], tuple[AttentionPoint, ...]]] = field(
        default_factory=dict, repr=False, init=False
    )

    @cached_property
    def attention(self) -> tuple[AttentionPoint, ...]:
        """The attention matrices in which the text looks at itself, layer by layer: (B, H, Q, K) each.

        Raises Unsupported for a model whose attention cannot be reached.
        """
        return self._stack("self", "encoder")

    @cached_property
    def cross_attention(self) -> tuple[AttentionPoint, ...]:
        """The attention matrices in which another sequence looks at the text, or the text at the image."""
        return self._stack("cross", "image")

    @cached_property
    def decoder_attention(self) -> tuple[AttentionPoint, ...]:
        """The attention matrices in which a decoder looks at its own outputs."""
        return self._stack("decoder")

    @cached_property
    def _attention(self) -> dict[str, AttentionPoint]:
        return attention_modules(AttentionReach.of(self.model, self.families))

    def _stack(self, *stacks: str) -> tuple[AttentionPoint, ...]:
        points = [point for point in self._attention.values() if point.stack in stacks]
        if len(points) == 1 and len(self.layers) > 1:  # layers that share one module (ALBERT)
            points = [replace(points[0], call=call) for call in range(len(self.layers))]
        return tuple(points)

    def attention_in(self, root: nn.Module, run: Callable[[], Any]) -> tuple[AttentionPoint, ...]:
        """The attention matrices of a part of the model in the order in which `run` computes them.

        They are found by one pass, and again when a module of the part was replaced.
        Raises Unsupported if they cannot be reached, or if there are none.
        """
        modules = tuple(modules_of(root))
        known, points = self._attention_orders.get(root, ((), ()))
        if known != modules:
            points = attention_points(AttentionReach.of(root, self.families), run)
            self._attention_orders[root] = modules, points
        return points

    def __getitem__(self, path: str) -> ModulePoint:
        """The output of the module at a path, counted from the model or from the model without its head.

        Raises UnknownName.
        """
        for start in (self.model, self.base):
            try:
                module = start.get_submodule(path)
            except AttributeError:
                continue
            return ModulePoint(module, name=path, root=self.base)
        raise UnknownName("module", path, [name for name, _ in self.model.named_modules() if name])

    def __repr__(self) -> str:
        names = [name for name in ("word", "position", "types", "embeddings") if getattr(self, name) is not None]
        for name in ("layers", "attention", "cross_attention", "decoder_attention", "vision"):
            with suppress(Unsupported):
                names += [f"{name}[0..{len(points) - 1}]" for points in [getattr(self, name)] if points]
        return f"<Points of {type(self.model).__name__}: {', '.join(names) or 'modules by path'}>"


def capture(*points: HookPoint) -> AbstractContextManager[CapturedTensors]:
    """While open, keep the tensors that pass at hook points; read `captured[point]` after the forward pass.

    points: `xai_nlp.points(model).layers[3]`, `.attention[3]`, `["encoder.layer.3"]` and the like.
    `captured[point]` has the shape of the tensor in the model: hidden states (B, L, D), attention (B, H, Q, K). It is a
    tuple where a module takes or gives out several tensors. It carries gradients where gradients are enabled, and is
    that of the last forward pass in this thread. The hooks come off when the context closes.
    Raises InvalidInput for a point that is no hook point, and on reading for one that the forward pass did not reach.

    >>> import torch, xai_nlp
    >>> explainer = xai_nlp.load("sentiment")
    >>> points = xai_nlp.points(explainer)
    >>> with capture(points.embeddings, points.attention[1]) as captured:
    ...     output = explainer.model(**explainer.tokenizer("a gripping film", return_tensors="pt"))
    >>> captured[points.embeddings].shape[:2], captured[points.attention[1]].shape
    (torch.Size([1, 5]), torch.Size([1, 12, 5, 5]))
    """
    _check(points)
    return captured(list(dict.fromkeys(points)), differentiable=None)


@contextmanager
def edit(edits: Mapping[HookPoint, Callable[[Any], Any]]) -> Iterator[None]:
    """While open, functions replace the tensors at hook points, in every forward pass of this thread.

    edits: hook point -> function of the tensor there, or of a tuple where a module takes or gives out several. The
    model goes on with what the function returns: the same shape and number of tensors, or None for no change.
    Raises InvalidInput for a point that is no hook point, and in the forward pass for a tensor of another shape.

    >>> import torch, xai_nlp
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with edit({xai_nlp.points(net)["0"]: torch.zeros_like}):
    ...     net(torch.ones(1, 2))
    tensor([[0., 0.]])
    """
    _check(edits)
    with hooked([(point, partial(_edited, point, function)) for point, function in edits.items()]):
        yield


def _check(points: Iterable[Any]) -> None:
    wrong = [point for point in points if not hasattr(point, "open") or isinstance(point, nn.Module)]
    if wrong:
        raise InvalidInput(
            f"a hook point is needed, as xai_nlp.points(model).layers[0] or xai_nlp.points(model)[path] gives one; "
            f"got {type(wrong[0]).__name__}."
        )


def _edited(point: HookPoint, function: Callable[[Any], Any], value: Any) -> Any:
    tensors = tensors_of(value)
    new = function(tensors[0] if len(tensors) == 1 else tensors)
    if new is None:
        return None
    new = new if isinstance(new, tuple) else (new,)
    shapes = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in new]
    if shapes != [tuple(t.shape) for t in tensors]:
        raise InvalidInput(f"{point} carries {[tuple(t.shape) for t in tensors]}; the edit returned {shapes}.")
    return with_tensors(value, new)
