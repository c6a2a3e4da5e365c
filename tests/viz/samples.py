"""Explanations made by hand."""

from xai_nlp.core.result import Explanation

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
        unit="logit", target="POSITIVE", value=1.5, baseline_value=0.5, outputs={"NEGATIVE": 0.25, "POSITIVE": 0.75},
        method="integrated_gradients", baseline="pad", complete=True, model="zoo/sentiment",
        params={"steps": "auto", "steps_used": 17}, versions={"xai_nlp": "0.1.0"},
    )  # fmt: skip
    return Explanation(**{**values, **more})
