"""The named hook points of a model, and the two public context managers on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

from torch import Tensor, nn

from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.attention import AttentionFamilies, AttentionPoint, AttentionReach, attention_modules
from xai_nlp.hooks.scope import HookPoint, ModulePoint, captured, hooked, tensors_of, with_tensors


@dataclass(frozen=True, eq=False, kw_only=True)
class Points:
    """The named hook points of a model. `points["encoder.layer.3"]` is the output of the module at a path.

    A name is None, or empty, where the architecture has no such place.
    """

    model: nn.Module
    base: nn.Module  # the model without its head: paths may also count from here
    families: AttentionFamilies = field(default_factory=AttentionFamilies)
    word: ModulePoint | None = None  # vectors of the words (B, L, D)
    position: ModulePoint | None = None  # vectors of the positions
    types: ModulePoint | None = None  # vectors of the token types
    embeddings: ModulePoint | None = None  # the sum of them, normalised where the architecture does it there
    layers: tuple[ModulePoint, ...] = ()  # hidden states after each layer (B, L, D)
    vision: tuple[ModulePoint, ...] = ()  # the layers of the side that looks at an image
    inside: tuple[Mapping[str, ModulePoint], ...] = ()  # of each layer: its "projection" and "norm" after attention

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


def capture(*points: HookPoint) -> Any:
    """While open, keep the tensors that pass at the points: `captured[point]` after the forward pass.

    points: `xai_nlp.points(model).layers[3]`, `.attention[3]`, `["encoder.layer.3"]`, …
    The tensor of a module that takes or gives several is a tuple of them. Tensors carry gradients where gradients are
    enabled. After several passes the last one's are there. Hooks come off when the context closes.
    Raises InvalidInput for what is no hook point, and on reading for a point that the pass did not reach.

    >>> import torch, xai_nlp
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> first = xai_nlp.points(net)["0"]
    >>> with capture(first) as captured:
    ...     output = net(torch.ones(1, 2))
    >>> torch.equal(captured[first].relu(), output)
    True
    """
    for point in points:
        _check(point)
    return captured(list(dict.fromkeys(points)), differentiable=None)


@contextmanager
def edit(edits: Mapping[HookPoint, Callable[[Any], Any]]) -> Iterator[None]:
    """While open, each function gets the tensor at its point, and what it returns goes on instead.

    edits: hook point -> function of the tensor (a tuple where the module has several); None leaves it unchanged.
    Raises InvalidInput in the forward pass if a function returns another shape or number of tensors.

    >>> import torch, xai_nlp
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    >>> with edit({xai_nlp.points(net)["0"]: torch.zeros_like}):
    ...     net(torch.ones(1, 2))
    tensor([[0., 0.]])
    """
    for point in edits:
        _check(point)
    with hooked([(point, partial(_edited, point, function)) for point, function in edits.items()]):
        yield


def _check(point: Any) -> None:
    if not hasattr(point, "open") or isinstance(point, nn.Module):
        raise InvalidInput(
            f"a hook point is needed, as xai_nlp.points(model).layers[0] or xai_nlp.points(model)[path] gives one; "
            f"got {type(point).__name__}."
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
