"""The summary of a report: shares of right answers, confusions, words and heads, kinds of explanations apart."""

import pytest

from tests.recipes.saved import DOUBT
from tests.viz.images import small
from tests.viz.samples import answered, made, with_gold
from xai_nlp.core.statistics import mean_of, proportion
from xai_nlp.core.trust import Trust, TrustCheck
from xai_nlp.viz.page.report_summary import interval_text, report_summary
from xai_nlp.viz.text.number_format import percent


def facts(items, examples=1):
    return {fact.label: (fact.value, fact.verdict) for fact in report_summary(items, examples).facts}


def test_each_example_is_judged_once_for_each_model():
    right, wrong = with_gold(made(), "POSITIVE"), with_gold(made("b film"), "NEGATIVE")
    again = with_gold(made(method="occlusion", complete=False), "POSITIVE")
    labels = list(facts([right, again, wrong, made("c film")], 3))
    assert labels[1].startswith("right: ") and labels[1].endswith("of 2 judged")
    other = [with_gold(made(model=name), "POSITIVE") for name in ("one", "two")]
    assert [label for label in facts(other) if "judged" in label] == [
        f"right of {name}: {interval_text(proportion(1, 1), percent)} of 1 judged" for name in ("one", "two")
    ]


def test_confusions_are_counted_where_the_model_chooses_a_label():
    items = [with_gold(made(f"text {n}"), label) for n, label in enumerate(("POSITIVE", "NEGATIVE", "NEGATIVE"))]
    ((name, table),) = report_summary(items, 3).confusions
    assert (name, table.labels, table.counts) == ("", ("NEGATIVE", "POSITIVE"), ((0, 2), (0, 1)))
    assert report_summary([with_gold(answered("span"), "Ada")], 1).confusions == ()


def test_the_verdict_on_residuals_is_of_complete_explanations():
    good = made(scores=[0.0, 1.0, 0.0, 0.0, 0.0])
    assert facts([good, made(complete=False)])["explanations leave at most 1 % unexplained"] == ("1 of 1", "good")
    assert "explanations leave at most 1 % unexplained" not in facts([made(complete=False)])


def test_levels_of_trust_are_counted_where_they_were_checked():
    sure = Trust(checks=(TrustCheck(name="effect", level="holds", sentence="It moves."),))
    of = facts([made(trust=DOUBT), made(trust=sure), made(trust=sure), made()], 4)
    assert of["checked explanations: holds"] == ("2 of 3", "good")
    assert of["checked explanations: holds in part"] == ("1 of 3", "fair")
    assert of["checked explanations: do not rely on it"] == ("0 of 3", "poor")
    assert not any(label.startswith("checked") for label in facts([made()]))


def test_methods_are_summed_up_apart():
    summary = report_summary([made(), made(method="occlusion")], 1)
    assert [(table.label, table.name) for table in summary.words] == [
        ("POSITIVE", "integrated gradients"), ("POSITIVE", "occlusion"),
    ]  # fmt: skip
    (table,) = report_summary([made(), made("a dull film")], 2).words
    assert table.name == ""
    assert {word for word, *_ in table.lines} == {"a", "film"}  # in both
    assert table.both == ({"p", "n"} <= {bar.kind for _, bar, *_ in table.lines})


def test_modalities_and_heads_where_there_are_any():
    summary = report_summary([small(), small()], 2)
    ((_, shares),) = summary.modalities
    assert shares["text"].mean + shares["image"].mean == pytest.approx(1)
    assert [name for name, _ in summary.heads] == ["image, attention conductance"]
    assert report_summary([made()], 1).modalities == ()
    ((name, table),) = report_summary([answered()], 1).heads
    assert (name, table.heads, len(table.lines)) == ("attention conductance", ("0", "1", "2"), 2)


def test_intervals_in_words():
    assert interval_text(mean_of([1.0]), str) == "one observation"
    assert interval_text(mean_of([2.0, 2.0]), str) == "2.0 to 2.0"
