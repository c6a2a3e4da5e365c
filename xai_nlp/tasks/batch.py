"""A batch of token windows as the model takes it, and the Subject that is posed on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_nlp.core.baselines import BASELINES, WordEmbeddings, text_baseline
from xai_nlp.core.batching import Batching
from xai_nlp.core.features import NO_FEATURE
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.scope import HookPoint, tensors_at
from xai_nlp.models.tokenization import TokenWindow, check_unicode
from xai_nlp.tasks.image_inputs import ImageBatch

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer

TargetOfRows = Callable[[Tensor, Tensor], Tensor]  # outputs (R, *C), the window of each row (R,) -> (R, T)
REFERENCE = "reference"  # the baseline that moves positions and types too
TEXT = "text:"  # begins a baseline that is a text, whatever it says


@dataclass(frozen=True)
class WindowBatch:
    """Token windows side by side, as the model takes them."""

    windows: Sequence[TokenWindow]
    inputs: dict[str, Tensor]  # (B, L) each
    movable: Tensor  # (B, L) bool: the positions of words; not special tokens, not padding
    images: ImageBatch | None = None  # the images that go with them

    @property
    def everyone(self) -> Tensor:
        return torch.arange(len(self.windows), device=self.movable.device)

    @property
    def has_text(self) -> bool:
        """Are there words beside the images?"""
        return self.movable.shape[1] > 0


@dataclass(frozen=True, kw_only=True)
class TextSubject:
    """Poses the Subject of a batch: its word embeddings move, and its image; or an image alone.

    The token ids stay as they are, so positions, types and masks come out right; only the tensors at the points change.
    A baseline is a change of words: their vectors are replaced where they leave the word embedding. The reference
    baseline changes positions and types too, to those of the first token. An image goes from another image.
    """

    explainer: Explainer
    batch: WindowBatch
    target: TargetOfRows
    baseline: str
    batching: Batching
    parts: bool = False  # word, position and type embeddings move apart
    layer: int | None = None
    needs_baseline: bool = True

    def subject(self) -> Subject:
        explainer, batch = self.explainer, self.batch
        return Subject(
            forward=partial(explainer.run, batch),
            read=lambda run, owner: self.target(run(), owner),
            inputs=self._inputs(),
            examples=len(batch.windows),
            device=batch.movable.device,
            layer=None if self.layer is None else explainer.layer(self.layer),
            points=explainer.points,
            attention_root=self._attention_root,
            batching=self.batching,
        )

    @property
    def _attention_root(self) -> Any:
        """Where words and image share a sequence, the image's own side has no attention that belongs to the text."""
        images = self.batch.images
        shared = images is not None and images.positions is not None
        return self.explainer.adapter.text_stack if shared else self.explainer.model

    def _inputs(self) -> dict[str, MovableInput]:
        batch = self.batch
        inputs = self._words() if batch.has_text else {}
        if batch.images is not None:
            images = batch.images
            start = images.baseline if self.needs_baseline else images.pixels
            features = images.features(batch.movable.shape[1])
            inputs["image"] = MovableInput(
                x=(images.pixels,), baseline=(start,), features=features, positions=images.patches
            )
        return inputs

    def _words(self) -> dict[str, MovableInput]:
        batch, points = self.batch, self.explainer.points
        embeddings = {"word": points.word, "position": points.position, "type": points.types}
        there = {name: point for name, point in embeddings.items() if point is not None}
        moved = there if self.parts else {"text": points.embeddings}
        x, baseline = self._ends(list(there.values()), list(moved.values()))  # type: ignore[arg-type]
        L = batch.movable.shape[1]
        places = torch.arange(L, device=batch.movable.device)
        words = torch.where(batch.movable, places, NO_FEATURE)[:, :, None]  # each word is a feature
        return {
            name: MovableInput(x=(x[i],), baseline=(baseline[i],), point=point, features=words)
            for i, (name, point) in enumerate(moved.items())
        }

    def _ends(self, embeddings: Sequence[HookPoint], moved: Sequence[HookPoint]) -> tuple[list[Tensor], list[Tensor]]:
        """The tensors of the moved points for the text and for the baseline: (B, L, D) each."""
        batch = self.batch
        sources = list(embeddings) if self.baseline == REFERENCE else [embeddings[0]]
        vectors = self._baseline_vectors() if self.needs_baseline else None

        def work(part: slice) -> tuple[list[Tensor], list[Tensor]]:
            owner = batch.everyone[part]
            run = partial(self.explainer.run, batch, {}, owner)
            with torch.no_grad():
                own = [t[0].expand(len(owner), *t[0].shape[1:]) for t in tensors_at([*sources, *moved], run)]
                x = own[len(sources) :]
                if vectors is None:
                    return x, x
                words = vectors.expand(len(batch.windows), *vectors.shape[1:])[part]
                changed = [torch.where(batch.movable[part][:, :, None], words, own[0])]
                changed += [t[:, :1].expand_as(t) for t in own[1 : len(sources)]]
                arguments = {} if batch.images is None else {"image": batch.images.baseline[part]}
                other = partial(self.explainer.run, batch, arguments, owner)
                started = tensors_at(moved, other, [(point, [t]) for point, t in zip(sources, changed, strict=True)])
            return x, [t[0].expand(len(owner), *t[0].shape[1:]) for t in started]

        entries = self.explainer.row_entries(batch)
        chunks = self.batching.chunks(len(batch.windows), entries, batch.movable.device, work)
        parts = [ends for _, ends in chunks]
        xs, starts = zip(*parts, strict=True)
        return [torch.cat(t) for t in zip(*xs, strict=True)], [torch.cat(t) for t in zip(*starts, strict=True)]

    @torch.no_grad()
    def _baseline_vectors(self) -> Tensor:
        """The baseline's word vectors (B, L, D), or broadcastable. Raises UnknownName for a name that is misspelt."""
        explainer, batch, name = self.explainer, self.batch, self.baseline
        assert explainer.points.word is not None  # words move
        embedding: Any = explainer.points.word.module
        words = WordEmbeddings(
            ids=batch.inputs["input_ids"],
            embed=embedding,
            count=embedding.weight.shape[0],
            pad=explainer.pad,
            mask=explainer.token_id("mask_token_id"),
        )
        if name in BASELINES:
            return BASELINES[name](words)
        if name == REFERENCE:
            return BASELINES["pad"](words)
        if not name.startswith(TEXT) and get_close_matches(name, [*BASELINES, REFERENCE], n=1):
            raise UnknownName(
                "baseline", name, [*BASELINES, REFERENCE], f"If it is a text, write baseline='{TEXT}{name}'."
            )
        check_unicode(name, "the baseline")
        ids = explainer.tokenizer(name.removeprefix(TEXT), add_special_tokens=False)["input_ids"]
        return text_baseline(words, ids, batch.movable)


def batch_forward(model: Any, inputs: Mapping[str, Tensor], owner: Tensor) -> Any:
    """The model's output for rows that belong to `owner` (R,).

    Raises InvalidInput for a decoder that reads several rows only with a padding token, and has none.
    """
    try:
        return model(**{name: tensor[owner] for name, tensor in inputs.items()})
    except ValueError as error:
        if "padding token" not in str(error):
            raise
        raise InvalidInput(
            f"{type(model).__name__} finds the end of a text by its padding token, and its config names none. Set "
            "model.config.pad_token_id, for instance to the id of the token that ends texts."
        ) from None
