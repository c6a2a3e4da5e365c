"""Odd texts for every task and method: our errors, or finite scores of tokens that lie in the text in order."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from random import Random

from tests.hostile.models import check_finite, explainers
from tests.hostile.trial import Trial, family
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.errors import XaiError
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS

PIECES = (
    "film", "great", "a", "İstanbul", "ﬁlm", "naïve", "e\u0301" * 5, "o" + "\u0308" * 40,
    "👩\u200d👩\u200d👧\u200d👦", "🇩🇪", "👍🏽", "😀" * 9, "\u05e9\u05dc\u05d5\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u202eevil\u202c", "\u200b",
    "a\u200db", "\ufeff", "\u00ad", "\u2028", "\u0085", "\u0000", "\u0007", "\u001b[31m", "\u000d\u000a",
    "\u0009", " ", "\u3000", "中文字", "こんにちは", "한국어", "हिन\u094dदी", "ไทย", "<b>x</b>", "&amp;",
    "</script>", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "<s>", "<|endoftext|>", "\ud800", "\udfff", "�", "\uffff",
    "\U0010ffff", "ß", "ǅ", "0" * 50, "http://a.b/c?d=e#f", "a" * 120, ".", "''", "\"", "\\", "%s{}", "𝔣𝔦𝔩𝔪",
    "½", "Ⅷ",
)  # fmt: skip
ROUGH = {"samples": 3, "steps": 3}  # enough to see that a method runs


def drawn_text(random: Random) -> str:
    kind = random.random()
    if kind < 0.05:
        return random.choice(["", " ", "\n", "\u200b", "\x00", "\ud800", "[MASK]"])
    if kind < 0.1:
        return random.choice(["a", "é", "😀", "\u0301", "ab ", "字"]) * random.choice([300, 10_000])
    if kind < 0.2:
        return "".join(chr(random.randrange(0x110000)) for _ in range(random.randint(1, 12)))
    return random.choice(["", " "]).join(random.choice(PIECES) for _ in range(random.randint(1, 8)))


def check_tokens(why: Explanation, *, whole: bool) -> None:
    """Tokens lie in their segment, one after the other, and leave no letter or digit out.

    whole: of the text; else of the window that is explained.
    """
    for s, text in enumerate(why.segments):
        spans = [span for span, segment in zip(why.offsets, why.segment, strict=True) if segment == s]
        assert all(0 <= a <= b <= len(text) for a, b in spans), spans
        assert spans == sorted(spans), spans
        covered = {i for a, b in spans for i in range(a, b)}
        read = range(len(text)) if whole else range(min(covered, default=0), max(covered, default=0))
        left = {text[i] for i in read if i not in covered}
        assert not [c for c in left if unicodedata.category(c)[0] in "LNPS" and c != "\ufffd"], (left, spans)
    assert all(span == (0, 0) for span, s in zip(why.offsets, why.segment, strict=True) if s == SPECIAL)


def run(name: str, changed: dict[str, str], method: str) -> None:
    explainer, inputs = explainers()[name]
    options = {key: value for key, value in ROUGH.items() if key in METHODS[method].__dataclass_fields__}
    before = fingerprint(explainer.model)
    try:
        result = explainer.explain(**{**inputs, **changed}, method=method, progress=False, **options)
        check_finite(result)
        for why in [result] if isinstance(result, Explanation) else result:
            check_tokens(why, whole=explainer.mean_of_windows)
    except XaiError:
        pass
    assert fingerprint(explainer.model) == before


@family("texts", quick=250, long=3000)
def trials(random: Random) -> Iterator[Trial]:
    of_texts = [name for name, (explainer, _) in explainers().items() if explainer.task.reads_text]
    while True:
        name, method = random.choice(of_texts), random.choice(sorted(METHODS))
        inputs = [one.name for one in explainers()[name][0].task.inputs if one.kind in ("text", "long text")]
        changed = {one: drawn_text(random) for one in inputs if random.random() < 0.8}
        if name == "masks" and changed:
            changed = {one: f"{text}[MASK] film" for one, text in changed.items()}
        yield Trial(
            f"{name} {method} {str(changed)[:150]!a}",
            lambda name=name, changed=changed, method=method: run(name, changed, method),
        )
