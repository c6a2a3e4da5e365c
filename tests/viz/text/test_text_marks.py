"""Marks of a text: strengths on both scales, few stops for the tab key, legends of shared scales."""

from tests.viz.images import small
from tests.viz.samples import answered, made
from xai_nlp.viz.text.text_marks import TAB_STOPS, marked_text, own_peaks, shared_legends

IG = {"scores": [0.0, 1.0, -0.5, 0.25, 0.0]}
OCCLUSION = {"scores": [0.0, 2.0, -1.0, 0.0, 0.0], "method": "occlusion", "complete": False}
ROLLOUT = {"scores": [0.0, 0.1, 0.4, 0.2, 0.0], "method": "attention_rollout", "complete": False, "unit": ""}


def marks(text):
    return [mark for _, paragraph in text.paragraphs for mark in paragraph if mark.kind]


def test_strengths_on_both_scales():
    text = marked_text(made(**IG), 4.0)
    assert [(m.text, m.kind, m.own, m.shared, m.number) for m in marks(text)] == [
        ("a", "p", 100, 25, "+1.00"),
        ("fine", "n", 50, 12, "−0.50"),
        ("film", "p", 25, 6, "+0.25"),
    ]
    assert text.specials == ()
    assert [m.rank for m in marks(text)] == [1, 2, 3]
    assert marks(text)[0].description == "+1.00\u00a0logit"


def test_only_equal_units_share_a_scale():
    why = [made(**IG), made(**OCCLUSION), made(**ROLLOUT), made(**{**ROLLOUT, "method": "saliency"})]
    legends = shared_legends(why).values()
    assert [(legend.peak, legend.unit, legend.methods) for legend in legends] == [
        (2.0, "logit", ("integrated gradients", "occlusion")),
        (0.4, "", ("attention rollout",)),
        (0.4, "", ("saliency",)),
    ]


def test_text_and_image_have_a_peak_each_and_share_the_larger():
    why = small((0.5, -2.5, 0.0, 1.0))
    assert own_peaks(why) == (1.41, 2.5)
    assert [legend.peak for legend in shared_legends([why]).values()] == [2.5]
    assert marked_text(why, 2.5).legend.peak == 1.41


def test_special_tokens_that_score_do_not_make_words_faint():
    why = made(scores=[0.9, 0.01, -0.02, 0.005, 0.0001])
    assert own_peaks(why) == (0.02, 0.0)
    text = marked_text(why, 0.02)
    assert [m.own for m in marks(text)] == [50, 100, 25]
    assert [(m.text, m.own, m.number) for m in text.specials] == [("[CLS]", 100, "+0.9000")]
    assert own_peaks(made(scores=[0.9, 0.0, 0.0, 0.0, 0.0])) == (0.9, 0.0)


def test_all_zero_has_no_peak():
    text = marked_text(made(scores=[0.0] * 5), 0.0)
    assert text.legend.peak == 0
    assert {m.own for m in marks(text)} == {0}


def test_a_long_text_has_few_stops_for_the_tab_key():
    text = marked_text(made(" ".join(f"w{i}" for i in range(500))), 1.0)
    assert sum(mark.tab_stop for mark in (*marks(text), *text.specials)) == TAB_STOPS
    assert text.long
    assert not marked_text(made(), 1.0).long


def test_the_answer_opens_and_closes_once():
    why = answered()  # “Ada Lovelace”, in the second segment
    words = marked_text(why.words(), 1.0, why.word_groups())
    assert [(mark.text, mark.answer) for mark in marks(words) if mark.answer] == [("Ada", "o"), ("Lovelace", "c")]
    assert next(mark.tokens for mark in marks(words) if mark.text == "Lovelace") == "7 8"
    one = answered(answer=(1, (19, 21)))
    assert [mark.answer for mark in marks(marked_text(one, 1.0)) if mark.answer] == ["oc"]
