"""Where architectures keep what we ask for: a new one is a new row, and a tiny model in tests/models/tiny.py."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from xai_nlp.errors import Unsupported


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Module paths from the model without its head (`base_of`); None where an architecture has no such module.

    embeddings: its output is the sum of word, position and type embeddings, normalised where the family does it there.
    position: the table that positions are looked up in; it bounds how long a text may be.
    attention: inside a block, the module that holds the attention probabilities; the first, where a block has several.
    projection: inside a block, the linear layer that takes what all heads found.
    norm: inside a block, the layer norm that takes its output plus what entered the block; None where it comes earlier.
    shared: the layers, `num_hidden_layers` of them, take turns with fewer blocks, each block for a run of layers.
    unbounded: where there is no table of positions, rotary or relative ones go on without an end.
    """

    embeddings: str
    word: str
    blocks: str | None
    attention: str | None = None
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
    attention="attention.self",
    projection="attention.output.dense",
    norm="attention.output.LayerNorm",
)
_DEBERTA = replace(_BERT, unbounded=True)  # its table of positions is there only if `position_biased_input`
_LLAMA = Layout(
    embeddings="embed_tokens",
    word="embed_tokens",
    blocks="layers",
    attention="self_attn",
    projection="self_attn.o_proj",
    unbounded=True,
)

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
        attention="attention",
        projection="attention.out_lin",
        norm="sa_layer_norm",
    ),
    "albert": replace(
        _BERT,
        blocks="encoder.albert_layer_groups",
        attention="albert_layers.0.attention",
        projection="albert_layers.0.attention.dense",
        norm="albert_layers.0.attention.LayerNorm",
        shared=True,
    ),
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "mpnet": replace(
        _BERT, types=None, attention="attention.attn", projection="attention.attn.o", norm="attention.LayerNorm"
    ),
    "modernbert": Layout(
        embeddings="embeddings",
        word="embeddings.tok_embeddings",
        blocks="layers",
        attention="attn",
        projection="attn.Wo",
        unbounded=True,
    ),
    "gpt2": Layout(
        embeddings="drop", word="wte", position="wpe", blocks="h", attention="attn", projection="attn.c_proj"
    ),
    # Encoder–decoders: the text is what the encoder reads; what the decoder is given stays as it is.
    "bart": Layout(
        embeddings="encoder.layernorm_embedding",
        word="encoder.embed_tokens",
        blocks="encoder.layers",
        attention="self_attn",
        projection="self_attn.out_proj",
        norm="self_attn_layer_norm",
    ),
    "t5": Layout(
        embeddings="encoder.embed_tokens",
        word="encoder.embed_tokens",
        blocks="encoder.block",
        attention="layer.0.SelfAttention",
        projection="layer.0.SelfAttention.o",
        unbounded=True,
    ),
    "llama": _LLAMA,
    "qwen2": _LLAMA,
}

#: The same for models that look at an image: the words' side, and the layers in which words and image meet.
VISION_LAYOUTS: dict[str, Layout] = {
    "vilt": replace(
        _BERT,
        embeddings="embeddings.text_embeddings",
        word="embeddings.text_embeddings.word_embeddings",
        position="embeddings.text_embeddings.position_embeddings",
        types="embeddings.text_embeddings.token_type_embeddings",
        attention="attention.attention",
        norm=None,
    ),
    "visual_bert": replace(_BERT, embeddings="embeddings.word_embeddings"),  # the sum of them has the image in it too
    "lxmert": _BERT,
    "blip": Layout(
        embeddings="text_encoder.embeddings",
        word="text_encoder.embeddings.word_embeddings",
        position="text_encoder.embeddings.position_embeddings",
        blocks="text_encoder.encoder.layer",
        attention="attention.self",
        projection="attention.output.dense",
        norm="attention.output.LayerNorm",
    ),
}


def base_of(model: Any) -> nn.Module:
    """The model without its head, which layouts count paths from; out of PEFT's wrapping, if it is in one."""
    model = model.get_base_model() if hasattr(model, "get_base_model") else model
    return getattr(model, "base_model", model)


def text_config(model: Any) -> Any:
    """The part of a model's config that is about its text; all of it, where it is about nothing else."""
    config: Any = getattr(model, "config", None)
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def infer_layout(model: Any) -> Layout:
    """A layout found by looking: the input embeddings, and the first list of equal blocks, as long as the config says.

    Where the words' vectors meet the positions' cannot be told from outside, so `embeddings` is `word`.
    Raises Unsupported for a model without input embeddings.
    """
    base = base_of(model)
    try:
        paired = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
        word = (model.get_encoder() if paired else model).get_input_embeddings()  # the encoder reads the text
    except (AttributeError, NotImplementedError):
        word = None
    paths = {module: path for path, module in base.named_modules()}
    config = text_config(model)
    if word is None or word not in paths:
        raise Unsupported(
            f"{type(model).__name__} does not tell its input embeddings (`get_input_embeddings`). "
            "Pass a Layout of your own: Adapter.of(model, Layout(…))."
        )
    count = getattr(config, "num_hidden_layers", None)
    beside = paths[word].rpartition(".")[0]  # a model that looks at images has as many blocks elsewhere, perhaps
    for path, module in sorted(base.named_modules(), key=lambda item: not item[0].startswith(beside)):
        if isinstance(module, nn.ModuleList) and len(module) == count and len({type(block) for block in module}) == 1:
            return Layout(embeddings=paths[word], word=paths[word], blocks=path, attention=_attention_in(module[0]))
    return Layout(embeddings=paths[word], word=paths[word], blocks=None)


def _attention_in(block: nn.Module) -> str | None:
    """The path of the first module that calls itself an attention and holds no other that does."""
    named = [path for path, module in block.named_modules() if path and "Attention" in type(module).__name__]
    innermost = [path for path in named if not any(other.startswith(f"{path}.") for other in named)]
    return innermost[0] if innermost else None
