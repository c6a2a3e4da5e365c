"""A table explained in parts: the same explanations, numbered errors, one bar over all parts."""

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.cli import parts
from xai_nlp.cli.parts import TableBar, explain_in_parts
from xai_nlp.core.progress import Bar
from xai_nlp.data.table import read_table

TEXTS = ["a film", "the plot", "", "was great", "the film", " ", "great"]


def test_parts_are_the_whole(monkeypatch):
    monkeypatch.setattr(parts, "FIRST_ROWS", 2)
    explainer, table = xai_nlp.load(*tiny("bert")), read_table({"text": TEXTS, "label": ["0"] * 7})
    results = list(explain_in_parts(explainer, table, quiet=True, method=["saliency", "lrp"]))
    assert [len(part) for part in results] == [4, 4, 2], "2 rows, then 4 of which two are empty, then the last"
    assert [(why.segments, why.method) for part in results for why in part] == [
        ((text,), method) for text in TEXTS if text.strip() for method in ("saliency", "lrp")
    ]
    assert {index for part in results for index in part.errors} == {2, 5}
    assert all(len(why.gold) == 1 for part in results for why in part)


def test_the_bar_expects_of_the_rest_what_the_rows_so_far_took():
    shared = TableBar(bar := Bar("explaining"), rows=10)
    shared.begin(2)
    shared.total = 4
    assert bar.total == 20
    shared.update(4)
    shared.begin(3)
    shared.total = 6
    assert bar.total == shared.total == 20
    shared.update(6)
    assert bar.done == 10
