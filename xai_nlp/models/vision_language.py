"""Vision-language families: how each takes an image with a question, and where its patches stand among the tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from xai_nlp.core.result import SPECIAL
from xai_nlp.core.spans import Span
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.generation import AnswerText, Generator, apply_chat_template
from xai_nlp.models.image_models import ImageModel
from xai_nlp.models.images import Regions
from xai_nlp.models.layout import base_of, vision_config
from xai_nlp.models.teacher_forcing import append_answer
from xai_nlp.models.tokenization import TokenWindow


@dataclass(frozen=True, eq=False)
class SequencePositions:
    """Positions of the words and of the image in the one sequence that the model attends over."""

    words: Tensor  # (L,) positions of the tokens
    patches: Tensor  # (P,) positions of parts of the image
    patch_ids: Tensor  # (P, k) the patches at each of those positions
    image_positions: tuple[int, ...] = ()  # positions of the image as a whole


class VisionLanguageModel(ImageModel):
    """A classifier that takes the image as pixels: ViLT. Its sequence is words, one position of the image, patches.

    image_slots: number of positions of the image as a whole, between words and patches; None if words and patches are
        in different sequences.
    logits: the field of the model's output.
    """

    image_slots: ClassVar[int | None] = 1
    logits: ClassVar[str] = "logits"

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        """Positions of words and patches in a batch of `length` tokens; None if they are in different sequences."""
        if self.image_slots is None:
            return None
        each, first = torch.arange(len(regions.patch_regions)), length + self.image_slots
        return SequencePositions(torch.arange(length), first + each, each[:, None], tuple(range(length, first)))

    def answer_logits(self, inputs: Mapping[str, Tensor], answer_ids: Sequence[int]) -> Tensor:
        """The logits of all answers (R, C); of a generating model, before each of the n answer tokens (R, n, V)."""
        return getattr(self.model(**inputs), self.logits)


class RegionFeatureModel(VisionLanguageModel):
    """A classifier that takes features of detected regions: VisualBERT. Their positions follow the words."""

    image_argument = "visual_embeds"
    image_slots: ClassVar[int | None] = 0

    @property
    def features(self) -> int:
        """How many numbers a detector gives for each region."""
        return getattr(self.model.config, "visual_embedding_dim", None) or self.model.config.visual_feat_dim

    def region_inputs(self, features: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """The model's arguments for features (1, N, F) and boxes (1, N, 4) in shares of width and height."""
        ones = torch.ones(features.shape[:2], dtype=torch.long)
        return {
            "visual_embeds": features.to(self.model.dtype),
            "visual_attention_mask": ones,
            "visual_token_type_ids": ones,
        }


