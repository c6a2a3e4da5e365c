"""A method applied to a batch: which problem it is posed, and what its scores say of each token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.problem import Problem
from xai_nlp.core.reductions import REDUCTIONS
from xai_nlp.core.registry import Method, Scores
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import tensors_at
from xai_nlp.hooks.scope import HookPoint
from xai_nlp.methods.attention import STREAMS, AttentionIntegratedGradients, AttentionNorms, by_key, reading
from xai_nlp.methods.path import Conductance, IntegratedGradientsMethod
from xai_nlp.tasks.pose import Poser

Channel = tuple[str, str]  # ("scores", ""), ("part", "word"), ("layer", "0")
SCORES: Channel = ("scores", "")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is wanted of a method: the tokens' scores at the embeddings or at a layer, and what else."""

    method: Method
    baseline: str
    layer: int | None = None
    parts: bool = False  # each of the embeddings apart
    layers: bool = False  # what flows through every layer
    attention: bool = False  # and through every attention matrix

    def __post_init__(self) -> None:
        extras = [name for name in ("layers", "attention") if getattr(self, name)]
        if extras and (
            not isinstance(self.method, (IntegratedGradientsMethod, Conductance)) or self.method.operates_on != "inputs"
        ):
            raise InvalidInput(
                f"{extras[0]}=True gives what flows through the {extras[0]} while the embeddings move, which goes with "
                f"method='integrated_gradients' or 'conductance'; got {self.method.name!r}."
            )
        if extras and isinstance(self.method, IntegratedGradientsMethod):
            kept = (self.method.rule, self.method.multiply)
            if kept != (IntegratedGradientsMethod.rule, IntegratedGradientsMethod.multiply):
                raise InvalidInput(
                    f"{extras[0]}=True takes all scores from one sweep by a rule of its own, times the displacement; "
                    f"got rule={kept[0]!r}, multiply={kept[1]}. Leave them out, or ask for {extras[0]} in another call."
                )
        if self.layer is not None and (extras or self.parts or self.method.operates_on not in ("inputs", "layer")):
            raise InvalidInput("layer=… asks for the scores of one layer's output; leave out what else was asked.")
        if self.parts and self.method.operates_on != "inputs":
            raise InvalidInput(f"parts=True goes with methods that score the embeddings; got {self.method.name!r}.")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a method made of B rows and T targets."""

    channels: dict[Channel, Tensor]  # (B, T, L) float64 each
    value: Tensor  # (B, T)
    baseline_value: Tensor  # (B, T)
    steps: Tensor | None = None  # (B,)
    matrices: tuple[Tensor, ...] = ()  # (B, T, H, Q, K) each
    numbers: tuple[int, ...] = ()  # which matrices of the forward pass those are; all of them if empty
    residuals: Tensor | None = None  # (B, T, matrices)
    regions: Tensor | None = None  # (B, T, M) float64, of the images


def scored(poser: Poser, asked: Asked) -> Found:
    """The scores of each token of each row, and of what else was asked for."""
    return _OVER[asked.method.operates_on](poser, asked)


def _ends(problem: Problem, scores: Scores) -> dict[str, Any]:
    """f at both ends: as the method found it, or looked up."""
    value, start = (
        problem.values(z, problem.everyone) if known is None else known
        for z, known in ((problem.x, scores.value), (problem.baseline, scores.baseline_value))
    )
    return {"value": value, "baseline_value": start, "steps": scores.steps}


def _embeddings(poser: Poser, asked: Asked) -> Found:
    method = asked.method
    reduced = REDUCTIONS[method.reduction]
    if asked.layers or asked.attention:
        return _flowing(poser, asked)
    if asked.layer is not None:
        site = poser.adapter.layer(asked.layer)
        problem = poser.embeddings(sites=[site]) if method.supports_layers else poser.layer(asked.layer)
        scores = method.scores(problem)
        return Found(**_along(poser, reduced(scores.tensors[0].double())), **_ends(problem, scores))
    problem = poser.embeddings(parts=asked.parts)
    scores = method.scores(problem)
    return Found(**_of_inputs(poser, asked, scores.tensors), **_ends(problem, scores))


def _of_inputs(poser: Poser, asked: Asked, tensors: Sequence[Tensor]) -> dict[str, Any]:
    """Scores of embeddings, or of each of them, and of an image, which comes last: channels, and its regions."""
    reduction, seen, words = asked.method.reduction, poser.batch.seen, list(tensors)
    regions = seen.by_region(words.pop().double(), reduction) if seen else None
    each = [REDUCTIONS[reduction](tensor.double()) for tensor in words]
    parts = {("part", name): part for name, part in zip(poser.parts, each, strict=True)} if asked.parts else {}
    return {"channels": {SCORES: torch.stack(each).sum(0), **parts}, "regions": regions}


def _along(poser: Poser, scores: Tensor) -> dict[str, Any]:
    """Scores of a sequence (B, T, S), which may hold the patches of an image: channels, and its regions."""
    if poser.batch.seen is None:
        return {"channels": {SCORES: scores}}
    words, regions = poser.batch.seen.split(scores)
    return {"channels": {SCORES: words}, "regions": regions}


def _flowing(poser: Poser, asked: Asked) -> Found:
    """Embeddings, all layers and all attention matrices in one sweep."""
    method = asked.method
    if isinstance(method, IntegratedGradientsMethod):
        method = Conductance(steps=method.steps, tolerance=method.tolerance, max_steps=method.max_steps)
    layers = poser.adapter.layers if asked.layers else ()
    sites: list[HookPoint] = [*layers, *([poser.attention] if asked.attention else [])]
    problem = poser.embeddings(sites=sites, also_inputs=True, parts=asked.parts)
    scores = method.scores(problem)
    with torch.no_grad():
        counts = [len(tensors) for tensors in tensors_at(layers, poser.plain)] if layers else []
    left = list(scores.tensors)
    outputs = [_taken(left, count)[0] for count in counts]  # a layer's hidden states come first
    matrices = tuple(left[: -len(problem.x)])
    found = Found(**_of_inputs(poser, asked, left[-len(problem.x) :]), matrices=matrices, **_ends(problem, scores))
    through = [REDUCTIONS["sum"](output.double()) for output in outputs]
    flows = {("layer", str(k)): _along(poser, flow)["channels"][SCORES] for k, flow in enumerate(through)}
    return replace(found, channels={**found.channels, **flows})


def _taken(left: list[Tensor], count: int) -> list[Tensor]:
    """The first so many, taken off the list."""
    taken, left[:count] = left[:count], []
    return taken


def _reading_attention(poser: Poser, asked: Asked) -> Found:
    problem = poser.embeddings(sites=[poser.attention])
    scores = asked.method.scores(problem)
    told = _of_streams(poser, scores.tokens, scores.seen)
    return Found(**told, matrices=scores.tensors, **_ends(problem, scores))


def _of_streams(poser: Poser, text: Tensor | None, image: Tensor | None) -> dict[str, Any]:
    """Scores of a text's positions, and of an image's where it has a sequence of its own: channels, and its regions."""
    seen = poser.batch.seen
    if seen is None or seen.places is not None:
        assert text is not None
        return _along(poser, text.double())
    if image is None:
        assert text is not None
        return {"channels": {SCORES: text.double()}, "regions": text.new_zeros(*text.shape[:2], seen.count).double()}
    told = _of_image(poser, image.double())
    return told if text is None else {**told, "channels": {SCORES: text.double()}}


def _moving_attention(poser: Poser, asked: Asked) -> Found:
    """Each matrix moves in a problem of its own, or all that look at the text in one; tokens are the problems' mean.

    A decoder's attention to its own outputs is scored where it moves alone, and says nothing of the tokens.
    """
    method = asked.method
    assert isinstance(method, AttentionIntegratedGradients)
    stacks = {n: poser.attention.matrices[n].stack for n in poser.read_attention}
    looking = tuple(n for n, stack in stacks.items() if stack != "decoder")
    moved = [looking] if method.together else [(n,) for n in stacks]
    ends, matrices, residuals = [], [], []
    for problem in poser.moved_attention(method.start, moved):
        scores = method.scores(problem)
        end = _ends(problem, scores)
        explained = end["value"] - end["baseline_value"]
        residuals.append(explained.double() - sum(t.flatten(2).double().sum(2) for t in scores.tensors))
        ends.append(end)
        matrices += [tensor.float() for tensor in scores.tensors]
    numbers = tuple(n for group in moved for n in group)
    of_text = [end for end, group in zip(ends, moved, strict=True) if set(group) <= set(looking)]
    kept = [(tensor.double(), STREAMS[stacks[n]]) for tensor, n in zip(matrices, numbers, strict=True) if n in looking]
    drawn = {key: total / len(of_text) for key, total in by_key(*zip(*kept, strict=True)).items()}
    return Found(
        **_of_streams(poser, drawn.get("text"), drawn.get("image")),
        value=ends[0]["value"].double(),
        baseline_value=torch.stack([end["baseline_value"].double() for end in of_text]).mean(0),
        steps=None if ends[0]["steps"] is None else torch.stack([end["steps"] for end in ends]).amax(0),
        matrices=tuple(matrices),
        numbers=numbers,
        residuals=torch.stack(residuals, 2),
    )


def _attended_values(poser: Poser, asked: Asked) -> Found:
    method = asked.method
    assert isinstance(method, AttentionNorms)
    problem = poser.attended_values(normalised=method.what == "normalised")
    scores = method.scores(problem)
    numbers = poser.own
    read = reading(poser.embeddings(sites=[replace(poser.attention, numbers=numbers[-1:])]).slope_at_x())
    tokens = torch.einsum("btq,btqk->btk", read, scores.tensors[-1].sum(2))
    told = _of_streams(poser, tokens, None)
    return Found(**told, matrices=scores.tensors, numbers=numbers, **_ends(problem, scores))


def _at_a_layer(poser: Poser, asked: Asked) -> Found:
    """At the layer asked for, or where the model looks; a side that sees the image alone has nothing of the words."""
    site, joint = (poser.adapter.layer(asked.layer), True) if asked.layer is not None else poser.where_it_looks
    problem = poser.embeddings(sites=[site])
    scores = asked.method.scores(problem)
    along = REDUCTIONS[asked.method.reduction](scores.tensors[0].double())
    told = _along(poser, along) if joint else _of_image(poser, along)
    return Found(**told, **_ends(problem, scores))


def _of_image(poser: Poser, along: Tensor) -> dict[str, Any]:
    """Scores of a sequence of the image's own (B, T, S): zero for the words, and its regions."""
    seen = poser.batch.seen
    assert seen is not None
    words = along.new_zeros(*along.shape[:2], poser.batch.movable.shape[1])
    return {"channels": {SCORES: words}, "regions": seen.of_image(along, seen.alone(along.shape[-1]))}


_OVER: dict[str, Callable[[Poser, Asked], Found]] = {
    "inputs": _embeddings,
    "attention": _reading_attention,
    "moved attention": _moving_attention,
    "attended values": _attended_values,
    "layer": _at_a_layer,
}
