"""One tiny random model and its tokenizer for each architecture, built in memory: no file, no network.

The weights are large enough for every token, head and layer to move the logits, and the same in every run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedTokenizerFast,
)

SENTENCES = (
    "A gripping, beautifully acted film about two sisters.",
    "The plot is thin and the ending is a mess.",
    "I can't recommend this dull, lifeless movie to anyone.",
    "Who wrote the book? Mary wrote it in 1818, near the lake.",
    "What a wonderful day: the music was great and so was the food!",
    "naïve café, über-cool",
)
WORDS = ("film", "movie", "great", "dull", "gripping", "act", "the", "was", "is", "who", "wrote", "it", "this", "plot")
MAX_POSITIONS = 64
LABELS = {0: "NEGATIVE", 1: "POSITIVE"}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What sets one architecture apart from the next."""

    model_type: str = ""  # config.model_type, if the key is not it
    kind: str = "wordpiece"  # or "bytes"
    start: str = "[CLS]"  # none of them before and after a text if empty
    end: str = "[SEP]"
    between: int = 1  # how many `end` between two texts
    types: bool = False  # whether a pair is told apart by token types
    special: Sequence[str] = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")  # in the order of their ids
    positions: int = MAX_POSITIONS
    config: Mapping[str, Any] = field(default_factory=dict)


_ROBERTA = {
    "kind": "bytes",
    "start": "<s>",
    "end": "</s>",
    "between": 2,
    "special": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
    "positions": MAX_POSITIONS + 2,  # position 0 is never used, position 1 belongs to padding
}
_DECODER = {"kind": "bytes", "start": "", "end": "", "special": ("<pad>", "<unk>")}

RECIPES: dict[str, Recipe] = {
    "bert": Recipe(types=True),
    "distilbert": Recipe(),
    "roberta": Recipe(**_ROBERTA, config={"type_vocab_size": 1}),
    "xlm-roberta": Recipe(**_ROBERTA, config={"type_vocab_size": 1}),
    "albert": Recipe(types=True, config={"embedding_size": 16, "num_hidden_layers": 3}),
    "electra": Recipe(types=True, config={"embedding_size": 16}),
    "deberta": Recipe(
        kind="bytes",
        types=True,
        config={"relative_attention": True, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 2},
    ),
    "deberta-v2": Recipe(
        kind="bytes",
        config={
            "relative_attention": True,
            "pos_att_type": ["c2p", "p2c"],
            "position_biased_input": False,
            "position_buckets": 16,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "type_vocab_size": 0,
        },
    ),
    "mpnet": Recipe(**{**_ROBERTA, "kind": "wordpiece"}),
    "camembert": Recipe(**_ROBERTA, config={"type_vocab_size": 1}),
    "modernbert": Recipe(
        kind="bytes",
        config={
            "num_hidden_layers": 3,
            "local_attention": 8,  # narrower than the texts of the tests
            "global_attn_every_n_layers": 3,
            "initializer_cutoff_factor": 2.0,
        },
    ),
    "gpt2": Recipe(**_DECODER),
    "llama": Recipe(**_DECODER, config={"num_key_value_heads": 2}),
    "qwen2": Recipe(**_DECODER, config={"num_key_value_heads": 2}),
    "bart": Recipe(
        **{**_ROBERTA, "positions": MAX_POSITIONS},
        config={
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "forced_eos_token_id": None,
        },
    ),
    "t5": Recipe(
        **{**_ROBERTA, "positions": MAX_POSITIONS},
        config={
            "d_model": 32,
            "num_layers": 2,
            "num_heads": 4,
            "d_kv": 8,
            "d_ff": 48,
            "decoder_start_token_id": 1,
            "feed_forward_proj": "gated-gelu",  # as version 1.1; the first had ReLU
        },
    ),
    "opt": Recipe(**_DECODER, config={"ffn_dim": 48, "word_embed_proj_dim": 32}),  # in no row of LAYOUTS
}
ARCHITECTURES = tuple(RECIPES)
HEADS = {
    "token-classification": AutoModelForTokenClassification,
    "fill-mask": AutoModelForMaskedLM,
    "text2text-generation": AutoModelForSeq2SeqLM,
    "text-classification": AutoModelForSequenceClassification,
    "question-answering": AutoModelForQuestionAnswering,
}