class Lxmert(RegionFeatureModel):
    """LXMERT: words and regions have encoders of their own, with cross attention in both directions."""

    image_argument = "visual_feats"
    image_slots = None
    logits = "question_answering_score"

    def region_inputs(self, features: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        """The model's arguments for features (1, N, F) and boxes (1, N, 4) in shares of width and height."""
        return {"visual_feats": features.to(self.model.dtype), "visual_pos": boxes.to(self.model.dtype)}


class GenerativeVisionModel(VisionLanguageModel):
    """A model that writes its answer after image and question: any `AutoModelForImageTextToText`.

    The question goes into the chat template; without a template (PaliGemma), the image stands before the question.
    """

    answer_start: ClassVar[int | None] = None  # position of the answer in what is generated; None: after the prompt

    @cached_property
    def generator(self) -> Generator:
        """The model as one that writes text, with the tokenizer of its processor."""
        return Generator(self.model, self.processor.tokenizer)

    def build_prompt(self, image: Any, question: str, answer: AnswerText | None, longest: int) -> TokenWindow:
        """The prompt followed by the given answer, or by the model's own (greedy, at most `longest` tokens).

        Segment 0 is the question, with offsets in it; all other tokens are SPECIAL. `image` holds the model's
        arguments for the image, `answer_ids` the answer.

        Raises InvalidInput for an answer without a token, Unsupported if the prompt does not hold the question.
        """
        processed = self.processor(text=[self.chat_text(question)], images=[image], return_tensors="pt")
        tensors = {name: value for name, value in processed.items() if isinstance(value, Tensor)}
        shape = tensors["input_ids"].shape
        answer_ids = self._answer_ids(tensors, answer, longest)
        offsets = self._question_offsets(question, tensors["input_ids"][0].tolist()) + [None] * len(answer_ids)
        of_tokens = {name: value for name, value in tensors.items() if value.shape == shape}
        extended = append_answer(of_tokens, torch.tensor(answer_ids))
        of_image = {name: value for name, value in tensors.items() if name not in of_tokens}
        return self._prompt(extended, offsets, answer_ids, self._image_tensors(of_image))

    def _prompt(
        self, inputs: Mapping[str, Tensor], offsets: Sequence[Span | None], answer: list[int], image: dict[str, Tensor]
    ) -> TokenWindow:
        rows = {name: value[0].tolist() for name, value in inputs.items()}
        tokens = tuple(map(str, self.processor.tokenizer.convert_ids_to_tokens(rows["input_ids"])))
        spans = np.array([span or (0, 0) for span in offsets])
        segment = np.array([SPECIAL if span is None else 0 for span in offsets])
        return TokenWindow(0, rows, tokens, spans, segment, image=image, answer_ids=tuple(answer))

    def chat_text(self, question: str) -> str:
        """The prompt as text: the image's token and the question in the chat template."""
        if not getattr(self.processor, "chat_template", None):
            return f"{getattr(self.processor, 'image_token', '')}{question}"
        return apply_chat_template(self.processor, [{"type": "image"}, {"type": "text", "text": question}])

    def _answer_ids(self, inputs: Mapping[str, Tensor], answer: AnswerText | None, longest: int) -> list[int]:
        """The token ids of the given answer, or of the model's own. Raises InvalidInput if there are none."""
        if answer is None:
            ids = self.generator.generate(inputs, longest, start=self.answer_start)
            problem = "the model answered nothing; give an answer of your own: answer='…'."
        else:
            ids, problem = self.generator.tokenize_answer(answer), f"the answer {answer!r} has no token."
        if not ids:
            raise InvalidInput(problem)
        return ids

    def _question_offsets(self, question: str, ids: Sequence[int]) -> list[Span | None]:
        """Each prompt token's characters in the question; None for tokens outside it.

        The processor inserts many tokens for the image; the tokens after it are those of the prompt as text. If it
        appends tokens (PaliGemma's line break), the tokens of the question alone are searched from the end.
        """
        text = self.chat_text(question)
        for part, start in ((text, text.rfind(question)), (question, 0)):
            encoded = self.processor.tokenizer(part, add_special_tokens=False, return_offsets_mapping=True)
            spans = offsets_within(encoded["offset_mapping"], question, start)
            first = next((i for i, span in enumerate(spans) if span), len(spans))
            tail = encoded["input_ids"][first:]
            ends = range(len(ids), len(tail) - 1, -1) if start == 0 else [len(ids)]
            end = next((end for end in ends if list(ids[end - len(tail) : end]) == tail), None)
            if tail and end is not None:
                return [None] * (end - len(tail)) + spans[first:] + [None] * (len(ids) - end)
        raise Unsupported(f"the question was not found among the prompt's tokens of {type(self.processor).__name__}.")

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        """Positions of the tokens and of the image's tokens; None if patches do not divide evenly among the latter."""
        token = getattr(self.model.config, "image_token_id", None)
        positions = [i for i, id in enumerate(row.inputs["input_ids"]) if id == token]
        patches = torch.arange(len(regions.patch_regions))
        if not positions or len(patches) % len(positions):
            return None
        k = len(patches) // len(positions)  # neighbours in the order in which patches are packed share a position
        side = round(k**0.5)
        if k > 1 and getattr(self.model.config, "scale_factor", None) == side:
            # SmolVLM and Idefics3 join squares of `side` × `side` patches in each image.
            across = getattr(vision_config(self.model), "image_size", 0) // self.patch
            patches = patches.view(-1, across // side, side, across // side, side).permute(0, 1, 3, 2, 4)
        return SequencePositions(torch.arange(length), torch.tensor(positions), patches.reshape(len(positions), k))

    def answer_logits(self, inputs: Mapping[str, Tensor], answer_ids: Sequence[int]) -> Tensor:
        """The logits before each of the n answer tokens: (R, n, V)."""
        arguments = dict(inputs)
        if arguments[self.image_argument].ndim == 3:  # patches in one long list: (R, n, …) -> (R · n, …)
            arguments[self.image_argument] = arguments[self.image_argument].flatten(0, 1)
        if "image_grid_thw" in arguments:
            arguments["image_grid_thw"] = arguments["image_grid_thw"].flatten(0, 1)
        return self.model(**arguments, use_cache=False).logits[:, -len(answer_ids) - 1 : -1]


class Blip(GenerativeVisionModel):
    """BLIP: the text encoder attends over the image, the decoder over the text; three stacks, one after the other."""

    answer_start = 1  # after the decoder's start token

    def build_prompt(self, image: Any, question: str, answer: AnswerText | None, longest: int) -> TokenWindow:
        """The question's tokens; the answer goes to the decoder. Raises InvalidInput for an answer without a token."""
        encoded = self.processor.tokenizer(question, return_offsets_mapping=True, return_tensors="pt")
        inputs, of_image = {name: encoded[name] for name in ("input_ids", "attention_mask")}, self.image_inputs(image)
        answer_ids = self._answer_ids({**inputs, **of_image}, answer, longest)
        offsets = [(a, b) if b > a else None for a, b in encoded["offset_mapping"][0].tolist()]
        return self._prompt(inputs, offsets, answer_ids, of_image)

    def sequence_positions(self, row: TokenWindow, length: int, regions: Regions) -> SequencePositions | None:
        """None: words and patches are in different sequences."""
        return None

    def answer_logits(self, inputs: Mapping[str, Tensor], answer_ids: Sequence[int]) -> Tensor:
        """The logits before each of the n answer tokens: (R, n, V)."""
        image = self.model.vision_model(pixel_values=inputs["pixel_values"])[0]
        mask = inputs["attention_mask"]
        question = self.model.text_encoder(
            input_ids=inputs["input_ids"],
            attention_mask=mask,
            encoder_hidden_states=image,
            encoder_attention_mask=mask.new_ones(image.shape[:2]),
        )[0]
        ids = mask.new_tensor([self.model.decoder_start_token_id, *answer_ids[:-1]])
        return self.model.text_decoder(
            input_ids=ids.expand(len(mask), -1), encoder_hidden_states=question, encoder_attention_mask=mask
        ).logits


def offsets_within(offsets: Sequence[Span], question: str, start: int) -> list[Span | None]:
    """Offsets in a text that holds the question at `start`, as offsets in the question without white space at the ends.

    None for tokens that hold nothing of the question.

    >>> offsets_within([(0, 5), (5, 9), (9, 13)], "a film", 6)
    [None, (0, 3), (3, 6)]
    """
    spans: list[Span | None] = []
    for first, last in offsets:
        first, last = max(first - start, 0), max(0, min(last - start, len(question)))
        part = question[first:last]
        first += len(part) - len(part.lstrip())
        spans.append((first, first + len(part.strip())) if part.strip() else None)
    return spans


#: config.model_type -> family; models that write their answer need no row
VISION_FAMILIES: dict[str, type[VisionLanguageModel]] = {
    "vilt": VisionLanguageModel,
    "visual_bert": RegionFeatureModel,
    "lxmert": Lxmert,
    "blip": Blip,
}


def vision_language_model(model: Any, processor: Any) -> VisionLanguageModel:
    """The model as one of its family. Raises Unsupported for a model that takes no image."""
    kind = getattr(getattr(model, "config", None), "model_type", "")
    if kind not in VISION_FAMILIES and not hasattr(base_of(model), "get_image_features"):
        raise Unsupported(
            f"{type(model).__name__} does not answer questions about images: it is neither one of "
            f"{', '.join(sorted(VISION_FAMILIES))}, nor an AutoModelForImageTextToText."
        )
    return VISION_FAMILIES.get(kind, GenerativeVisionModel)(model, processor)
