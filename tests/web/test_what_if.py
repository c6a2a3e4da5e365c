"""Two explanations compared word by word."""

from tests.viz.samples import label, made
from xai_nlp.web.what_if import compare


def test_words_are_matched_in_order(sentiment):
    texts = ("a fine film", "a really dull film")
    before, after = (sentiment.explain(text, method="occlusion") for text in texts)
    change = compare(before, after)
    assert [row["words"] for row in change["words"]] == [
        ["a", "a"], ["fine", "really"], [None, "dull"], ["film", "film"]
    ]  # fmt: skip
    for side, why in enumerate((before, after)):
        scores = [row["scores"][side] for row in change["words"] if row["words"][side]]
        assert scores == list(why.words().scores[1:-1])  # without [CLS] and [SEP]
    assert change["prediction"] == ["POSITIVE", "NEGATIVE"]
    outputs = {row["label"]: row["scores"] for row in change["outputs"]}
    assert outputs == {name: [before.outputs[name], after.outputs[name]] for name in ("NEGATIVE", "POSITIVE")}


def test_a_text_that_did_not_change_has_all_words_on_both_sides():
    change = compare(made(), made())
    assert all(old == new for row in change["words"] for old, new in [row["words"], row["scores"]])


def test_an_answer_that_only_one_has():
    change = compare(made(outputs={"Ada": 0.9}), made(outputs={"Bob": 0.8}, target=label("Bob")))
    assert change["outputs"] == [{"label": "Ada", "scores": [0.9, None]}, {"label": "Bob", "scores": [None, 0.8]}]
