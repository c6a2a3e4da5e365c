"""Tiny random models that write, and their tokenizers: those of `tests.models.tiny` with a causal head."""

from typing import Any

from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.models.tiny import HEADS, tiny

HEADS.setdefault("text-generation", AutoModelForCausalLM)
WRITERS = ("gpt2", "llama", "qwen2", "opt")


def writing(name: str, *, fresh: bool = False) -> tuple[Any, PreTrainedTokenizerFast]:
    """A model and its tokenizer; shared by all who ask, unless `fresh`."""
    return tiny(name, fresh=fresh, task="text-generation")
