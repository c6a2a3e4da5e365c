"""Explanations made by hand."""

from dataclasses import replace

import numpy as np

from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.core.result import SPECIAL, Explanation, TargetSpec

HOSTILE = {
    "markup": "</script><img src=x onerror=alert(1)> \"quoted\" & 'single' {{ 7*7 }} {% raw %}",
    "rtl": "שלום world مرحبا \u202eevil\u202c",
    "invisible": "zero\u200bwidth\ufeff and\u200djoined",
    "emoji": "👩\u200d👩\u200d👧 family 👍🏽 ok",
    "escape": "\x1b[31mred\x1b]0;title\x07 bell\x08",
    "dollar": "cost $x_1$ and $\\alpha$ % #",
    "spaces": "  two  spaces\tand\n\nlines\r\nend ",
    "long": "word " * 2000,
    "separators": "line\u2028para\u2029end",
}


def label(name, contrast=None, kind="label", **more):
    return TargetSpec(kind=kind, label=name, contrast=contrast, **more)


def made(text="a fine film", scores=None, *, pair=None, **more):
    """One token a run of non-space characters, [CLS] and [SEP] around; scores 1, −0.5, 0.25, … unless given."""
    segments = (text,) if pair is None else (text, pair)
    tokens, offsets, segment = ["[CLS]"], [(0, 0)], [-1]
    for s, content in enumerate(segments):
        at = 0
        for word in content.split():
            start = content.index(word, at)
            at = start + len(word)
            tokens.append(word)
            offsets.append((start, at))
            segment.append(s)
        tokens.append("[SEP]")
        offsets.append((0, 0))
        segment.append(-1)
    scores = scores or [0.0 if s < 0 else (-1) ** i * 2.0 ** -(i % 7) for i, s in enumerate(segment)]
    values = dict(
        segments=segments, tokens=tuple(tokens), offsets=tuple(offsets), segment=tuple(segment), scores=tuple(scores),
        unit="logit", target=label("POSITIVE"), value=1.5, baseline_value=0.5,
        outputs={"NEGATIVE": 0.25, "POSITIVE": 0.75}, method="integrated_gradients", baseline="pad", complete=True,
        model="zoo/sentiment", params={"steps": "auto", "steps_used": 17}, versions={"xai_nlp": "0.1.0"},
    )  # fmt: skip
    return Explanation(**{**values, **more})


QUESTION, CONTEXT = "Who wrote it?", "Ada Lovelace wrote it"
TOKENS = ("[CLS]", "Who", "wrote", "it", "?", "[SEP]", "Ada", "Love", "lace", "wrote", "it", "[SEP]")
OFFSETS = ((0, 0), (0, 3), (4, 9), (10, 12), (12, 13), (0, 0), (0, 3), (4, 8), (8, 12), (13, 18), (19, 21), (0, 0))
SEGMENT = (SPECIAL, 0, 0, 0, 0, SPECIAL, 1, 1, 1, 1, 1, SPECIAL)
L = len(TOKENS)


def matrices(layers=2, heads=3, length=L, seed=0, **more):
    numbers = np.random.default_rng(seed).standard_normal((layers, heads, length, length)) ** 3
    names = tuple(f"layer {k}" for k in range(layers))
    return AttentionAttribution(
        scores=Array(numbers), layers=names, method="attention_conductance", unit="logit", **more
    )


def answered(kind="start", contrast=None, answer_text="Ada Lovelace", **more):
    values = dict(
        pair=CONTEXT, tokens=TOKENS, offsets=OFFSETS, segment=SEGMENT, scores=tuple(0.1 * i for i in range(L)),
        target=label(answer_text, contrast, kind), task="question-answering",
        outputs={"Ada Lovelace": 0.75, "": 0.25}, answer=(1, (0, 12)),
        layers=Array(np.arange(2 * L).reshape(2, L) / 10), attention={"self": matrices()},
        parts={"word": (0.05,) * L, "position": tuple(0.1 * i - 0.05 for i in range(L))},
    )  # fmt: skip
    return made(QUESTION, **{**values, **more})


def with_gold(item, *labels):
    """The explanation with these right answers."""
    return replace(item, gold=labels)
