"""The module paths of each architecture. A new architecture is a new row, and a tiny model in tests/models/tiny.py."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from xai_nlp.errors import Unsupported


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Module paths from the model without its head (`base_of`); None for a module that the architecture lacks.

    A model that reads images alone has neither `embeddings` nor `word`; its blocks are the layers or the stages.
    embeddings: gives out the sum of word, position and type embeddings, normalised where the family does it there.
    position: the table of position embeddings; its length limits the text.
    blocks: the list of layers that read the text.
    projection: inside a block, the linear layer that takes the outputs of all heads.
    norm: inside a block, the layer norm over the projection's output plus the block's input; None if it comes earlier.
    shared: `num_hidden_layers` layers run on fewer blocks, each block for several layers in a row.
    unbounded: positions are rotary or relative and have no limit, if there is no table of them.
    """

    embeddings: str | None
    word: str | None
    blocks: str | None
    projection: str | None = None
    norm: str | None = None
    position: str | None = None
    types: str | None = None
    shared: bool = False
    unbounded: bool = False


_BERT = Layout(
    embeddings="embeddings",
    word="embeddings.word_embeddings",
    position="embeddings.position_embeddings",
    types="embeddings.token_type_embeddings",
    blocks="encoder.layer",
    projection="attention.output.dense",
    norm="attention.output.LayerNorm",
)
_DEBERTA = replace(_BERT, unbounded=True)  # it has a table of positions only with `position_biased_input`
_LLAMA = Layout(
    embeddings="embed_tokens",
    word="embed_tokens",
    blocks="layers",
    projection="self_attn.o_proj",
    unbounded=True,
)

#: How the names of classes end that read images alone.
IMAGE_ENDINGS = ("ForImageClassification", "ForImageClassificationWithTeacher")

#: config.model_type -> layout
LAYOUTS: dict[str, Layout] = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "distilbert": replace(
        _BERT,
        types=None,
        blocks="transformer.layer",
        projection="attention.out_lin",
        norm="sa_layer_norm",
    ),
    "albert": replace(
        _BERT,
        blocks="encoder.albert_layer_groups",
        projection="albert_layers.0.attention.dense",
        norm="albert_layers.0.attention.LayerNorm",
        shared=True,
    ),
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "mpnet": replace(_BERT, types=None, projection="attention.attn.o", norm="attention.LayerNorm"),
    "modernbert": Layout(
        embeddings="embeddings",
        word="embeddings.tok_embeddings",
        blocks="layers",
        projection="attn.Wo",
        unbounded=True,
    ),
    "gpt2": Layout(embeddings="drop", word="wte", position="wpe", blocks="h", projection="attn.c_proj"),
    # Encoder–decoders: the encoder reads the text; the decoder's inputs stay as they are.
    "bart": Layout(
        embeddings="encoder.layernorm_embedding",
        word="encoder.embed_tokens",
        position="encoder.embed_positions",
        blocks="encoder.layers",
        projection="self_attn.out_proj",
        norm="self_attn_layer_norm",
    ),
    "t5": Layout(
        embeddings="encoder.embed_tokens",
        word="encoder.embed_tokens",
        blocks="encoder.block",
        projection="layer.0.SelfAttention.o",
        unbounded=True,
    ),
    "llama": _LLAMA,
    "qwen2": _LLAMA,
}

#: config.model_type of a vision-language model -> layout of its text side, and of the layers that read both.
VISION_LAYOUTS: dict[str, Layout] = {
    "vilt": replace(
        _BERT,
        embeddings="embeddings.text_embeddings",
        word="embeddings.text_embeddings.word_embeddings",
        position="embeddings.text_embeddings.position_embeddings",
        types="embeddings.text_embeddings.token_type_embeddings",
        norm=None,
    ),
    "visual_bert": replace(_BERT, embeddings="embeddings.word_embeddings"),  # the sum contains the image as well
    "lxmert": _BERT,
    "blip": replace(
        _BERT,
        embeddings="text_encoder.embeddings",
        word="text_encoder.embeddings.word_embeddings",
        position="text_encoder.embeddings.position_embeddings",
        types=None,
        blocks="text_encoder.encoder.layer",
    ),
}


def base_of(model: Any) -> nn.Module:
    """The model without its head and without PEFT's wrapping; the paths of layouts begin here."""
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(model, "base_model", model)


def text_config(model: Any) -> Any:
    """The config of the model's text side; the whole config of a text model, None without one."""
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def vision_config(model: Any) -> Any:
    """The config of the model's image side; the whole config of a model that reads images alone."""
    return getattr(model.config, "vision_config", None) or model.config


def infer_layout(model: Any) -> Layout:
    """A layout from the input embeddings and the list of equal blocks that is as long as the config says.

    The module that adds positions to words cannot be told from outside, so `embeddings` is `word`.
    Raises Unsupported for a model without input embeddings.
    """
    base = base_of(model)
    if any(cls.__name__.endswith(IMAGE_ENDINGS) for cls in type(model).__mro__):
        return Layout(embeddings=None, word=None, blocks=_image_blocks(base, vision_config(model)))
    try:
        paired = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
        word = (model.get_encoder() if paired else model).get_input_embeddings()  # the encoder reads the text
    except (AttributeError, NotImplementedError):
        word = None
    path = {module: path for path, module in base.named_modules()}.get(word)
    if path is None:
        raise Unsupported(
            f"{type(model).__name__} has no known input embeddings (`get_input_embeddings`). "
            "Pass a Layout of your own: Adapter.of(model, Layout(…))."
        )
    count, side = getattr(text_config(model), "num_hidden_layers", None), path.rpartition(".")[0]
    fitting = [name for name, module in _equal_blocks(base) if len(module) == count]
    blocks = min(fitting, key=lambda name: not name.startswith(side), default=None)  # an image's side may have as many
    return Layout(embeddings=path, word=path, blocks=blocks)


def _image_blocks(base: nn.Module, config: Any) -> str | None:
    """The outermost list of equal blocks, the one that is as long as the config says if there are several."""
    counts = {getattr(config, "num_hidden_layers", None), len(getattr(config, "depths", ()))}
    lists = _equal_blocks(base)
    lists.sort(key=lambda item: (len(item[1]) not in counts, item[0].count("."), -len(item[1])))
    return lists[0][0] if lists else None


def _equal_blocks(base: nn.Module) -> list[tuple[str, nn.ModuleList]]:
    """The lists of modules of one class, with their paths."""
    lists = [(name, module) for name, module in base.named_modules() if isinstance(module, nn.ModuleList)]
    return [(name, module) for name, module in lists if len({type(block) for block in module}) == 1]
