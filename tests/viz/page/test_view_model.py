"""The view model: examples and rows, their names and settings, the facts of an example."""

import re

from tests.viz.images import small
from tests.viz.samples import answered, label, made, with_gold
from xai_nlp.viz.page.html import page
from xai_nlp.viz.page.report import report
from xai_nlp.viz.page.view_model import CHARACTERS, view
from xai_nlp.viz.text.wording import explained_labels, sentence

OCCLUSION = {"scores": [0.0, 2.0, -1.0, 0.0, 0.0], "method": "occlusion", "complete": False}


def text_of(parts):
    return "".join(text for text, _ in parts)


def marks(text):
    return [mark for _, paragraph in text.paragraphs for mark in paragraph if mark.kind]


def test_rows_are_named_by_what_tells_them_apart():
    def names(*items):
        (example,) = view(items).examples
        return [row.name for row in example.rows]

    assert names(made()) == ["integrated gradients"]
    assert names(made(), made(**OCCLUSION, baseline="mask")) == ["integrated gradients", "occlusion"]
    assert names(made(), made(target=label("NEGATIVE"))) == ["POSITIVE", "NEGATIVE"]
    assert names(made(), made(baseline="mask"), made(**OCCLUSION)) == [
        "integrated gradients · baseline pad", "integrated gradients · baseline mask", "occlusion · baseline pad",
    ]  # fmt: skip
    assert names(made(), made()) == ["integrated gradients (1)", "integrated gradients (2)"]


def test_inputs_are_grouped_and_keep_their_order():
    shown = view([made("b"), made("a"), made("b", method="occlusion")])
    assert [len(example.rows) for example in shown.examples] == [2, 1]
    assert shown.title == "2\u00a0texts explained"
    assert "3\u00a0explanations" in shown.summary
    assert view([made()]).title == "Why POSITIVE?"


def test_settings_of_all_explanations_stand_on_every_card():
    both, one = view([made("b"), made("b", method="occlusion"), made("a")]).examples
    assert both.settings == [
        ("method", ("integrated gradients", "occlusion")), ("model", ("zoo/sentiment",)),
        ("compared with", ("padding",)),
    ]  # fmt: skip
    assert one.settings == [
        ("method", ("integrated gradients",)), ("model", ("zoo/sentiment",)), ("compared with", ("padding",)),
    ]  # fmt: skip
    assert ("layer", ("5",)) in view([made(params={"layer": 5})]).examples[0].settings
    assert view([made(baseline="none", model="", method="")]).examples[0].settings == []


def test_at_most_three_terms_are_used_and_each_is_explained():
    terms = view([made(scores=[0.5, 1.0, 0.0, 0.0, 0.0]), made("b", method="occlusion")]).terms
    assert list(terms) == ["integrated gradients", "tokenizer", "logit"]
    assert all(len(meaning) > 20 for meaning in terms.values())


def test_words_and_tokens_are_both_there_only_where_they_differ():
    merged = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))
    (one, other) = view([merged, made()]).examples
    assert [m.number for m in marks(one.rows[0].words)] == ["+0.750"]
    assert [m.number for m in marks(one.rows[0].tokens)] == ["+0.250", "+0.500"]
    assert other.rows[0].tokens is None
    assert not view([made()]).two_views


def test_the_label_that_is_explained_is_listed_however_unlikely():
    outputs = {f"label {i}": (20 - i) / 210 for i in range(20)}
    (example,) = view([made(target=label("label 19"), outputs=outputs)]).examples
    assert explained_labels(example.first) == ("label 19",)
    ((name, _, _, labels),) = example.outputs
    assert (name, len(labels), labels[0], labels[-1]) == ("", 9, "label 0", "label 19")


def test_facts_of_windows_and_steps():
    (example,) = view([made(params={"steps_used": 17, "windows": 3})]).examples
    facts = {fact.label: fact.value for fact in example.facts}
    assert facts["steps along the path"] == "17"
    assert facts["windows, because the text is long"] == "3"
    assert facts["f(x) − f(x₀)"] == "+1.00\u00a0logit"
    assert facts["tokens, 2 of them special"] == "5"
    assert facts["target"] == "POSITIVE"
    several = [fact.label for fact in view([made(), made(method="b")]).examples[0].facts]
    assert several == ["task", "tokens, 2 of them special"]
    assert view([made("a"), made("b")]).summary.endswith("leave at most 1\u00a0% unexplained")


def test_an_explanation_without_outputs_can_be_shown():
    (example,) = view([made(outputs={})]).examples
    assert example.outputs == []
    assert text_of(sentence(example.words)).startswith(
        "The score of POSITIVE is +1.50\u00a0logit. “fine” speaks for it most;"
    )


def test_in_what_explanations_of_a_text_differ():
    pair = [made(), made(method="occlusion"), made("another", model="other")]
    shown = view(pair)
    assert shown.differences == (("method", ("integrated gradients", "occlusion")),)  # no text has two models
    assert [row.differences for row in shown.examples[0].rows] == [
        (("method", "integrated gradients"),), (("method", "occlusion"),),
    ]  # fmt: skip
    assert view([made(), made("another")]).differences == ()


