"""Problems for methods that change how gradients flow."""

from typing import Any

import torch
from torch import Tensor, nn

from tests.models.tiny import ARCHITECTURES, tiny
from xai_nlp.core.problem import Problem
from xai_nlp.hooks.scope import ModulePoint, replaced

TEXT = "A gripping, beautifully acted film"


def problem_of(model: nn.Module, *x: Tensor, sites: Any = (), x0: Any = None) -> Problem:
    x0 = tuple(map(torch.zeros_like, x)) if x0 is None else x0
    return Problem(value=lambda z, owner: model(*z), x=x, baseline=x0, sites=tuple(sites))


def of_words(name: str) -> tuple[nn.Module, Problem]:
    """The logits of a tiny model, of its word embeddings."""
    model, tokenizer = tiny(name)
    encoded = tokenizer([TEXT, "dull"], return_tensors="pt", padding=True)
    words = model.get_input_embeddings()
    with torch.no_grad():
        x = words(encoded["input_ids"])

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        with replaced([(ModulePoint(words), [z[0]])]):
            return model(**{key: value[owner] for key, value in encoded.items()}).logits

    return model, Problem(value=value, x=(x,), baseline=(x.roll(1, 1),))


WORDS_ONCE = [name for name in ARCHITECTURES if name not in ("bart", "t5")]  # those look words up twice
