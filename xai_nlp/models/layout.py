"""Where architectures keep what we ask for: a new one is a new row, and a tiny model in tests/models/tiny.py."""

from dataclasses import dataclass

from torch import nn

from xai_nlp.errors import Unsupported


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Module paths from `model.base_model`; None where an architecture has no such module.

    embeddings: its output is the sum of word, position and type embeddings, normalised where the family does it there.
    attention: inside a block, the module that holds the attention probabilities.
    shared: one block stands for all layers, which call it in turn.
    reserved: positions that no token uses, counted off `max_position_embeddings`.
    """

    embeddings: str
    word: str
    blocks: str | None
    attention: str = ""
    position: str | None = None
    types: str | None = None
    shared: bool = False
    reserved: int = 0
    unbounded: bool = False  # rotary or relative positions: no table to run out of


_SUM = {
    "embeddings": "embeddings",
    "word": "embeddings.word_embeddings",
    "position": "embeddings.position_embeddings",
    "types": "embeddings.token_type_embeddings",
}
_BERT = Layout(**_SUM, blocks="encoder.layer", attention="attention.self")
_ROBERTA = Layout(**_SUM, blocks="encoder.layer", attention="attention.self", reserved=2)
_LLAMA = Layout(embeddings="embed_tokens", word="embed_tokens", blocks="layers", attention="self_attn", unbounded=True)

#: config.model_type -> layout
LAYOUTS: dict[str, Layout] = {
    "bert": _BERT,
    "electra": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": Layout(**{**_SUM, "types": None}, blocks="transformer.layer", attention="attention"),
    "albert": Layout(
        **_SUM,
        blocks="encoder.albert_layer_groups.0.albert_layers",
        attention="attention",
        shared=True,
    ),
    "deberta": _BERT,
    "deberta-v2": Layout(**_SUM, blocks="encoder.layer", attention="attention.self", unbounded=True),
    "mpnet": Layout(**{**_SUM, "types": None}, blocks="encoder.layer", attention="attention.attn", reserved=2),
    "modernbert": Layout(embeddings="embeddings", word="embeddings.tok_embeddings", blocks="layers", attention="attn"),
    "gpt2": Layout(embeddings="drop", word="wte", position="wpe", blocks="h", attention="attn"),
    "llama": _LLAMA,
    "qwen2": _LLAMA,
}


def generic(model: nn.Module) -> Layout:
    """A layout found by looking: the input embeddings, and the first list of blocks as long as the config says.

    Raises Unsupported for a model without input embeddings.
    """
    base = getattr(model, "base_model", model)
    try:
        word = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        word = None
    paths = {module: path for path, module in base.named_modules()}
    if word is None or word not in paths:
        raise Unsupported(
            f"{type(model).__name__} does not tell its input embeddings (`get_input_embeddings`). "
            "Pass a Layout of your own: Adapter(model, Layout(…))."
        )
    count = getattr(model.config, "num_hidden_layers", None)
    lists = [path for path, m in base.named_modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    return Layout(embeddings=paths[word], word=paths[word], blocks=lists[0] if lists else None)
