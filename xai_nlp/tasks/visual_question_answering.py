"""Visual question answering: which words, which regions of the image, and the share of each in the answer."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.deterministic import deterministic_multinomial
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.generation import AnswerText
from xai_nlp.models.images import Regions, read_image
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.models.vision_language import (
    GenerativeVisionModel,
    RegionFeatureModel,
    VisionLanguageModel,
    vision_language_model,
)
from xai_nlp.tasks.batch import WindowBatch
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.generated_answers import GeneratedAnswers, prompt_positions, read_answers
from xai_nlp.tasks.image_inputs import ImageBatch, ImageInput
from xai_nlp.tasks.labels import Labels
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import Task

MOVES = ("both", "text", "image")
LONGEST = 20  # tokens of a written answer


class VisualQuestionAnsweringExplainer(Explainer):
    """Explains the answer to a question about an image.

    Models: classifiers (ViLT, VisualBERT, LXMERT) and models that write (BLIP, any `AutoModelForImageTextToText`).
    Words and image go from their baselines to x along one path, so Σ over words + Σ over regions = f(x) − f(x₀): both
    are on one scale.
    """

    task_name: ClassVar[str] = "visual-question-answering"
    python_options: ClassVar[tuple[str, ...]] = ("features", "boxes")

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        if loaded.processor is None and not isinstance(vision_language_model(self.model, None), RegionFeatureModel):
            raise InvalidInput("a model that looks at images needs its processor: load(model, processor=…).")
        self.family: VisionLanguageModel = vision_language_model(self.model, loaded.processor)
        self.generated: GeneratedAnswers | None = None
        if isinstance(self.family, GenerativeVisionModel):
            self.generated = GeneratedAnswers(self.family.generator)
            self.unit = "log-probability"  # type: ignore[misc]

    def explain(
        self,
        image: Any,
        question: str | Sequence[str] | None = None,
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
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each word of the question and each region of the image: how much it drove the answer.

        image: a path, bytes, a PIL image or an array; or a list of them, one for each question. One image may serve
            many questions.
        target: of a classifier, an answer's name or index, or a contrast "red-blue"; None is the answer at `rank`. Of a
            model that writes, "answer", the whole answer's log-probability, or "words", each of its tokens apart.
        answer: the answer to explain; None is the one that the model gives. rather_than: another one; then the contrast
            is explained. Where the answer is written: at the first token in which they differ.
        regions: "auto" (the model's patches, or a grid where they are too many), "patches", a number of cells along the
            longer side, "slic", or an array (height, width) of whole numbers, one for each region.
        image_baseline: "grey", "black", "white", "mean", "blur" or "noise"; region features start from zero.
        moves: "both", or "text" or "image" alone, with the other one fixed.
        features, boxes: for models that read a detector's features: (N, F), and (N, 4) in pixels of the image.
        options: those of `tasks.options.ExplainOptions` and of the method.

        Raises InvalidInput for an image that cannot be read, an empty question, or an answer that cannot be given.
        """
        own = {
            "target": target, "answer": answer, "rather_than": rather_than, "rank": rank, "regions": regions,
            "image_baseline": image_baseline, "moves": moves, "features": features, "boxes": boxes, "longest": longest,
        }  # fmt: skip
        return self._explain({"image": image, "question": question}, {**own, **options})

    def example(self) -> dict[str, Any]:
        example = super().example()
        if self.generated is not None:
            example["answer"] = "yes"  # its own might be empty
        if isinstance(self.family, RegionFeatureModel):
            width, height = example["image"].size
            example["boxes"] = [(0, 0, width // 2, height), (width // 2, 0, width, height)]
            example["features"] = torch.randn(2, self.family.features, generator=torch.Generator().manual_seed(0))
        return example

    def gives_several(self, request: Request) -> bool:
        return False

    def texts(self, request: Request) -> list[Any]:
        questions = [example["question"] for example in request.examples]
        for i, text in enumerate(questions):
            if not isinstance(text, str) or not text.strip():
                raise InvalidInput(f"question {i} is empty: a question is a text with at least one word.")
        return questions

    @cached_property
    def labels(self) -> Labels | None:
        """The answers that a classifier chooses from; None for a model that writes its answer."""
        return Labels.of(self.model.config) if self.generated is None else None

    # Encode ---------------------------------------------------------------------------------------------------------

    def encode(self, request: Request) -> list[TokenWindow]:
        questions = self.texts(request)
        images = self._images(request)
        if self.generated is None:
            windows = self.encode_texts(questions, replace(request.options, long="error"))
            return [replace(window, image=images[window.example]) for window in windows]
        pairs = zip(questions, images, strict=True)
        return [self._prompt(e, question, image, request) for e, (question, image) in enumerate(pairs)]

    def _images(self, request: Request) -> list[ImageInput]:
        """The image of each example; one that serves many questions is processed once."""
        own = request.own
        moves = own.get("moves", "both")
        check_choice("part that moves", moves, MOVES)
        by_object: dict[int, ImageInput] = {}
        for example in request.examples:
            source = example["image"]
            if id(source) not in by_object:
                by_object[id(source)] = self._image(source, request).moving(moves)
        return [by_object[id(example["image"])] for example in request.examples]

    def _image(self, source: Any, request: Request) -> ImageInput:
        own, image = request.own, read_image(source)
        features, boxes = own.get("features"), own.get("boxes")
        if isinstance(self.family, RegionFeatureModel):
            return _detected(self.family, image, features, boxes)
        if features is not None or boxes is not None:
            raise InvalidInput(f"{self.adapter.architecture} looks at the image itself; leave out features and boxes.")
        return ImageInput.of(self.family, image, request)

    def _prompt(self, example: int, question: str, image: ImageInput, request: Request) -> TokenWindow:
        """The prompt and its answer; only the question's tokens are listed."""
        assert isinstance(self.family, GenerativeVisionModel) and self.generated
        answer, longest = request.own.get("answer"), request.own.get("longest", LONGEST)
        count, limit = len(self.tokenizer(question)["input_ids"]), self.adapter.max_length
        if limit and count > limit:
            raise InvalidInput(f"the question has {count} tokens and the model takes {limit}. Shorten it.")
        window = self.family.build_prompt(image.image, question, answer, longest)
        window = replace(
            window,
            example=example,
            visible_positions=prompt_positions(window.segment),
            image=replace(image, inputs={**image.inputs, **window.image}),
        )
        return self.generated.with_answer(window, window.answer_ids, request.own.get("rather_than"))

    # Run ------------------------------------------------------------------------------------------------------------

    def batch(self, windows: Sequence[TokenWindow]) -> WindowBatch:
        batch = super().batch(windows)
        first: ImageInput = windows[0].image
        positions = self.family.sequence_positions(windows[0], batch.movable.shape[1], first.regions)
        if not first.words_move:
            batch.movable[:] = False
        images = ImageBatch.of([window.image for window in windows], device_of(self.model), positions)
        return replace(batch, images=images)

    def batch_key(self, window: TokenWindow) -> Hashable:
        """Images of one shape share a batch; a model that writes gets one at a time."""
        return window.example if window.answer_ids else window.image.key

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        assert batch.images is not None
        inputs = {name: tensor[owner] for name, tensor in batch.inputs.items()}
        inputs |= batch.images.arguments(arguments, owner)
        with deterministic_multinomial():
            logits = self.family.answer_logits(inputs, batch.windows[0].answer_ids)
        return read_answers(logits, batch.windows, owner) if self.generated else logits

    # Targets --------------------------------------------------------------------------------------------------------

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        own, unit = request.own, request.options.unit or self.unit
        moves = own.get("moves", "both")
        notes = {
            "moves": None if moves == "both" else moves,
            "image_baseline": own.get("image_baseline", "grey"),
        }
        examples = [request.examples[window.example]["question"] for window in windows]
        if self.generated is None:
            return [
                self._class_target(question, w, logits, own, unit, notes)
                for w, (question, logits) in enumerate(zip(examples, outputs, strict=True))
            ]
        if own.get("rank", 1) != 1:
            raise InvalidInput("a model that writes its answer ranks none; give the answer: answer='…'.")
        options: dict[str, Any] = {name: own.get(name) for name in ("target", "rather_than", "answer")}
        return [
            self.generated.target(question, window, w, values, unit=unit, notes=notes, **options)
            for w, (question, window, values) in enumerate(zip(examples, windows, outputs, strict=True))
        ]

    def _class_target(
        self, question: str, number: int, logits: Tensor, own: Mapping[str, Any], unit: str, notes: Mapping[str, Any]
    ) -> ExampleTarget:
        """An answer of a classifier, or one rather than another."""
        assert self.labels is not None
        choice = own.get("answer") if own.get("target") is None else own["target"]
        if choice is None:
            rank = own.get("rank", 1)
            if not 1 <= rank <= len(logits):
                raise InvalidInput(f"rank is from 1, the model's answer, to {len(logits)}; got {rank}.")
            choice = int(logits.topk(rank).indices[-1])
        link = self.labels.link(unit)
        (spec,), weights = self.labels.weights([choice], logits[None], unit)
        spec = replace(spec, kind="answer")
        if own.get("rather_than") is not None:
            (other,), less = self.labels.weights([own["rather_than"]], logits[None], unit)
            if spec.contrast is not None or other.contrast is not None:
                raise InvalidInput("a contrast compares two answers: target='A-B', or target='A', rather_than='B'.")
            if other.label == spec.label:
                raise InvalidInput(f"the contrast compares {spec.label!r} with itself.")
            spec, weights = replace(spec, contrast=other.label), weights - less
        return ExampleTarget(
            segments=(question,),
            windows=(number,),
            specs=(spec,),
            weights=(weights,),
            link=link,
            outputs=self.labels.outputs(logits[None])[0],
            notes=notes,
        )


def _detected(family: RegionFeatureModel, image: Any, features: Any, boxes: Any) -> ImageInput:
    """An image whose regions a detector found. Raises InvalidInput if they are missing or do not fit."""
    if features is None or boxes is None:
        raise InvalidInput("this model reads a detector's features of the image: features=(N, F), boxes=(N, 4).")
    vectors, places = torch.as_tensor(features, dtype=torch.float32), torch.as_tensor(boxes, dtype=torch.float32)
    if vectors.ndim != 2 or places.shape != (len(vectors), 4):
        raise InvalidInput(
            f"features are (N, F) and boxes (N, 4); got {tuple(vectors.shape)} and {tuple(places.shape)}."
        )
    inputs = family.region_inputs(vectors[None], (places / torch.tensor([*image.size, *image.size]))[None])
    each = torch.arange(len(vectors))
    regions = Regions(each[None, :, None], tuple(tuple(box) for box in places.tolist()), each)
    start = torch.zeros_like(inputs[family.image_argument])
    return ImageInput(image=image, inputs=inputs, argument=family.image_argument, baseline=start, regions=regions)
