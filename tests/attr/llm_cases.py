"""Both libraries, a language model of words without transformers, and how two plots are compared."""

from types import SimpleNamespace

import captum.attr as captum
import numpy as np
import torch
from torch import Tensor, nn

import xai_nlp.attr as ours

BOTH = (captum, ours)


def alike(own, reference):
    """Two axes: what is drawn, in which colours, on which scale, under which names."""
    for here, there in zip(own.images, reference.images, strict=True):
        np.testing.assert_allclose(np.asarray(here.get_array(), float), np.asarray(there.get_array(), float), atol=1e-5)
        assert here.get_cmap()(0.3) == there.get_cmap()(0.3) and here.get_alpha() == there.get_alpha()
        np.testing.assert_allclose(here.get_clim(), there.get_clim(), atol=1e-5)
    texts = [[(t.get_text(), t.get_position(), t.get_color()) for t in ax.texts] for ax in (own, reference)]
    assert [(text, at) for text, at, _ in texts[0]] == [(text, at) for text, at, _ in texts[1]]
    assert texts[0] == texts[1]
    assert own.axison == reference.axison
    for axis in ("x", "y") if own.axison else ():
        labels = [
            [label.get_text() for label in getattr(ax, f"get_{axis}ticklabels")() if label.get_visible()]
            for ax in (own, reference)
        ]
        assert labels[0] == labels[1]
    bars = [[(p.get_x(), p.get_height(), p.get_facecolor()) for p in ax.patches] for ax in (own, reference)]
    np.testing.assert_allclose([b[:2] for b in bars[0]], [b[:2] for b in bars[1]])
    assert [b[2] for b in bars[0]] == [b[2] for b in bars[1]]
    assert own.get_ylabel() == reference.get_ylabel()
    np.testing.assert_allclose(own.figure.get_size_inches(), reference.figure.get_size_inches())
    beside = [[ax.get_ylabel() for ax in which.figure.axes] for which in (own, reference)]
    assert beside[0] == beside[1]


class WordTokenizer:
    """Words as tokens. `encode` returns a list, or with `tensors` a tensor where one is requested, as Captum needs.

    offsets: it is called for offsets, as fast tokenizers are.
    """

    def __init__(self, *, tensors: bool = True, offsets: bool = True) -> None:
        self.tensors, self.words = tensors, ["<s>", "<unk>"]
        if offsets:
            self.__class__ = type("WordTokenizer", (WordTokenizer,), {"__call__": WordTokenizer.with_offsets})

    def number(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)

    def encode(self, text: str, add_special_tokens: bool = True, return_tensors: str | None = None):
        ids = [0] * add_special_tokens + [self.number(word) for word in text.split()]
        return torch.tensor([ids]) if self.tensors and return_tensors == "pt" else ids

    def decode(self, ids):
        return " ".join(self.convert_ids_to_tokens(ids.flatten().tolist()))

    def convert_tokens_to_ids(self, tokens):
        return [self.number(token) for token in tokens]

    def convert_ids_to_tokens(self, ids):
        return [self.words[i] for i in ids]

    def with_offsets(self, text: str, return_offsets_mapping: bool = True, add_special_tokens: bool = False):
        ends = np.cumsum([len(word) + 1 for word in text.split()]) - 1
        spans = [(int(end) - len(word), int(end)) for word, end in zip(text.split(), ends, strict=True)]
        return {"input_ids": self.encode(text, add_special_tokens), "offset_mapping": spans}


class WordModel(nn.Module):
    """A causal language model of 12 words; `generate` writes the likeliest ones."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(12, 6), nn.Linear(6, 12)
        self.device = torch.device("cpu")

    def forward(self, input_ids: Tensor, **_: object) -> SimpleNamespace:
        logits = self.head(torch.tanh(self.embedding(input_ids).cumsum(1)))
        return SimpleNamespace(logits=logits, past_key_values=None)

    def generate(self, input_ids: Tensor, max_new_tokens: int = 3, **_: object) -> Tensor:
        for _ in range(min(max_new_tokens, 3)):
            likely = self(input_ids).logits[:, -1:, :6].argmax(-1)
            input_ids = torch.cat([input_ids, likely], 1)
        return input_ids
