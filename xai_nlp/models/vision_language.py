"""How families of models take an image with a question, and where its patches stand among the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xai_nlp.core.reductions import Span
from xai_nlp.core.result import SPECIAL
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.generation import AnswerText, Generator, apply_chat_template
from xai_nlp.models.images import Patches, Regions, patches
from xai_nlp.models.layout import base_of
from xai_nlp.models.teacher_forcing import append_answer
from xai_nlp.models.tokenization import TokenWindow


@dataclass(frozen=True, eq=False)
class SequencePositions:
    """Where the words and the patches of an image stand in a sequence that the model attends over."""

    words: Tensor  # (L,) positions
    patches: Tensor  # (P,) positions that hold parts of the image
    patch_ids: Tensor  # (P, k) which patches each of those holds
    image_positions: tuple[int, ...] = ()  # positions that stand for the image as a whole


class VisionLanguageModel:
    """A classifier whose image enters as pixels: ViLT. Its sequence is words, a position of the image's own, patches.

    image_argument: the argument that the image enters by.
    """

    image_argument = "pixel_values"

    def __init__(self, model: Any, processor: Any) -> None:
        self.model, self.processor = model, processor

    @cached_property
    def patch(self) -> int:
        """Side of a patch in pixels of the processed image."""
        size = getattr(_vision(self.model.config), "patch_size", None)
        size = size[0] if isinstance(size, (list, tuple)) else size
        if not size:
            raise Unsupported(f"{type(self.model).__name__} does not tell its patch size (`config.patch_size`).")
        return int(size)

    def image_inputs(self, image: Any) -> dict[str, Tensor]:
        """What the processor makes of an image, as arguments of the model: (1, *S) each, or packed."""
        made = getattr(self.processor, "image_processor", self.processor)(images=[image], return_tensors="pt")
        return self.with_image_axis({name: value for name, value in made.items() if isinstance(value, Tensor)})

    def with_image_axis(self, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """An image's tensors, each with an axis for the image: patches in one long list get one."""
        packed = made[self.image_argument].ndim == 2
        return {name: self.in_precision(value[None] if packed else value) for name, value in made.items()}

    def in_precision(self, value: Tensor) -> Tensor:
        """Numbers in the model's precision, or in float32 where that is more: a path has finer steps than bfloat16."""
        precision = torch.promote_types(self.model.dtype, torch.float32)
        return value.to(precision) if value.is_floating_point() else value

    def patches(self, image: Any) -> Patches:
        return patches(self.image_inputs, image, self.image_argument, self.patch)

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        """Where words and patches stand for a batch of `length` tokens; None where they are in no one sequence."""
        count = len(regions.patch_regions)
        each = torch.arange(count)
        return SequencePositions(torch.arange(length), length + 1 + each, each[:, None], (length,))

    def answer_logits(self, inputs: Mapping[str, Tensor], written: Sequence[int]) -> Tensor:
        """The logits of all answers (R, C), or of each word written, after those before it (R, n, V)."""
        return self.model(**inputs).logits