def tiny(name: str, *, fresh: bool = False, task: str = "text-classification") -> tuple[Any, PreTrainedTokenizerFast]:
    """A model for two labels or for answers, in eval mode, and its tokenizer; shared by all who ask, unless `fresh`."""
    return _build(name, task) if fresh else _shared(name, task)


def tokenizer_of(recipe: Recipe) -> PreTrainedTokenizerFast:
    """A fast tokenizer with the family's special tokens, whose offsets point into the text as given."""
    tokenizer = {"wordpiece": _wordpiece, "bytes": _bytes}[recipe.kind](recipe.special)
    if recipe.start:
        pad, start, end = "[PAD]" if "[PAD]" in recipe.special else "<pad>", recipe.start, recipe.end
        second = int(recipe.types)
        tokenizer.post_processor = processors.Sequence(
            [
                *([processors.ByteLevel(trim_offsets=True)] if recipe.kind == "bytes" else []),
                processors.TemplateProcessing(
                    single=f"{start} $A {end}",
                    pair=f"{start} $A {' '.join([end] * recipe.between)} $B:{second} {end}:{second}",
                    special_tokens=[(t, tokenizer.token_to_id(t)) for t in (start, end)],
                ),
            ]
        )
    else:
        pad = "<pad>"
    named = {"unk_token": "[UNK]" if "[UNK]" in recipe.special else "<unk>", "pad_token": pad}
    if recipe.start:
        mask = "[MASK]" if "[MASK]" in recipe.special else "<mask>"
        named |= {"cls_token": recipe.start, "sep_token": recipe.end, "mask_token": mask}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_POSITIONS,
        model_input_names=["input_ids", *["token_type_ids"] * recipe.types, "attention_mask"],
        **named,
    )


@cache
def _shared(name: str, task: str) -> tuple[Any, PreTrainedTokenizerFast]:
    return _build(name, task)


def _build(name: str, task: str) -> tuple[Any, PreTrainedTokenizerFast]:
    recipe = RECIPES[name]
    tokenizer = tokenizer_of(recipe)
    config = AutoConfig.for_model(recipe.model_type or name, **_sizes(recipe, tokenizer))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(ARCHITECTURES.index(name))
        model = HEADS[task].from_config(config)
        _stir(model)
    return model.eval(), tokenizer


def _sizes(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    ids = {"pad_token_id": tokenizer.pad_token_id}
    ends = (tokenizer.cls_token_id, tokenizer.sep_token_id)
    ids |= dict(zip(("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id"), ends * 2, strict=True))
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": recipe.positions,
        "id2label": LABELS,
        "label2id": {label: i for i, label in LABELS.items()},
        **ids,
        **recipe.config,
    }


@torch.no_grad()
def _stir(model: nn.Module) -> None:
    """Fresh models are nearly linear, with attention nearly uniform; these are not, padding's embedding included."""
    for parameter in model.parameters():
        spread = 0.15 if parameter.ndim > 1 else 0.1
        parameter.add_(torch.randn_like(parameter) * spread)


def _wordpiece(special: Sequence[str]) -> Tokenizer:
    unknown = next(t for t in special if "unk" in t.lower())
    letters = sorted({c for s in SENTENCES for c in s.lower() if not c.isspace()} | set("abcdefghijklmnopqrstuvwxyz"))
    pieces = [*special, *letters, *(f"##{c}" for c in letters), *(w for w in WORDS if len(w) > 1), "##ing", "##ed"]
    tokenizer = Tokenizer(models.WordPiece({p: i for i, p in enumerate(pieces)}, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens(list(special))
    return tokenizer


def _bytes(special: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=340,
        special_tokens=list(special),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return tokenizer
