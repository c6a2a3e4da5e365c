"""One tiny random model that looks at images for each family, with its processor, built in memory."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BlipConfig,
    BlipForQuestionAnswering,
    CLIPVisionConfig,
    GemmaConfig,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LxmertConfig,
    LxmertForQuestionAnswering,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    SiglipVisionConfig,
    ViltConfig,
    ViltForQuestionAnswering,
    VisualBertConfig,
    VisualBertForQuestionAnswering,
)

from xai_nlp.models.loading import LoadedModel

WORDS = tuple(
    "what colour is the star square circle how many are there red blue green yellow a an of left right one two three "  # noqa: SIM905
    "yes no user assistant kettle cat dog it ? :".split()
)
ANSWERS = dict(enumerate(("red", "blue", "green", "yes", "no")))
SIDE = 32  # pixels of the processed image, where it is a square
PATCH = 8
TEMPLATE = (
    "{% for m in messages %}user : {% for c in m['content'] %}{% if c['type'] == 'image' %}IMAGE{% else %}"
    "{{ c['text'] }}{% endif %} {% endfor %}{% endfor %}assistant :"
)
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
}  # fmt: skip


def tokenizer_of(*extra: str, wrapped: bool = True) -> PreTrainedTokenizerFast:
    """Whole words; `wrapped` in [CLS] and [SEP], as encoders have it."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *extra]
    vocabulary = {word: i for i, word in enumerate([*special, *dict.fromkeys(w for w in WORDS if w)])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    if wrapped:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="[SEP]", bos_token="[CLS]", **names)
    if extra:
        made.add_special_tokens({"additional_special_tokens": list(extra)})
    return made