def test_right_answers_make_a_page_judged():
    shown = view([with_gold(made(), "POSITIVE"), made("b")])
    assert shown.judged
    assert [example.first.correct for example in shown.examples] == [True, None]
    assert not view([made()]).judged
    assert shown.labels == ["POSITIVE"]


def test_values_are_made_when_they_are_read():
    (row,) = view([made()]).examples[0].rows
    assert "words" not in vars(row)
    assert row.words is row.words
    assert "tokens" not in vars(row) and "image" not in vars(row)


# The table of all examples -------------------------------------------------------------------------------------------


def of(*items):
    """The example of explanations of one input."""
    (example,) = view(items).examples
    return example


def test_a_row_of_the_table_says_text_prediction_and_strongest_word():
    one = of(made(scores=[0.0, 1.0, -2.5, 0.5, 0.0]))
    assert (one.excerpt, one.largest, one.strongest_part) == ("a fine film", 2.5, "fine")
    table = page([made(f"text {n}", scores=[0.0, 1.0, -2.5, 0.0]) for n in range(6)])
    row = re.search(r"<tr data-for.*text 1</bdi>.*", table).group()
    assert re.findall(r"<td[^>]*>(?:<bdi>)?([^<]*)", row) == ["2", "POSITIVE", "75\u00a0%", "2.50\u00a0logit", "1"]
    assert re.findall(r'data-key="([^"]*)"', row) == ["2", "0.75", "2.5"]


def test_the_largest_score_is_that_of_any_explanation_and_region():
    assert of(made(scores=[0.0, 1.0, 0.0, 0.0, 0.0]), made(scores=[0.0, 3.0, 0.0, 0.0, 0.0])).largest == 3.0
    assert of(small((0.5, -4.0, 0.0, 0.0))).largest == 4.0


def test_right_and_wrong_answers():
    assert (of(made()).gold, of(made()).first.correct) == ("", None)
    assert (of(with_gold(made(), "POSITIVE", "MIXED")).gold, of(with_gold(made(), "POSITIVE")).first.correct) == (
        "POSITIVE / MIXED", True,
    )  # fmt: skip
    assert of(with_gold(made(), "NEGATIVE")).first.correct is False
    assert of(with_gold(answered("span"), "the Ada Lovelace")).first.correct is True  # SQuAD drops articles


def test_long_texts_are_cut_and_ids_follow_the_input():
    long = made("word " * 100)
    assert len(of(long).excerpt) == CHARACTERS
    assert of(long).id == of(long).id != of(made()).id
    assert view([made(), long]).examples[1].id.startswith("e2-")
    assert of(small(segments=("",), links=False)).excerpt == "example 1"


# The cards -----------------------------------------------------------------------------------------------------------


def test_each_card_names_every_method_and_model():
    items = [made("b"), made("b", method="occlusion", model="other/model"), made("a", method="saliency")]
    for html in (page(items), report(items)):
        cards = html.split("<article")[1:]
        assert len(cards) == 2
        for card, names in zip(
            cards, [("integrated gradients", "occlusion", "zoo/sentiment", "other/model"), ("saliency",)], strict=True
        ):
            (facts,) = re.findall(r'<p class="meta">.*?</p>', card, re.S)
            assert all(f">{name}</bdi>" in facts for name in names)


def test_a_switch_is_there_for_several_labels_entities_and_written_tokens_only():
    labels = of(made(target=label("NEGATIVE")), made(), made(method="occlusion"))
    assert labels.switch == [("NEGATIVE", "25\u00a0%"), ("POSITIVE", "75\u00a0%")]
    assert labels.shown == "POSITIVE"
    assert labels.explained_labels == set()  # all are
    entities = [
        made(
            target=label("PER", kind="entity", answer=text), outputs={"PER": share, "O": 1 - share}, answer=(0, (0, n))
        )
        for n, (text, share) in enumerate([("a", 0.75), ("fine", 0.5)], start=1)
    ]
    assert of(*entities).switch == [("“a” as PER", "75\u00a0%"), ("“fine” as PER", "50\u00a0%")]
    assert of(*entities).shown == "“a” as PER"
    assert [(name, rows) for name, rows, *_ in of(*entities).outputs] == [("“a” as PER", [0]), ("“fine” as PER", [1])]
    written = [
        made(target=label(token, kind="token", answer="ein Film"), outputs={"ein Film": 0.5})
        for token in ("ein", "Film")
    ]
    assert (of(*written).switch, of(*written).shown) == ([("ein", ""), ("Film", "")], "ein")
    for items in ([made(), made(method="occlusion")], [answered("start"), answered("end")], [made()]):
        assert of(*items).switch == []
    assert view([*entities, made()]).switched == ("target",)
