"""From an input to an Explanation: encode, predict, fix the target, pose the problem, let a method score it, stitch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, ClassVar

import torch
import transformers
from torch import Tensor

from xai_nlp._version import __version__
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.baselines import BASELINES, WordEmbeddings, text_baseline
from xai_nlp.core.batching import Batching, Progress
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation, Explanations, TargetSpec
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of, weight_of
from xai_nlp.methods import find_method
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.layout import text_config
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow, batches, encode, pad_batch, text_mask
from xai_nlp.tasks.image_inputs import Seen
from xai_nlp.tasks.merge_windows import Scored, stitched
from xai_nlp.tasks.pose import REFERENCE, Batch, Poser
from xai_nlp.tasks.score import SCORES, Asked, Found, scored

LONG = ("windows", "error")  # what becomes of texts longer than the model
Names = tuple[str, ...] | None  # None where they are the explanation's tokens

BATCH_ENTRIES = 2**23  # entries of the texts whose scores are in memory at once


@dataclass(frozen=True, kw_only=True)
class How:
    """How to explain: what every task's `explain` takes, beside a method's own options.

    method: a name of `xai-nlp methods`, or several for the same input.
    baseline: "pad", "mask", "zero", "mean", "reference" (pad, and every position and type as the first token's), or a
        text; None is pad, or zero where the tokenizer has no pad token.
    unit: what is explained: the logit, its probability, or that one's logarithm (natural).
    layer: None explains the input embeddings; k the output of block k.
    parts: word, position and type embeddings apart, which add up to the scores.
    layers: what flows through each token at every layer (conductance), in the same sweep.
    attention: what flows through every attention probability, in the same sweep.
    long: texts longer than the model are read in windows that share `stride` tokens (a quarter of a window, at most 64,
        if not given); "error" refuses them.
    rows: at most so many model rows at a time; None lets the engine choose.
    """

    method: str | Sequence[str] = "integrated_gradients"
    baseline: str | None = None
    unit: str = "logit"
    layer: int | None = None
    parts: bool = False
    layers: bool = False
    attention: bool = False
    long: str = "windows"
    max_length: int | None = None
    stride: int | None = None
    rows: int | None = None
    progress: Progress | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> How:
        """From keyword arguments: those that are not fields are the method's."""
        known = {name: value for name, value in given.items() if name in cls.__dataclass_fields__ and name != "options"}
        how = cls(**known, options={name: value for name, value in given.items() if name not in known})
        if how.long not in LONG:
            raise UnknownName("way to read long texts", how.long, LONG)
        if len(how.methods) > 1 and how.options:
            raise InvalidInput("options belong to one method; explain each method by a call of its own to set them.")
        return how

    @property
    def methods(self) -> list[str]:
        return [self.method] if isinstance(self.method, str) else list(self.method)

    def asked(self, baseline: str) -> list[Asked]:
        """One for each method. Raises UnknownName for a method or option that does not exist."""
        place = {"layer": self.layer, "parts": self.parts, "layers": self.layers, "attention": self.attention}
        return [Asked(method=find_method(name, self.options), baseline=baseline, **place) for name in self.methods]  # type: ignore[arg-type]


AS_USUAL = How()


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What is explained of one example: T numbers, the mean over some of its rows."""

    segments: tuple[str, ...]
    rows: tuple[int, ...]
    targets: tuple[TargetSpec, ...]  # T
    weights: tuple[Tensor, ...]  # (T, *C) for each row
    link: str = "logit"  # a key of core.targets.UNITS
    outputs: Mapping[str, float]
    more: Mapping[str, Any] = field(default_factory=dict)  # further fields of the explanation
    notes: Mapping[str, Any] = field(default_factory=dict)  # further entries of its `params`


class Explainer:
    """What the tasks share: a model borrowed for the time of a call, and handed back as it was.

    A task says how the model's outputs are read (`read`), and aims: which numbers of them are explained.
    """

    task: ClassVar[str] = ""
    cut: ClassVar[int | None] = None  # which text of a pair is read in windows where both are too long; the longer

    def __init__(self, loaded: LoadedModel) -> None:
        self.model, self.tokenizer, self.name = loaded.model, loaded.tokenizer, loaded.name
        self.adapter = Adapter.of(self.model)
        self.pad = self._token("pad_token_id")

    def _token(self, name: str) -> int | None:
        found = getattr(self.tokenizer, name, None)
        return getattr(self.model.config, name, None) if found is None else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} ({self.adapter.architecture})>"

    def read(self, output: Any) -> Tensor:
        """A model's output as numbers: (R, *C)."""
        raise NotImplementedError

    # ----------------------------------------------------------------------------------------------------------------

    def _explained(
        self, wanted: Sequence[Any], how: How, aims_of: Callable[[list[TokenWindow], list[Tensor]], list[Aim]]
    ) -> Explanations:
        """Explanations of each input, method by method, target by target."""
        baseline = how.baseline if how.baseline is not None else "zero" if self.pad is None else "pad"
        methods = how.asked(baseline)
        with frozen_model(self.model, evaluate=True):
            rows = self._encode(wanted, how)
            aims = aims_of(rows, self._outputs(rows))
            found = [self._of_method(asked, how, aims, rows) for asked in methods]
        return Explanations(why for of_text in zip(*found, strict=True) for of_method in of_text for why in of_method)

    def _of_method(
        self, asked: Asked, how: How, aims: Sequence[Aim], rows: Sequence[TokenWindow]
    ) -> list[list[Explanation]]:
        """For each aim, an explanation for each of its targets."""
        wanted = {r: (weights, aim) for aim in aims for r, weights in zip(aim.rows, aim.weights, strict=True)}
        order = list(wanted)
        results: dict[int, _OfRow] = {}
        matrices = asked.attention or asked.method.operates_on != "inputs"
        for group in self._groups([rows[r] for r in order], matrices=matrices):
            mine = [order[i] for i in group]
            batch = self._batch([rows[r] for r in mine])
            target = Target(weights=_beside([wanted[r][0] for r in mine]), unit=wanted[mine[0]][1].link)
            poser = self._poser(batch, target, asked.baseline, how.rows)
            found = scored(poser, asked)
            results.update({r: _OfRow(found, b, rows[r], poser) for b, r in enumerate(mine)})
            if how.progress:
                how.progress(len(results), len(order))
        return [
            [
                self._explanation(asked, how.unit, aim, t, [results[r] for r in aim.rows])
                for t in range(len(aim.targets))
            ]
            for aim in aims
        ]

    # Encode and predict ---------------------------------------------------------------------------------------------

    def _encode(self, wanted: Sequence[Any], how: How = AS_USUAL) -> list[TokenWindow]:
        """The rows of each input: here a text or a pair; a task that asks more than that says how."""
        limits = [self.adapter.max_length, getattr(self.tokenizer, "model_max_length", None), how.max_length]
        limit = min(n for n in limits if n)
        names = ["input_ids", "attention_mask", *self.tokenizer.model_input_names]
        shared = min(64, limit // 4) if how.stride is None else how.stride
        stride = shared if how.long == "windows" else None
        return encode(self.tokenizer, wanted, max_length=limit, stride=stride, names=names, cut=self.cut)

    def _batch(self, rows: list[TokenWindow]) -> Batch:
        inputs = pad_batch(rows, self.pad, device_of(self.model))
        return Batch(rows, inputs, text_mask(rows, device_of(self.model)))

    @property
    def _width(self) -> int:
        return self.model.get_input_embeddings().weight.shape[1]

    def _kind(self, row: TokenWindow) -> Hashable:
        """Rows of different kinds do not share a batch."""
        return None

    def _groups(self, rows: Sequence[TokenWindow], *, matrices: bool = False) -> list[list[int]]:
        """Rows that go together; where attention matrices are kept, as few as their size asks for."""
        width = self._width
        if matrices:
            config = text_config(self.model)
            heads = getattr(config, "num_attention_heads", 1)
            width = len(self.adapter.layers) * heads * max(map(len, rows))
        kinds: dict[Hashable, list[int]] = {}
        for i, row in enumerate(rows):
            kinds.setdefault(self._kind(row), []).append(i)
        return [
            [members[i] for i in group]
            for members in kinds.values()
            for group in batches([rows[m] for m in members], max(1, BATCH_ENTRIES // width), even=self.pad is None)
        ]

    def _run(self, batch: Batch, owner: Tensor) -> Tensor:
        """The model's outputs for rows that belong to `owner`, whatever hooks are on: (R, *C)."""
        return self.read(self.model(**{name: tensor[owner] for name, tensor in batch.inputs.items()}))

    def _outputs(self, rows: Sequence[TokenWindow]) -> list[Tensor]:
        """(*C) for each row, in float32 or wider."""
        found: dict[int, Tensor] = {}
        for group in self._groups(rows):
            batch = self._batch([rows[i] for i in group])
            entries = batch.movable.shape[1] * self._width
            for part, outputs in Batching().chunks(
                len(group), entries, device_of(self.model), partial(self._plain, batch)
            ):
                found.update(zip(group[part], outputs, strict=True))
        return [found[i] for i in range(len(rows))]

    @torch.no_grad()
    def _plain(self, batch: Batch, part: slice) -> Tensor:
        outputs = self._run(batch, batch.everyone[part])
        return outputs.to(torch.promote_types(outputs.dtype, torch.float32))

    # Pose the problem -----------------------------------------------------------------------------------------------

    def _poser(self, batch: Batch, target: Target, baseline: str, rows: int | None) -> Poser:
        return Poser(
            adapter=self.adapter,
            batch=batch,
            run=partial(self._run, batch),
            target=target,
            baseline=baseline,
            words=self._words(batch, baseline),
            rows=Batching(limit=rows),
        )

    def _words(self, batch: Batch, baseline: str) -> Tensor:
        words = WordEmbeddings(
            ids=batch.inputs["input_ids"],
            table=weight_of(self.model.get_input_embeddings(), partial(self._run, batch, batch.everyone)),
            pad=self.pad,
            mask=self._token("mask_token_id"),
        )
        if baseline in BASELINES:
            return BASELINES[baseline](words)
        if baseline == REFERENCE:
            return BASELINES["pad"](words)
        if " " not in baseline.strip():
            raise UnknownName("baseline", baseline, [*BASELINES, REFERENCE], "A text of your own needs two words.")
        ids = self.tokenizer(baseline, add_special_tokens=False)["input_ids"]
        return text_baseline(words, ids, batch.movable)

    # Tell what was found --------------------------------------------------------------------------------------------

    def _explanation(self, asked: Asked, unit: str, aim: Aim, target: int, of_rows: Sequence[_OfRow]) -> Explanation:
        whole = stitched(aim.segments, [row.scored(target) for row in of_rows])
        method = asked.method
        unit = unit if method.unit == "f" else ""
        by_channel = dict(zip(of_rows[0].found.channels, whole.scores, strict=True))
        notes = {
            "steps_used": whole.steps,
            "windows": len(of_rows) if len(of_rows) > 1 else None,
            "layer": asked.layer,
            **aim.notes,
        }
        flows = [by_channel[channel] for channel in by_channel if channel[0] == "layer"]
        return Explanation(
            segments=aim.segments,
            tokens=whole.tokens,
            offsets=whole.offsets,
            segment=whole.segment,
            scores=tuple(by_channel[SCORES].tolist()),
            unit=unit,
            target=aim.targets[target],
            value=whole.value,
            baseline_value=whole.baseline_value,
            outputs=aim.outputs,
            method=method.name,
            baseline=asked.baseline,
            complete=method.complete and (method.operates_on == "inputs" or of_rows[0].row.visible_positions is None),
            task=self.task,
            model=self.name,
            seed=getattr(method, "seed", 0),
            params={**asdict(method), **{name: note for name, note in notes.items() if note is not None}},  # type: ignore[call-overload]
            versions={"xai_nlp": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
            parts={name: tuple(p.tolist()) for (kind, name), p in by_channel.items() if kind == "part"},
            layers=Array(flows) if flows else None,
            attention=of_rows[0].stacks(asked, unit, target, whole.groups),
            image=of_rows[0].image(target),
            **aim.more,
        )


@dataclass(frozen=True)
class _OfRow:
    """What was found of one row of a batch."""

    found: Found
    place: int
    row: TokenWindow
    poser: Poser

    def scored(self, target: int) -> Scored:
        mine = self.found
        told = self.row.positions
        scores = torch.stack([channel[self.place, target, told] for channel in mine.channels.values()]).cpu().numpy()
        value, start = (float(end[self.place, target]) for end in (mine.value, mine.baseline_value))
        return Scored(
            self.row.visible(), scores, value, start, None if mine.steps is None else int(mine.steps[self.place])
        )

    def image(self, target: int) -> ImageAttribution | None:
        """The image with its regions' scores."""
        seen, regions = self.row.image, self.found.regions
        if seen is None:
            return None
        return seen.attribution([0.0] * len(seen.regions) if regions is None else regions[self.place, target].tolist())

    def stacks(
        self, asked: Asked, unit: str, target: int, groups: list[list[int]] | None
    ) -> dict[str, AttentionAttribution]:
        """The attention matrices that were scored, those of one kind together."""
        if not self.found.matrices:
            return {}
        if groups is None:
            raise InvalidInput(
                "a long text is read in several windows, and each has attention matrices of its own. "
                "Shorten the text, or explain one window of it."
            )
        kinds: dict[str, list[int]] = {}
        for place, number in enumerate(self.found.numbers or self.poser.attention.numbers):
            if (kind := self.poser.attention.matrices[number].stack) != "vision":  # regions × regions: too many to keep
                kinds.setdefault(kind, []).append(place)
        made = {kind: self._stack(asked, unit, target, kind, numbers) for kind, numbers in kinds.items()}
        if self.row.image is not None and "self" in kinds and self._seen.places is not None:
            made["image"] = self._stack(asked, unit, target, "joint", kinds["self"])
        starts = [group[0] for group in groups]
        length = sum(map(len, groups))
        return {kind: stack.merged(starts, length) for kind, stack in made.items()}

    def _stack(self, asked: Asked, unit: str, target: int, kind: str, numbers: Sequence[int]) -> AttentionAttribution:
        """Matrices of one kind without padding, and names for what are not the explanation's own tokens."""
        scores, (queries, keys) = self._read(kind, [self.found.matrices[n][self.place, target] for n in numbers])
        residuals = self.found.residuals
        return AttentionAttribution(
            scores=Array(scores.float().cpu().numpy()),
            layers=tuple(f"layer {k}" for k in range(len(numbers))),
            method="attention_conductance" if asked.method.operates_on == "inputs" else asked.method.name,
            unit="" if asked.method.row_stochastic else unit,
            row_stochastic=asked.method.row_stochastic,
            residuals=()
            if residuals is None or residuals.shape[2] != len(self.found.matrices)
            else tuple(residuals[self.place, target, list(numbers)].tolist()),
            queries=queries,
            keys=keys,
        )

    @property
    def _seen(self) -> Seen:
        assert self.poser.batch.seen is not None
        return self.poser.batch.seen

    def _read(self, kind: str, found: Sequence[Tensor]) -> tuple[Tensor, tuple[Names, Names]]:
        """Matrices (H, Q, K) of one kind, stacked; what their queries and keys are, None for the tokens."""
        whole = torch.stack(list(found))  # (layers, H, Q, K)
        words = self.row.positions
        outputs = tuple(f"output {i}" for i in range(whole.shape[2]))
        if kind == "decoder":
            return whole, (outputs, outputs)
        if kind == "cross":
            return whole[..., words], (outputs, None)
        if kind in ("joint", "image"):  # what words drew from regions
            whole = whole[:, :, words]
            return self._by_region(whole, joint=kind == "joint"), (None, self.row.image.regions.names)
        if kind == "words":  # what regions drew from words
            of_regions = self._by_region(whole[..., words].transpose(2, 3), joint=False).transpose(2, 3)
            return of_regions, (self.row.image.regions.names, None)
        return whole[:, :, words][..., words], (None, None)

    def _by_region(self, whole: Tensor, *, joint: bool) -> Tensor:
        """Keys that are patches of the image (layers, H, Q, K) as its regions: (layers, H, Q, M)."""
        seen = self._seen
        flat = whole.flatten(1, 2)
        places = seen.places if joint and seen.places else seen.alone(flat.shape[-1])
        drawn = seen.drawn(flat[:, :, places.patches], places.patch_ids, self.place)
        return drawn.unflatten(1, whole.shape[1:3])


def _beside(weights: Sequence[Tensor]) -> Tensor:
    """Weights (T, *C) of several rows, the last axis filled up with zeros: (B, T, *C)."""
    longest = max(w.shape[-1] for w in weights)
    return torch.stack([torch.nn.functional.pad(w, (0, longest - w.shape[-1])) for w in weights])
