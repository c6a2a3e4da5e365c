"""From a text to an Explanation: encode, predict, fix the target, pose the problem, let a method score it, stitch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import torch
import transformers
from torch import Tensor

from xai_nlp._version import __version__
from xai_nlp.core.baseline import BASELINES, Words, text_baseline
from xai_nlp.core.features import NO_FEATURE, Groups
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.reduce import REDUCTIONS
from xai_nlp.core.registry import Method
from xai_nlp.core.result import SPECIAL, Explanation, Explanations
from xai_nlp.core.rows import Progress, Rows
from xai_nlp.core.target import Target
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.embeddings import evaluate_sites
from xai_nlp.hooks.replace import replaced
from xai_nlp.hooks.scope import Site
from xai_nlp.hooks.state import borrowed
from xai_nlp.methods import find_method
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.encode import Row, Text, batches, encode, padded, segments_of
from xai_nlp.models.load import Loaded
from xai_nlp.tasks.labels import Labels
from xai_nlp.tasks.stitch import Scored, stitched

Wanted = str | int | None
LONG = ("windows", "error")  # what becomes of texts longer than the model
BATCH_ENTRIES = 2**23  # tokens × width of the texts whose scores are in memory at once


@dataclass(frozen=True, kw_only=True)
class Request:
    """How to explain: what every text of one call shares."""

    method: Method
    baseline: str
    unit: str
    layer: int | None
    rows: int | None


@dataclass(frozen=True)
class Batch:
    """Rows side by side, as the model takes them."""

    rows: list[Row]
    inputs: dict[str, Tensor]  # (B, L) each
    movable: Tensor  # (B, L) bool: the places of words; not special tokens, not padding

    @property
    def everyone(self) -> Tensor:
        return torch.arange(len(self.rows), device=self.movable.device)


class Explainer:
    """Explains what a text classifier says: single texts, pairs, many labels, regression.

    The model is borrowed for the time of a call: put into evaluation mode, and handed back as it was.
    """

    def __init__(self, loaded: Loaded) -> None:
        self.model, self.tokenizer, self.name = loaded.model, loaded.tokenizer, loaded.name
        self.adapter = Adapter.of(self.model)
        self.labels = Labels.of(self.model.config)
        self.pad = self._token("pad_token_id")

    def _token(self, name: str) -> int | None:
        found = getattr(self.tokenizer, name, None)
        return getattr(self.model.config, name, None) if found is None else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} ({self.adapter.architecture}): {', '.join(self.labels.names[:6])}>"

    # ----------------------------------------------------------------------------------------------------------------

    def explain(
        self,
        text: Text | Sequence[Text],
        *,
        target: Wanted | Sequence[Wanted] = None,
        method: str | Sequence[str] = "integrated_gradients",
        baseline: str | None = None,
        unit: str = "logit",
        layer: int | None = None,
        long: Literal["windows", "error"] = "windows",
        max_length: int | None = None,
        stride: int | None = None,
        rows: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> Explanation | Explanations:
        """One signed score a token: how much each drove the target.

        text: a string, a pair as a tuple, or a list of those; a list gives Explanations, in the same order.
        target: a label's name or index, a contrast "A-B", or None for the predicted label; a list gives one a text.
        method: a name of `xai-nlp methods`, or several for the same text. `options` are the method's own.
        baseline: "pad", "mask", "zero", "mean", or a text; None is pad, or zero where the tokenizer has no pad token.
        unit: what is explained: the label's logit, its probability, or that one's logarithm (natural).
        layer: None explains the input embeddings; k the output of block k.
        long: texts longer than the model are read in windows that share `stride` tokens (a quarter of a window, at most
            64, if not given) and explained as the mean over them; "error" refuses them.
        rows: at most so many model rows at a time; None lets the engine choose.

        Raises UnknownName for a label, method, option or layer that does not exist; InvalidInput for a text with
        nothing to read.
        """
        single = isinstance(text, (str, tuple))
        texts: list[Text] = [text] if single else list(text)  # type: ignore[list-item]
        if not texts:
            raise InvalidInput("there is nothing to explain: no texts were given.")
        if long not in LONG:
            raise UnknownName("way to read long texts", long, LONG)
        several = [] if isinstance(method, str) else list(method)
        if several and options:
            raise InvalidInput("options belong to one method; explain each method by a call of its own to set them.")
        requests = [
            Request(
                method=find_method(name, options), baseline=self._baseline(baseline), unit=unit, layer=layer, rows=rows
            )
            for name in several or [str(method)]
        ]
        wanted: list[Wanted] = list(target) if isinstance(target, (list, tuple)) else [target] * len(texts)  # type: ignore[list-item]
        if len(wanted) != len(texts):
            raise InvalidInput(f"{len(texts)} texts need as many targets, or one for all; got {len(wanted)}.")
        with borrowed(self.model, evaluate=True):
            encoded = self._encode(texts, max_length, stride, long=long)
            logits = self._logits(encoded)
            means = torch.stack([logits[[r.example == e for r in encoded]].mean(0) for e in range(len(texts))])
            goal = self.labels.target(wanted, means, unit)
            found = [self._explained(request, texts, encoded, means, goal, progress) for request in requests]
        results = Explanations(of_text for of_texts in zip(*found, strict=True) for of_text in of_texts)
        return results[0] if single and not several else results

    def predict(self, text: Text | Sequence[Text]) -> dict[str, float] | list[dict[str, float]]:
        """Every label's probability, or raw output for a regression; a list for a list of texts."""
        single = isinstance(text, (str, tuple))
        texts: list[Text] = [text] if single else list(text)  # type: ignore[list-item]
        with borrowed(self.model, evaluate=True):
            encoded = self._encode(texts)
            logits = self._logits(encoded)
        shown = [self.labels.shown(logits[[r.example == e for r in encoded]].mean(0)) for e in range(len(texts))]
        return shown[0] if single else shown

    # Encode and predict ---------------------------------------------------------------------------------------------

    def _baseline(self, name: str | None) -> str:
        return name if name is not None else "zero" if self.pad is None else "pad"

    def _encode(
        self, texts: Sequence[Text], max_length: int | None = None, stride: int | None = None, *, long: str = "windows"
    ) -> list[Row]:
        limits = [self.adapter.max_length, getattr(self.tokenizer, "model_max_length", None), max_length]
        limit = min(n for n in limits if n)
        names = ["input_ids", "attention_mask", *self.tokenizer.model_input_names]
        shared = min(64, limit // 4) if stride is None else stride
        return encode(
            self.tokenizer, texts, max_length=limit, stride=shared if long == "windows" else None, names=names
        )

    def _batch(self, rows: list[Row]) -> Batch:
        inputs = padded(rows, self.pad, self.model.device)
        movable = torch.zeros_like(inputs["input_ids"], dtype=torch.bool)
        for b, row in enumerate(rows):
            movable[b, : len(row)] = torch.tensor([segment != SPECIAL for segment in row.segment])
        return Batch(rows, inputs, movable)

    def _groups(self, rows: Sequence[Row]) -> list[list[int]]:
        width = self.model.get_input_embeddings().weight.shape[1]
        return batches(rows, BATCH_ENTRIES // width, even=self.pad is None)

    def _run(self, batch: Batch, owner: Tensor) -> Tensor:
        """The model's logits for rows that belong to `owner`, whatever hooks are on: (R, C)."""
        return self.model(**{name: tensor[owner] for name, tensor in batch.inputs.items()}).logits

    def _logits(self, rows: Sequence[Row]) -> Tensor:
        """(rows, C), in float32 or wider."""
        found: dict[int, Tensor] = {}
        for group in self._groups(rows):
            batch = self._batch([rows[i] for i in group])
            entries = batch.movable.shape[1] * self.model.get_input_embeddings().weight.shape[1]
            for part, logits in Rows().chunks(len(group), entries, self.model.device, partial(self._plain, batch)):
                found.update(zip(group[part], logits, strict=True))
        return torch.stack([found[i] for i in range(len(rows))])

    @torch.no_grad()
    def _plain(self, batch: Batch, part: slice) -> Tensor:
        logits = self._run(batch, batch.everyone[part])
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    # Pose the problem and score it ----------------------------------------------------------------------------------

    def _explained(
        self,
        request: Request,
        texts: Sequence[Text],
        rows: Sequence[Row],
        means: Tensor,
        goal: Target,
        progress: Progress | None,
    ) -> list[Explanation]:
        scored: dict[int, Scored] = {}
        for group in self._groups(rows):
            batch = self._batch([rows[i] for i in group])
            mine = torch.tensor([rows[i].example for i in group], device=goal.weights.device)
            target = Target(names=goal.names, weights=goal.weights[mine], unit=goal.unit)
            scored.update(zip(group, self._scored(request, batch, target), strict=True))
            if progress:
                progress(len(scored), len(rows))
        return [
            self._explanation(
                request,
                segments_of(text),
                [scored[i] for i, row in enumerate(rows) if row.example == e],
                means[e],
                goal.names[e],
            )
            for e, text in enumerate(texts)
        ]

    def _problem(self, request: Request, batch: Batch, target: Target) -> Problem:
        """The embeddings, or a layer's output, move from the baseline's to the text's; everything else stays.

        The token ids stay too: positions, types and masks come out right, and only what the site carries is replaced.
        """
        layer = None if request.layer is None else self.adapter.layer(request.layer)
        moved = self.adapter.embeddings if layer is None or request.method.inner else layer
        x, x0 = self._ends(batch, moved, request.baseline)

        def value(z: Tensors, owner: Tensor) -> Tensor:
            with replaced([(moved, z)]):
                return target(self._run(batch, owner), owner)

        places = torch.arange(batch.movable.shape[1], device=batch.movable.device)
        return Problem(
            value=value,
            x=x,
            baseline=x0,
            sites=(layer,) if layer is not None and request.method.inner else (),
            features=Groups.of([torch.where(batch.movable, places, NO_FEATURE)[:, :, None]]),
            rows=Rows(limit=request.rows),
        )

    def _ends(self, batch: Batch, moved: Site, baseline: str) -> tuple[Tensors, Tensors]:
        """What the site carries for the text and for its baseline: (B, L, D) each.

        A baseline is a change of words: their vectors are replaced where they leave the word embedding.
        """
        word = self.adapter.word
        with torch.no_grad():
            run = lambda: self._run(batch, batch.everyone)  # noqa: E731
            (vectors,) = evaluate_sites([word], run)
            (x,) = evaluate_sites([moved], run)
            other = torch.where(batch.movable[:, :, None], self._words(batch, baseline), vectors[0])
            (x0,) = evaluate_sites([moved], run, replacements=[(word, [other])])
        return x, x0

    def _words(self, batch: Batch, baseline: str) -> Tensor:
        words = Words(
            ids=batch.inputs["input_ids"],
            table=self.model.get_input_embeddings().weight.detach(),
            pad=self.pad,
            mask=self._token("mask_token_id"),
        )
        if baseline in BASELINES:
            return BASELINES[baseline](words)
        if " " not in baseline.strip():
            raise UnknownName("baseline", baseline, BASELINES, "A text of your own needs at least two words.")
        ids = self.tokenizer(baseline, add_special_tokens=False)["input_ids"]
        return text_baseline(words, ids, batch.movable)

    def _scored(self, request: Request, batch: Batch, target: Target) -> list[Scored]:
        problem = self._problem(request, batch, target)
        scores = request.method.scores(problem)
        (tensor,) = scores.tensors  # (B, 1, L, D), or (B, 1, L, 1)
        per_token = REDUCTIONS[request.method.reduction](tensor.double())[:, 0].tolist()
        ends = [
            problem.values(z, problem.everyone) if known is None else known
            for z, known in ((problem.x, scores.value), (problem.baseline, scores.baseline_value))
        ]
        value, baseline_value = (end[:, 0].tolist() for end in ends)
        steps = [None] * len(batch.rows) if scores.steps is None else scores.steps.tolist()
        return [
            Scored(row, tuple(per_token[b][: len(row)]), value[b], baseline_value[b], steps[b])
            for b, row in enumerate(batch.rows)
        ]

    def _explanation(
        self, request: Request, segments: tuple[str, ...], windows: list[Scored], logits: Tensor, target: str
    ) -> Explanation:
        whole = stitched(segments, windows)
        method = request.method
        used = {"steps_used": whole.steps} if whole.steps is not None else {}
        cut = {"windows": len(windows)} if len(windows) > 1 else {}
        place = {} if request.layer is None else {"layer": request.layer}
        return Explanation(
            segments=segments,
            tokens=whole.tokens,
            offsets=whole.offsets,
            segment=whole.segment,
            scores=whole.scores,
            unit=request.unit if method.unit == "f" else "",
            target=target,
            value=whole.value,
            baseline_value=whole.baseline_value,
            outputs=self.labels.shown(logits),
            method=method.name,
            baseline=request.baseline,
            complete=method.complete,
            model=self.name,
            seed=getattr(method, "seed", 0),
            params={**asdict(method), **used, **cut, **place},  # type: ignore[call-overload]
            versions={"xai_nlp": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
        )