class RegionFeatureModel(VisionLanguageModel):
    """A classifier that is given features of regions, which a detector found: VisualBERT. They follow the words."""

    image_argument = "visual_embeds"

    def region_inputs(self, features: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """Arguments of the model: features (1, N, F), boxes (1, N, 4) as shares of width and height."""
        ones = torch.ones(features.shape[:2], dtype=torch.long)
        return {
            "visual_embeds": features.to(self.model.dtype),
            "visual_attention_mask": ones,
            "visual_token_type_ids": ones,
        }

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        each = torch.arange(len(regions.patch_regions))
        return SequencePositions(torch.arange(length), length + each, each[:, None])


class Lxmert(RegionFeatureModel):
    """LXMERT: words and regions have encoders of their own, that look at each other."""

    image_argument = "visual_feats"

    def region_inputs(self, features: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        return {name: t.to(self.model.dtype) for name, t in (("visual_feats", features), ("visual_pos", boxes))}

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        return None

    def answer_logits(self, inputs: Mapping[str, Tensor], written: Sequence[int]) -> Tensor:
        return self.model(**inputs).question_answering_score


@dataclass(frozen=True)
class VisionPrompt:
    """A question as a generating model reads it, with the answer that follows: S tokens."""

    inputs: dict[str, list[int]]  # what has a number for each token
    tokens: tuple[str, ...]
    offsets: tuple[Span, ...]  # in characters of the question
    segment: tuple[int, ...]  # 0 for the question's; SPECIAL for all else
    answer: tuple[int, ...]  # the tokens of the answer
    image: dict[str, Tensor]  # the image's tensors


class GenerativeVisionModel(VisionLanguageModel):
    """A model that writes its answer after image and question: any `AutoModelForImageTextToText` with a chat template.

    Where the template is missing (PaliGemma), the processor puts the image before the question.
    """

    answer_start: int | None = None  # where the answer begins in what the model generates; None is after the prompt

    def build_prompt(self, image: Any, question: str, answer: AnswerText | None, longest: int) -> VisionPrompt:
        """The prompt, with the answer that the model gives (greedy), or the one given.

        Raises InvalidInput for an answer without a token, Unsupported where the question is not found in the prompt.
        """
        made = self.processor(text=[self.chat_text(question)], images=[image], return_tensors="pt")
        made = {name: value for name, value in made.items() if isinstance(value, Tensor)}
        ids = made["input_ids"]
        of_token = {name: value for name, value in made.items() if value.shape == ids.shape}
        of_image = {name: value for name, value in made.items() if name not in of_token}
        words = self.answer_ids(made, answer, longest)
        inputs = {name: value[0].tolist() for name, value in append_answer(of_token, torch.tensor(words)).items()}
        offsets = self.question_offsets(question, ids[0].tolist())
        tokens = self.tokenizer.convert_ids_to_tokens(inputs["input_ids"])
        segment = tuple(SPECIAL if span is None else 0 for span in offsets) + (SPECIAL,) * len(words)
        spans = tuple(span or (0, 0) for span in offsets) + ((0, 0),) * len(words)
        return VisionPrompt(
            inputs, tuple(map(str, tokens)), spans, segment, tuple(words), self.with_image_axis(of_image)
        )

    @property
    def tokenizer(self) -> Any:
        return self.processor.tokenizer

    @cached_property
    def generator(self) -> Generator:
        return Generator(self.model, self.tokenizer)

    def chat_text(self, question: str) -> str:
        if not getattr(self.processor, "chat_template", None):
            return f"{getattr(self.processor, 'image_token', '')}{question}"
        return apply_chat_template(self.processor, [{"type": "image"}, {"type": "text", "text": question}])

    def answer_ids(self, made: Mapping[str, Tensor], answer: AnswerText | None, longest: int) -> list[int]:
        """The tokens of the answer: the one given, or the one that the model gives. Raises InvalidInput for none."""
        words = (
            self.generator.generate(made, longest, start=self.answer_start)
            if answer is None
            else self.generator.tokenize_answer(answer)
        )
        if not words and answer is None:
            raise InvalidInput("the model answered nothing; give an answer of your own: answer='…'.")
        if not words:
            raise InvalidInput(f"the answer {answer!r} has no token.")
        return words

    def question_offsets(self, question: str, ids: Sequence[int]) -> list[Span | None]:
        """Where each of the prompt's tokens stands in the question; None for those that are not its.

        The processor puts many tokens where the image is; after it, tokens are those of the prompt as text. Where it
        adds more at the end (PaliGemma's line break), the question's own tokens are looked for.
        """
        text = self.chat_text(question)
        start = text.rfind(question)
        for piece, begin in ((text, start), (question, 0)):
            known = self.tokenizer(piece, add_special_tokens=False, return_offsets_mapping=True)
            spans = offsets_within(known["offset_mapping"], question, begin)
            first = next((i for i, span in enumerate(spans) if span), len(spans))
            wanted = known["input_ids"][first:]
            ends = range(len(ids), len(wanted) - 1, -1) if begin == 0 else [len(ids)]
            end = next((end for end in ends if list(ids[end - len(wanted) : end]) == wanted), None)
            if wanted and end is not None:
                return [None] * (end - len(wanted)) + spans[first:] + [None] * (len(ids) - end)
        raise Unsupported(f"the question was not found among the prompt's tokens of {type(self.processor).__name__}.")

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        token = getattr(self.model.config, "image_token_id", None)
        slots = torch.tensor([i for i, known in enumerate(row.inputs["input_ids"]) if known == token])
        count = len(regions.patch_regions)
        if not len(slots) or count % len(slots):
            return None
        return SequencePositions(torch.arange(length), slots, self.patches_of_slots(count, len(slots)))

    def patches_of_slots(self, count: int, slots: int) -> Tensor:
        """Which patches each slot holds: (slots, k). Neighbours in the order in which patches are packed."""
        k = count // slots
        side = round(k**0.5)
        shuffled = getattr(self.model.config, "scale_factor", None)
        if k > 1 and shuffled == side:  # SmolVLM, Idefics3: squares of `side` × `side` in each image
            across = getattr(_vision(self.model.config), "image_size", 0) // self.patch
            whole = torch.arange(count).view(-1, across // side, side, across // side, side)
            return whole.permute(0, 1, 3, 2, 4).reshape(slots, k)
        return torch.arange(count).view(slots, k)

    def answer_logits(self, inputs: Mapping[str, Tensor], written: Sequence[int]) -> Tensor:
        return self.model(
            **{name: self._packed(name, value) for name, value in inputs.items()}, use_cache=False
        ).logits[:, -len(written) - 1 : -1]

    def _packed(self, name: str, value: Tensor) -> Tensor:
        """Images whose patches are one long list follow one another: (R, n, …) -> (R · n, …)."""
        packed = name == "image_grid_thw" or (name == self.image_argument and value.ndim == 3)
        return value.flatten(0, 1) if packed else value


class Blip(GenerativeVisionModel):
    """BLIP: the question looks at the image, the answer at the question; three stacks, run one after the other."""

    answer_start = 1  # after the decoder's start

    def build_prompt(self, image: Any, question: str, answer: AnswerText | None, longest: int) -> VisionPrompt:
        text = self.tokenizer(question, return_offsets_mapping=True, return_tensors="pt")
        of_image = self.image_inputs(image)
        made = {name: text[name] for name in ("input_ids", "attention_mask")}
        words = self.answer_ids({**made, **of_image}, answer, longest)
        offsets = tuple((int(a), int(b)) for a, b in text["offset_mapping"][0].tolist())
        segment = tuple(0 if b > a else SPECIAL for a, b in offsets)
        inputs = {name: value[0].tolist() for name, value in made.items()}
        tokens = tuple(map(str, self.tokenizer.convert_ids_to_tokens(inputs["input_ids"])))
        return VisionPrompt(inputs, tokens, offsets, segment, tuple(words), of_image)

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        return None

    def answer_logits(self, inputs: Mapping[str, Tensor], written: Sequence[int]) -> Tensor:
        seen = self.model.vision_model(pixel_values=inputs["pixel_values"])[0]
        mask = inputs["attention_mask"]
        asked = self.model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=mask,
            encoder_hidden_states=seen,
            encoder_attention_mask=mask.new_ones(seen.shape[:2]),
        )[0]
        before = mask.new_tensor([self.model.decoder_start_token_id, *written[:-1]])
        return self.model.text_decoder(
            input_ids=before.expand(len(asked), -1), encoder_hidden_states=asked, encoder_attention_mask=mask
        ).logits


def offsets_within(offsets: Sequence[Span], question: str, start: int) -> list[Span | None]:
    """Places in a question that begins at character `start`, white space left out; None for what lies outside."""
    found: list[Span | None] = []
    for first, last in offsets:
        first, last = max(first - start, 0), max(0, min(last - start, len(question)))
        piece = question[first:last]
        first += len(piece) - len(piece.lstrip())
        found.append((first, first + len(piece.strip())) if piece.strip() else None)
    return found


def _vision(config: Any) -> Any:
    return getattr(config, "vision_config", None) or config


VISION_FAMILIES: dict[str, type[VisionLanguageModel]] = {
    "vilt": VisionLanguageModel,
    "visual_bert": RegionFeatureModel,
    "lxmert": Lxmert,
    "blip": Blip,
}


def vision_language_model(model: Any, processor: Any) -> VisionLanguageModel:
    """How this model looks: by the table; one that writes its answers, for what is not in it."""
    kind = getattr(getattr(model, "config", None), "model_type", "")
    if kind not in VISION_FAMILIES and not hasattr(base_of(model), "get_image_features"):
        raise Unsupported(
            f"{type(model).__name__} is no model that answers questions about images: neither one of "
            f"{', '.join(sorted(VISION_FAMILIES))}, nor an AutoModelForImageTextToText."
        )
    return VISION_FAMILIES.get(kind, GenerativeVisionModel)(model, processor)
