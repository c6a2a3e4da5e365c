"""A notebook's cell: sentence, text and five bars; style and script once for each notebook."""

import sys
from types import SimpleNamespace

import pytest

from tests.viz.html_reader import Reader
from tests.viz.images import asked
from tests.viz.samples import answered, made, matrices
from xai_nlp import Explanations
from xai_nlp.viz.page import notebook
from xai_nlp.viz.page.notebook import MOST, needs_assets, notebook_html, running_cell


@pytest.fixture(autouse=True)
def new_notebook(monkeypatch):
    monkeypatch.setattr(notebook, "_sent", [])


def before_the_fold(html):
    return html.partition('<details class="rest">')[0]


def test_the_first_screen_is_a_sentence_the_text_and_five_bars():
    why = made("a fine, long and gripping film about two people", scores=tuple(map(float, range(-5, 6))))
    first = before_the_fold(notebook_html([why], assets=False))
    assert 'class="say"' in first and "gripping" in first
    assert first.count('class="track"') == 5
    assert "integrated gradients · <bdi>zoo/sentiment</bdi>" in first
    assert '<form class="controls"' not in first and "<table" not in first
    html = notebook_html([why], assets=False)
    assert "controls" in html and "<details" in html.partition("rest")[2]


@pytest.mark.parametrize("why", [made("<img src=x>"), answered(), asked()], ids=["text", "answer", "image"])
def test_every_kind_is_drawn_and_escaped(why):
    html = notebook_html([why], assets=True)
    read = Reader(html)
    assert len(read.styles) == 1 and "<img src=x>" not in html
    assert 'class="t ' in before_the_fold(html)


def test_the_fold_says_what_is_in_it():
    plain, whole = (
        notebook_html([one], assets=False) for one in (made(), answered(layers=None, attention={"self": matrices()}))
    )
    assert "<summary>Outputs, every number" in plain and "<summary>Outputs, attention, every number" in whole


def test_methods_of_one_text_are_side_by_side():
    html = before_the_fold(notebook_html([made(method=name) for name in ("lime", "lrp")], assets=False))
    assert '<p class="title">lime</p>' in html and '<p class="title">lrp</p>' in html
    assert 'class="heat"' in html


def test_long_lists_are_bounded():
    html = notebook_html(Explanations(made(f"film {n}") for n in range(MOST + 7)), assets=False)
    assert before_the_fold(html).count('<section class="brief"') == MOST
    assert "7 more are not drawn here" in html


def test_nothing_is_drawn_of_nothing():
    assert "Nothing explained yet" in Reader(notebook_html([], assets=True)).text


def test_the_first_cell_carries_style_and_script_each_time_it_runs():
    assert needs_assets(("a", 1))
    assert not needs_assets(("a", 1)), "a second explanation of the same execution"
    assert not needs_assets(("b", 2))
    assert needs_assets(("a", 3))
    assert needs_assets(None) and needs_assets(None), "outside of a notebook every piece stands alone"


def shell(cell="", count=1, source="why"):
    parent = {"metadata": {"cellId": cell} if cell else {}}
    return SimpleNamespace(
        kernel=object(), execution_count=count, get_parent=lambda: parent, user_ns={"In": ["", source]}
    )


@pytest.mark.parametrize(
    ("shell", "cell"),
    [
        (None, None),
        (SimpleNamespace(), None),  # IPython in a terminal
        (shell("c1", 4), ("c1", 4)),
        (shell("", 4), ("why", 4)),  # a host that does not name its cells
    ],
)
def test_the_cell_that_runs(monkeypatch, shell, cell):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert running_cell() == cell
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace())
    assert running_cell() is None


def test_the_repr_of_explanations_is_that_of_a_notebook():
    assert "in-cell" in made()._repr_html_() and "in-cell" in Explanations([made()])._repr_html_()
    assert notebook_html([made()], assets=True) == notebook_html([made()], assets=True)
