"""The results of influence are plain values: short reprs, slices, tables, files."""

import pytest

from tests.viz.influences import suspects, traced
from xai_nlp.core.training_influence import METHODS, SuspectLabels, TrainingExample


def test_reprs_are_one_short_line():
    assert repr(traced()) == (
        "<TrainingInfluence on POSITIVE of 'a film': 2 proponents, 1 opponents of 200 texts, word_embeddings>"
    )
    assert len(repr(TrainingExample(index=3, text=("a" * 80, "b"), label="X", score=0.5))) < 120
    shown = repr(suspects(["a\nfilm " * 50] * 9))
    assert shown.startswith("<SuspectLabels, 9 of 200 texts, word_embeddings: <TrainingExample 0 +10 NEGATIVE: 'a film")
    assert "\n" not in shown and len(shown) < 300


def test_suspects_are_a_sequence():
    found = suspects(["one", "two", "three"])
    assert [one.text for one in found] == ["one", "two", "three"]
    assert found[-1].text == "three" and len(found) == 3
    assert isinstance(found[1:], SuspectLabels) and found[1:].total == 200
    assert found[:] == found and found[1:] != found


def test_tables():
    table = traced().to_pandas()
    assert list(table.columns) == ["role", "rank", "index", "score", "label", "text"]
    assert table["role"].tolist() == ["proponent", "proponent", "opponent"]
    assert table["rank"].tolist() == [1, 2, 1]
    assert suspects().to_pandas()["score"].tolist() == [10, 5]
    assert list(suspects([]).to_pandas().columns) == ["rank", "index", "score", "label", "text"]


def test_shared_words_add_up():
    (first, *_) = traced().proponents
    assert first.shared_words == {"[CLS]": 0.5, "a": 0.25, "film": 0.25}


def test_units():
    assert {traced(method=method).unit for method in METHODS if method != "similarity"} == {"nat"}
    assert traced(method="similarity").unit == "cosine"
    assert (suspects().unit, suspects(method="similarity").unit) == ("nat", "")


@pytest.mark.parametrize("result", [traced(), suspects()], ids=["influence", "suspects"])
def test_it_shows_itself(result, tmp_path):
    result.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "a fine film" in page
    assert 'class="xai-nlp in-cell"' in result._repr_html_()
    assert "\x1b[" in result.to_ansi()
