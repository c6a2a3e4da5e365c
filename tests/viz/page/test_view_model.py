"""What stands where on a page: scales, names, tables, balances."""

from tests.viz.samples import made
from xai_nlp.viz.text.text_marks import STOPS, own_peaks, shared_legends, shared_peaks, strip
from xai_nlp.viz.page.score_tables import balance, tables
from xai_nlp.viz.page.view_model import view

IG = {"scores": [0.0, 1.0, -0.5, 0.25, 0.0]}
OCCLUSION = {"scores": [0.0, 2.0, -1.0, 0.0, 0.0], "method": "occlusion", "complete": False}
ROLLOUT = {"scores": [0.0, 0.1, 0.4, 0.2, 0.0], "method": "attention_rollout", "complete": False, "unit": ""}


def marks(shown):
    return [mark for _, paragraph in shown.paragraphs for mark in paragraph if mark.kind]


def test_strengths_on_both_scales():
    shown = strip(made(**IG), 1.0, {"logit": 4.0})
    assert [(m.text, m.kind, m.own, m.shared, m.number) for m in marks(shown)] == [
        ("a", "p", 100, 25, "+1.00"),
        ("fine", "n", 50, 12, "−0.50"),
        ("film", "p", 25, 6, "+0.25"),
    ]
    assert [(m.text, m.kind, m.number) for m in shown.chips] == [("[CLS]", "z", "0"), ("[SEP]", "z", "0")]
    assert [m.rank for m in marks(shown)] == [1, 2, 3]
    assert marks(shown)[0].spoken == "+1.00\u00a0logit"


def test_only_equal_units_share_a_scale():
    why = [made(**IG), made(**OCCLUSION), made(**ROLLOUT), made(**{**ROLLOUT, "method": "saliency"})]
    peaks = shared_peaks(why, [own_peaks(item, item)[0] for item in why])
    assert list(peaks.values()) == [2.0, 0.4, 0.4]
    assert [(legend.peak, legend.unit, legend.methods) for legend in shared_legends(why, peaks)] == [
        ("2.00", "logit", ("integrated gradients", "occlusion")),
        ("0.400", "", ("attention rollout",)),
        ("0.400", "", ("saliency",)),
    ]


def test_all_zero_has_a_legend_without_a_peak():
    shown = strip(made(scores=[0.0] * 5), 0.0, {})
    assert shown.legend.peak == ""
    assert {m.own for m in marks(shown)} == {0}


def test_a_long_text_has_few_stops_for_the_tab_key():
    text = " ".join(f"w{i}" for i in range(500))
    shown = strip(made(text), 1.0, {})
    assert sum(mark.stop for mark in marks(shown)) + sum(chip.stop for chip in shown.chips) == STOPS
    assert shown.long
    assert not strip(made(), 1.0, {}).long


def test_rows_are_named_by_what_tells_them_apart():
    def names(*items):
        (group,) = view(items).groups
        return [row.name for row in group.rows]

    assert names(made()) == ["integrated gradients"]
    assert names(made(), made(**OCCLUSION, baseline="mask")) == ["integrated gradients", "occlusion"]
    assert names(made(), made(target=label("NEGATIVE"))) == ["POSITIVE", "NEGATIVE"]
    assert names(made(), made(baseline="mask"), made(**OCCLUSION)) == [
        "integrated gradients · baseline pad", "integrated gradients · baseline mask", "occlusion · baseline pad",
    ]  # fmt: skip
    assert names(made(), made()) == ["integrated gradients (1)", "integrated gradients (2)"]


def test_texts_are_grouped_and_keep_their_order():
    page = view([made("b"), made("a"), made("b", method="occlusion")])
    assert [len(group.rows) for group in page.groups] == [2, 1]
    assert page.question == ("", "2\u00a0texts", " explained")
    assert ("methods", "2") in page.meta
    assert ("model", "zoo/sentiment") in page.meta


