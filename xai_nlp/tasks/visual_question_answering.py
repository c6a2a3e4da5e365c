"""Questions about an image: which words, which regions of the image, and how much each of the two drove the answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from xai_nlp.core.result import Explanation, Explanations
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.argument_point import deterministic_multinomial
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.generation import AnswerText
from xai_nlp.models.images import Regions, baseline_image, read_image
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.models.vision_language import (
    GenerativeVisionModel,
    RegionFeatureModel,
    VisionLanguageModel,
    vision_language_model,
)
from xai_nlp.tasks.explainer import AS_USUAL, Aim, Explainer, How
from xai_nlp.tasks.generated_answers import Forced, prompt_positions
from xai_nlp.tasks.image_inputs import Seen, Sight
from xai_nlp.tasks.labels import Labels
from xai_nlp.tasks.pose import Batch

MOVES = ("both", "text", "image")
LONGEST = 20  # tokens of an answer that is written


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A question, the image it is about, and what is wanted of the answer."""

    question: str
    sight: Sight
    target: Any = None
    answer: Any = None
    rather_than: Any = None
    rank: int = 1
    longest: int = LONGEST


class VisualQuestionAnsweringExplainer(Explainer):
    """Explains the answer to a question about an image: classifiers (ViLT, VisualBERT, LXMERT), models that write
    (BLIP, any `AutoModelForImageTextToText`).

    Words and image go from their baselines to what they are along one path, so that Σ over words + Σ over regions
    = f(x) − f(x₀): both are on one scale.
    """

    task: ClassVar[str] = "visual-question-answering"

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        if loaded.processor is None and not isinstance(vision_language_model(self.model, None), RegionFeatureModel):
            raise InvalidInput("a model that looks at images needs its processor: load(model, processor=…).")
        self.looking: VisionLanguageModel = vision_language_model(self.model, loaded.processor)
        self.forced = Forced(self.looking.generator) if isinstance(self.looking, GenerativeVisionModel) else None

    def explain(
        self,
        image: Any,
        question: str | Sequence[str],
        *,
        target: Any = None,
        answer: AnswerText | None = None,
        rather_than: AnswerText | None = None,
        rank: int = 1,
        regions: Any = "auto",
        image_baseline: str = "grey",
        moves: str = "both",
        features: Any = None,
        boxes: Any = None,
        longest: int = LONGEST,
        **how: Any,
    ) -> Explanation | Explanations:
        """One signed score a word of the question and a region of the image: how much each drove the answer.

        image: a path, bytes, a PIL image or an array; or a list of them, one for each question. One image may serve
            many questions.
        target: of a classifier, an answer's name or index, or a contrast "red-blue"; None is the answer at `rank`. Of a
            model that writes, "answer", the whole answer's log-probability, or "words", each of its tokens on its own.
        answer: the answer explained; None is the one that the model gives. rather_than: another one; then what is
            explained is why this and not that. Where the answer is written: at the first token in which they differ.
        regions: "auto" (the model's patches, or a grid where they are too many), "patches", a number of cells along the
            longer side, "slic", or an array (height, width) of whole numbers, one for each region.
        image_baseline: "grey", "black", "white", "mean", "blur" or "noise"; features given start from zero.
        moves: "both", or "text" or "image" alone, the other one held as it is.
        features, boxes: for models that are given what a detector found: (N, F), and (N, 4) in pixels of the image.
        how: the fields of `tasks.explainer.How` (method, baseline, unit, attention, …) and the options of the method.

        Raises InvalidInput for an image that cannot be read, an empty question, or an answer that cannot be given.
        """
        asked = How.of({"unit": "log-probability" if self.forced else "logit", **how})
        if moves not in MOVES:
            raise UnknownName("part that moves", moves, MOVES)
        single = isinstance(question, str)
        questions = self._questions(question)
        images = list(image) if isinstance(image, (list, tuple)) else [image] * len(questions)
        if len(images) != len(questions):
            raise InvalidInput(f"{len(questions)} questions need as many images, or one; got {len(images)}.")
        seed = asked.options.get("seed", 0)
        sights: dict[int, Sight] = {}
        with frozen_model(self.model, evaluate=True):
            for one in images:
                if id(one) not in sights:
                    sights[id(one)] = self._sight(one, regions, image_baseline, seed, features, boxes).moving(moves)
        wanted = {"target": target, "answer": answer, "rather_than": rather_than, "rank": rank, "longest": longest}
        looked = [Looked(question=q, sight=sights[id(one)], **wanted) for q, one in zip(questions, images, strict=True)]
        notes = {"moves": None if moves == "both" else moves, "image_baseline": image_baseline}

        def aims(rows: list[TokenWindow], outputs: list[Tensor]) -> list[Aim]:
            return [
                self._aim(one, row, read, asked.unit, notes)
                for one, row, read in zip(looked, rows, outputs, strict=True)
            ]

        found = self._explained(looked, asked, aims)
        one_each = isinstance(asked.method, str) and len(found) == len(questions)
        return found[0] if single and one_each else found

    def predict(self, image: Any, question: str, *, longest: int = LONGEST, **given: Any) -> dict[str, float]:
        """Answers with their probabilities: all of a classifier's; of a model that writes, the one it gives."""
        with frozen_model(self.model, evaluate=True):
            sight = self._sight(image, "auto", "grey", 0, given.get("features"), given.get("boxes"))
            looked = Looked(question=self._questions(question)[0], sight=sight, longest=longest)
            (row,) = self._encode([looked])
            (outputs,) = self._outputs([row])
        return self.forced.shown(row, outputs) if self.forced else self._labels.shown(outputs)

    @cached_property
    def _labels(self) -> Labels:
        """The answers that a classifier chooses from."""
        return Labels.of(self.model.config)

    # Look -----------------------------------------------------------------------------------------------------------

    @staticmethod
    def _questions(question: str | Sequence[str]) -> list[str]:
        questions = [question] if isinstance(question, str) else list(question)
        for i, text in enumerate(questions):
            if not isinstance(text, str) or not text.strip():
                raise InvalidInput(f"question {i} is empty: a question is a text with at least one word.")
        if not questions:
            raise InvalidInput("there is nothing to explain: no questions were given.")
        return questions

    def _sight(self, source: Any, wanted: Any, baseline: str, seed: int, features: Any, boxes: Any) -> Sight:
        image = read_image(source)
        if isinstance(self.looking, RegionFeatureModel):
            return self._given(self.looking, image, features, boxes)
        if features is not None or boxes is not None:
            raise InvalidInput(f"{self.adapter.architecture} looks at the image itself; leave out features and boxes.")
        inputs = self.looking.image_inputs(image)
        start = self.looking.image_inputs(baseline_image(image, baseline, seed))[self.looking.image_argument]
        found = self.looking.patches(image).regions(image, wanted)
        return Sight(image, inputs, self.looking.image_argument, start, found)

    @staticmethod
    def _given(family: RegionFeatureModel, image: Any, features: Any, boxes: Any) -> Sight:
        if features is None or boxes is None:
            raise InvalidInput("this model is given what a detector found in the image: features=(N, F), boxes=(N, 4).")
        found, where = torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(boxes, dtype=torch.float32)
        if found.ndim != 2 or where.shape != (len(found), 4):
            raise InvalidInput(
                f"features are (N, F) and boxes (N, 4); got {tuple(found.shape)} and {tuple(where.shape)}."
            )
        inputs = family.region_inputs(found[None], (where / torch.tensor([*image.size, *image.size]))[None])
        each = torch.arange(len(found))
        regions = Regions(each[None, :, None], tuple(tuple(box) for box in where.tolist()), each)
        return Sight(image, inputs, family.image_argument, torch.zeros_like(inputs[family.image_argument]), regions)

    # Encode ---------------------------------------------------------------------------------------------------------

    def _encode(self, wanted: Sequence[Looked], how: How = AS_USUAL) -> list[TokenWindow]:
        if self.forced:
            return [self._prompt(e, one) for e, one in enumerate(wanted)]
        rows = super()._encode([one.question for one in wanted], replace(how, long="error"))
        return [replace(row, image=wanted[row.example].sight) for row in rows]

    def _prompt(self, example: int, one: Looked) -> TokenWindow:
        """The tokens of an explanation are the question's; the template's, the image's and the answer's stay."""
        assert isinstance(self.looking, GenerativeVisionModel) and self.forced
        prompt = self.looking.build_prompt(one.sight.image, one.question, one.answer, one.longest)
        sight = replace(one.sight, inputs={**one.sight.inputs, **prompt.image})
        told = prompt_positions(prompt.segment)
        row = TokenWindow(example, prompt.inputs, prompt.tokens, prompt.offsets, prompt.segment, told, sight)
        return self.forced.row(row, prompt.answer_ids, one.rather_than)

    def _batch(self, rows: list[TokenWindow]) -> Batch:
        batch = super()._batch(rows)
        length = batch.movable.shape[1]
        places = self.looking.sequence_positions(rows[0], length, rows[0].image.regions)
        if not rows[0].image.words_move:
            batch.movable[:] = False
        return replace(batch, seen=Seen.of([row.image for row in rows], device_of(self.model), places))

    def _kind(self, row: TokenWindow) -> Hashable:
        """Images of one shape go together; a model that writes gets one at a time."""
        shape = row.image.inputs[row.image.pixels].shape
        return row.example if row.answer_ids else (shape, len(row.image.regions))

    def _run(self, batch: Batch, owner: Tensor) -> Tensor:
        assert batch.seen is not None
        inputs = {name: tensor[owner] for name, tensor in batch.inputs.items()}
        with deterministic_multinomial():
            logits = self.looking.answer_logits({**inputs, **batch.seen.of_owners(owner)}, batch.rows[0].answer_ids)
        return self.forced.read(logits, batch.rows, owner) if self.forced else logits

    # Aim ------------------------------------------------------------------------------------------------------------

    def _aim(self, one: Looked, row: TokenWindow, read: Tensor, unit: str, notes: Mapping[str, Any]) -> Aim:
        if self.forced is None:
            return self._chosen(one, row, read, unit, notes)
        if one.rank != 1:
            raise InvalidInput("a model that writes its answer ranks none; give the answer: answer='…'.")
        target = self.forced.checked(one.target, unit)
        return self.forced.aim(
            one.question, row, read, target=target, unit=unit, rather_than=one.rather_than, notes=notes
        )

    def _chosen(self, one: Looked, row: TokenWindow, logits: Tensor, unit: str, notes: Mapping[str, Any]) -> Aim:
        """An answer of a classifier, or one rather than another."""
        wanted = one.answer if one.target is None else one.target
        if wanted is None:
            if not 1 <= one.rank <= len(logits):
                raise InvalidInput(f"rank is from 1, the model's answer, to {len(logits)}; got {one.rank}.")
            wanted = int(logits.topk(one.rank).indices[-1])
        spec, weights = self._labels.weights(wanted, logits, unit)
        spec = replace(spec, kind="answer")
        if one.rather_than is not None:
            other, less = self._labels.weights(one.rather_than, logits, unit)
            if spec.contrast is not None or other.contrast is not None:
                raise InvalidInput("a contrast compares two answers: target='A-B', or target='A', rather_than='B'.")
            if other.label == spec.label:
                raise InvalidInput(f"the contrast compares {spec.label!r} with itself.")
            spec, weights = replace(spec, contrast=other.label), weights - less
        return Aim(
            segments=(one.question,),
            rows=(row.example,),
            targets=(spec,),
            weights=(weights[None].to(logits.device),),
            link=self._labels.link(unit),
            outputs=self._labels.shown(logits),
            notes=notes,
        )
