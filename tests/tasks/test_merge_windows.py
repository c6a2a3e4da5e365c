"""Windows merged into one list of tokens: sums stay true, tokens keep their characters."""

import pytest

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_explainer import total
from tests.viz.samples import HOSTILE
from xai_nlp.errors import InvalidInput


@pytest.mark.parametrize("text", ["good " * 900 + "bad", ("a question", "dull film " * 400)])
def test_long_texts_are_stitched_and_sums_stay_true(sentiment, text):
    why = sentiment.explain(text)
    assert why.params["windows"] > 1
    assert abs(why.residual) <= 0.01 * max(abs(why.explained), 0.05) * why.params["windows"]
    assert total(why) == pytest.approx(why.explained - why.residual)
    parts = text if isinstance(text, tuple) else (text,)
    for s, part in enumerate(parts):
        assert [t for t, k in zip(why.tokens, why.segment, strict=True) if k == s] == part.split()
    with pytest.raises(InvalidInput, match="long='windows'"):
        sentiment.explain(text, long="error")


def test_stitched_scores_are_means_over_windows_by_hand(sentiment):
    text = "good film bad plot dull end"
    whole = sentiment.explain(text, max_length=6, stride=2, method="occlusion", target=1)  # 4 words a window
    first, last = (
        sentiment.explain(t, method="occlusion", target=1) for t in ("good film bad plot", "bad plot dull end")
    )
    expected = [
        *first.scores[1:3],
        first.scores[3] + last.scores[1],
        first.scores[4] + last.scores[2],
        *last.scores[3:5],
    ]
    assert whole.params["windows"] == 2
    assert whole.scores[1:-1] == pytest.approx([e / 2 for e in expected], abs=1e-5)
    assert whole.value == pytest.approx((first.value + last.value) / 2, abs=1e-5)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("name", ["zoo", "roberta", "gpt2"])
def test_hostile_text_keeps_its_offsets(sentiment, name, kind):
    explainer = sentiment if name == "zoo" else xai_nlp.load(*tiny(name))
    why = explainer.explain(HOSTILE[kind], steps=9)
    ends = 0
    for token, segment, (start, end) in zip(why.tokens, why.segment, why.offsets, strict=True):
        if segment >= 0:
            assert HOSTILE[kind][start:end] == token
            assert token.strip()
            assert start >= ends
            ends = end
    assert xai_nlp.Explanation.from_json(why.to_json()) == why
    assert total(why.words()) == pytest.approx(total(why), abs=1e-9)
    assert "<img" not in why._repr_html_()