def test_words_and_tokens_are_both_there_only_where_they_differ():
    merged = made("bad", tokens=("ba", "d"), offsets=((0, 2), (2, 3)), segment=(0, 0), scores=(0.25, 0.5))
    (one, other) = view([merged, made()]).groups
    assert [m.number for m in marks(one.rows[0].words)] == ["+0.750"]
    assert [m.number for m in marks(one.rows[0].tokens)] == ["+0.250", "+0.500"]
    assert other.rows[0].tokens is None
    assert not view([made()]).two_views


def test_the_strongest_words_come_first_and_once():
    (table,) = tables(["ig", "occlusion"], [made(**IG), made(**OCCLUSION)], [1.0, 2.0], {"logit": 2.0}, top=2)
    assert table.heads == ("ig, logit", "occlusion, logit")
    assert [(line.name, [c.number for c in line.cells]) for line in table.lines] == [
        ("a", ["+1.00", "+2.00"]),
        ("fine", ["−0.50", "−1.00"]),
    ]
    assert [(c.own, c.shared) for c in table.lines[0].cells] == [(100, 50), (100, 100)]


def test_strength_comes_before_place():
    (table,) = tables(["ig"], [made(scores=[0.0, 0.25, -0.5, 1.0, 2.0])], [2.0], {"logit": 2.0}, top=10)
    assert [line.name for line in table.lines] == ["film", "fine", "a"]  # without [SEP], whatever its score


def test_explanations_cut_differently_get_tables_of_their_own():
    other = made(tokens=("a", "fine film"), offsets=((0, 1), (2, 11)), segment=(0, 0), scores=(1.0, 2.0))
    assert [len(table.lines) for table in tables(["x", "y"], [made(), other], [1.0, 1.0], {"logit": 2.0})] == [5, 2]


def test_the_parts_add_up_to_the_whole():
    table = balance(made(scores=[0.0, 1.0, -0.5, 0.25, 0.125]))  # f(x) − f(x₀) = 1, so 0.125 is left
    assert [(line.name, line.cells[0].number) for line in table.lines] == [
        ("words for", "+1.25"),
        ("words against", "−0.50"),
        ("special tokens", "+0.12"),
        ("left unexplained", "+0.12"),
        ("f(x) − f(x₀)", "+1.00"),
    ]
    assert table.both
    assert balance(made(complete=False)) is None
    assert balance(made(baseline="none")) is None


def test_the_label_asked_about_is_listed_however_unlikely():
    outputs = {f"label {i}": (20 - i) / 210 for i in range(20)}
    (group,) = view([made(target=label("label 19"), outputs=outputs)]).groups
    assert [o.label for o in group.outputs if o.asked] == ["label 19"]
    assert len(group.outputs) == 9
    assert group.unlisted == 11
    assert group.outputs[0].label == "label 0"


def test_facts_of_windows_layers_and_steps():
    page = view([made(params={"steps_used": 17, "windows": 3, "layer": 5})])
    assert "17" in [fact.value for fact in page.facts]
    assert any(fact.value == "3" and fact.label.startswith("windows") for fact in page.facts)
    assert ("layer", "5") in page.meta
    assert [fact.label for fact in view([made("a"), made("b")]).facts] == [
        "texts", "explanations", "leave at most 1 % unexplained",
    ]  # fmt: skip


def test_an_explanation_without_outputs_can_be_shown():
    page = view([made(outputs={})])
    assert page.groups[0].outputs == ()
    assert page.question == ("Why ", "POSITIVE", "?")


def test_in_what_explanations_of_a_text_differ():
    pair = [made(), made(method="occlusion"), made("another", model="other")]
    shown = view(pair)
    assert shown.differences == (("method", ("integrated gradients", "occlusion")),)  # no text has two models
    assert [row.differs for row in shown.groups[0].rows] == [
        (("method", "integrated gradients"),), (("method", "occlusion"),),
    ]  # fmt: skip
    assert view([made(), made("another")]).differences == ()


def test_what_is_right_is_told():
    right, wrong = made(gold=("POSITIVE",)), made("b film", gold=("NEGATIVE",))
    shown = view([right, wrong, made("c film")])
    assert [group.entry.right for group in shown.groups] == [True, False, None]
    assert shown.judged
    assert ("POSITIVE", "is right") in [(fact.value, fact.label) for fact in shown.groups[0].facts]