def _grown(model: Any) -> Any:
    """Weights large enough for every word, patch and head to move the logits."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 0.5 / max(1.0, weight[0].numel() ** 0.5) ** 0.5)
            elif "bias" in name:
                weight.normal_(0, 0.05)
    return model.eval()


def vilt() -> tuple[Any, Any, Any]:
    from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

    tokenizer = tokenizer_of()
    config = ViltConfig(
        **SMALL, vocab_size=len(tokenizer), max_position_embeddings=24, image_size=SIDE, patch_size=PATCH,
        max_image_length=-1, id2label=ANSWERS, label2id={v: k for k, v in ANSWERS.items()},
    )  # fmt: skip
    return (
        ViltForQuestionAnswering(config),
        tokenizer,
        ViltImageProcessorPil(size={"shortest_edge": SIDE}, size_divisor=PATCH),
    )


def visual_bert() -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of()
    config = VisualBertConfig(
        **SMALL, vocab_size=len(tokenizer), max_position_embeddings=24, visual_embedding_dim=12,
        id2label=ANSWERS, label2id={v: k for k, v in ANSWERS.items()},
    )  # fmt: skip
    return VisualBertForQuestionAnswering(config), tokenizer, None


def lxmert() -> tuple[Any, Any, Any]:
    tokenizer = tokenizer_of()
    config = LxmertConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=24, visual_feat_dim=12, l_layers=2, x_layers=2, r_layers=2,
        num_qa_labels=len(ANSWERS), id2label=ANSWERS, label2id={v: k for k, v in ANSWERS.items()},
    )  # fmt: skip
    return LxmertForQuestionAnswering(config), tokenizer, None


def blip() -> tuple[Any, Any, Any]:
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil
    from transformers.models.blip.processing_blip import BlipProcessor

    tokenizer = tokenizer_of()
    text = {
        **SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 24, "encoder_hidden_size": 32,
        "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0, "projection_dim": 16,
    }  # fmt: skip
    vision = {**SMALL, "image_size": SIDE, "patch_size": PATCH, "projection_dim": 16}
    config = BlipConfig(text_config=text, vision_config=vision, projection_dim=16, image_text_hidden_size=16)
    processor = BlipProcessor(BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer)
    return BlipForQuestionAnswering(config), tokenizer, processor


def llava() -> tuple[Any, Any, Any]:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.processing_llava import LlavaProcessor

    tokenizer = tokenizer_of("<image>", wrapped=False)
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}),
        tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE.replace("IMAGE", "<image>"),
    )  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**SMALL, image_size=SIDE, patch_size=PATCH),
        text_config=LlamaConfig(**SMALL, num_key_value_heads=2, vocab_size=len(tokenizer), pad_token_id=0),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), vision_feature_layer=-2,
    )  # fmt: skip
    return LlavaForConditionalGeneration(config), tokenizer, processor


def paligemma() -> tuple[Any, Any, Any]:
    from transformers.models.paligemma.processing_paligemma import PaliGemmaProcessor
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    tokenizer = tokenizer_of(wrapped=False)
    images = SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE})
    images.image_seq_length = (SIDE // PATCH) ** 2
    processor = PaliGemmaProcessor(images, tokenizer)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**SMALL, image_size=SIDE, patch_size=PATCH),
        text_config=GemmaConfig(**SMALL, num_key_value_heads=2, head_dim=8, vocab_size=len(tokenizer), pad_token_id=0),
        image_token_id=processor.image_token_id, projection_dim=32, hidden_size=32, vocab_size=len(tokenizer),
    )  # fmt: skip
    return PaliGemmaForConditionalGeneration(config), tokenizer, processor


def qwen2_vl() -> tuple[Any, Any, Any]:
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
    from transformers.models.qwen2_vl.processing_qwen2_vl import Qwen2VLProcessor

    special = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    tokenizer = tokenizer_of(*special, wrapped=False)
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    images = Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=2, min_pixels=SIDE * SIDE, max_pixels=64 * 64)

    class WithoutVideo(Qwen2VLProcessor):
        """Videos need torchvision, which is not there; images do not."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
            return type(argument)

    processor = WithoutVideo(images, tokenizer, chat_template=template)
    pad, video, start, end = tokenizer.convert_tokens_to_ids(list(special))
    config = Qwen2VLConfig(
        vision_config={"depth": 2, "embed_dim": 32, "num_heads": 4, "hidden_size": 32, "patch_size": PATCH,
                       "mlp_ratio": 2, "spatial_merge_size": 2, "in_channels": 3, "temporal_patch_size": 2},
        text_config={**SMALL, "num_key_value_heads": 2, "vocab_size": len(tokenizer), "pad_token_id": 0,
                     "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"}},
        image_token_id=pad, video_token_id=video, vision_start_token_id=start, vision_end_token_id=end,
    )  # fmt: skip
    return Qwen2VLForConditionalGeneration(config), tokenizer, processor


def idefics3() -> tuple[Any, Any, Any]:
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
    from transformers.models.idefics3.processing_idefics3 import Idefics3Processor

    tiles = [f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4)]
    special = ("<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", *tiles)
    tokenizer = tokenizer_of(*special, wrapped=False)
    images = Idefics3ImageProcessorPil(size={"longest_edge": 64}, max_image_size={"longest_edge": SIDE})
    processor = Idefics3Processor(
        images, tokenizer, image_seq_len=(SIDE // PATCH) ** 2 // 4, chat_template=TEMPLATE.replace("IMAGE", "<image>")
    )
    config = Idefics3Config(
        vision_config={**SMALL, "image_size": SIDE, "patch_size": PATCH},
        text_config=LlamaConfig(**SMALL, num_key_value_heads=2, vocab_size=len(tokenizer), pad_token_id=0),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=0,
    )  # fmt: skip
    return Idefics3ForConditionalGeneration(config), tokenizer, processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any, Any]]] = {
    f.__name__: f for f in (vilt, visual_bert, lxmert, blip, llava, paligemma, qwen2_vl, idefics3)
}
GIVEN_FEATURES = ("visual_bert", "lxmert")


@cache
def loaded(family: str) -> LoadedModel:
    """The family's model and processor; the same objects at every call."""
    model, tokenizer, processor = FAMILIES[family]()
    return LoadedModel(_grown(model), tokenizer, f"tiny {family}", "visual-question-answering", processor)
