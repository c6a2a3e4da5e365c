"""A run beside the page: listed, filtered, opened; its explanations stay in their files."""

from types import SimpleNamespace

import pytest

import xai_nlp
from tests.web.conftest import running
from xai_nlp.errors import InvalidInput
from xai_nlp.runs.read import ShardReader
from xai_nlp.web import run_view, serve
from xai_nlp.web.dataset_view import Filter
from xai_nlp.web.history import History
from xai_nlp.web.run_view import RunView
from xai_nlp.web.server_state import State

TEXTS = ["a gripping film", "a dull film", "Straße is a mess", "", *(f"a superb film {n}" for n in range(40))]
DATA = {"text": TEXTS, "label": ["1", "0", "1", "0", *["1"] * 40]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    xai_nlp.run(DATA, "sentiment", directory=folder, method="saliency", progress=False)
    return folder


@pytest.fixture
def view(folder):
    view = RunView(xai_nlp.read_run(folder))
    while view.predict_more():
        pass
    return view


def places(view, **conditions):
    return [row["number"] for row in view.page(Filter(**conditions))["rows"]]


def test_its_rows_are_its_explanations(view, folder):
    run, page = xai_nlp.read_run(folder), view.page(Filter(page=1))
    assert (page["matches"], page["pages"], page["predicted"], page["all"]) == (43, 2, 43, 43)
    assert [row["number"] for row in page["rows"]] == list(range(25, 43))
    first = view.page(Filter())["rows"][1]
    assert first == {
        "number": 1, "inputs": {"text": "a dull film"}, "label": "NEGATIVE", "prediction": run[1].prediction,
        "score": run[1].outputs[run[1].prediction], "right": run[1].correct, "error": "",
    }  # fmt: skip
    about = view.to_dict()
    assert about["run"] and about["labels"] == ["NEGATIVE", "POSITIVE"] and about["rows"] == 43
    assert (about["model"], about["task"]) == ("zoo/sentiment", "text-classification")


def test_filters(view, folder):
    run = xai_nlp.read_run(folder)
    assert places(view, label="NEGATIVE") == [1]
    assert places(view, text="STRASSE") == [2]
    assert places(view, text="film", label="NEGATIVE") == [1]
    assert places(view, right=False) == [place for place, why in enumerate(run) if why.correct is False]
    assert places(view, least=0.999, most=0.999) == []
    assert len(places(view, prediction="POSITIVE")) == min(25, sum(why.prediction == "POSITIVE" for why in run))


def test_explanations_are_read_when_they_are_shown(folder, monkeypatch):
    made = []
    read = ShardReader.explanation
    monkeypatch.setattr(ShardReader, "explanation", lambda *where: made.append(where) or read(*where))
    monkeypatch.setattr(run_view, "READ_AT_ONCE", 8)
    view = RunView(xai_nlp.read_run(folder))
    assert len(made) == 1
    view.page(Filter())
    assert len(made) == 26
    assert view.predict_more() and len(made) == 34
    assert view.page(Filter(text="film"))["predicted"] == 8 and places(view, text="film") == [0, 1, 3, 4, 5, 6, 7]


def test_an_explanation_is_opened_as_an_entry_of_the_history(view, folder):
    history = History(":memory:")
    entry = view.open(1, history)
    assert list(history.explanations([entry.id])) == [xai_nlp.read_run(folder)[1]]
    assert entry.name == "a dull film" and view.open(1, history) == entry and view.open(2, history) != entry
    assert len(history.listed()) == 2
    with pytest.raises(InvalidInput, match="has 43 explanations; there is none at place 43"):
        view.open(43, history)
    with pytest.raises(InvalidInput, match="explained already"):
        view.numbered([1])


def test_a_run_without_explanations(folder, tmp_path):
    (tmp_path / "plan.json").write_bytes((folder / "plan.json").read_bytes())
    with pytest.raises(InvalidInput, match="has no explanations yet"):
        RunView(xai_nlp.read_run(tmp_path))


def test_over_the_server(view, models):
    with running(State(models, History(":memory:"), dataset=view)) as served:
        assert served.client.get("api/about").json()["data"]["run"]
        assert served.client.get("api/data", params={"text": "dull"}).json()["matches"] == 1
        entry = served.client.post("api/run", json={"number": 1}).raise_for_status().json()
        assert "dull" in served.client.get(f"api/shown/{entry['id']}").text
        assert served.client.post("api/run", json={"number": 99}).status_code == 422
        asked = {"request": {"model": "sentiment"}, "numbers": [1]}
        assert "explained already" in served.client.post("api/data", json=asked).json()["error"]


def test_serve_takes_the_folder_of_a_run(folder, tmp_path, monkeypatch):
    states = []
    server = SimpleNamespace(run=lambda sockets: sockets[0].close())
    monkeypatch.setattr(serve, "application", states.append)
    monkeypatch.setattr(serve, "server_of", lambda app, bound: server)
    serve.serve([], history=tmp_path / "history.sqlite3", data=folder, browser=False, say=lambda url: None)
    (state,) = states
    state.history.close()
    assert isinstance(state.dataset, RunView) and len(state.dataset.run) == 43


def test_without_a_run_there_is_nothing_to_open(served):
    assert served.client.post("api/run", json={"number": 0}).status_code == 404


@pytest.mark.browser
@pytest.mark.slow
def test_the_page_lists_a_run_and_opens_what_is_clicked(view, models, opened):
    with running(State(models, History(":memory:"), dataset=view)) as served:
        tab = opened("#data", url=served.url)
        tab.locator(".data tbody tr").first.wait_for()
        assert "43 explanations of zoo/sentiment" in tab.locator(".predicted").inner_text()
        assert tab.locator(".data .together").is_hidden() and not tab.locator(".data input[type=checkbox]").count()
        tab.locator(".filters [name=text]").fill("dull")
        tab.locator(".where", has_text="1 rows").wait_for()
        tab.locator(".data tbody button").click()
        tab.locator(".result .xai-nlp[data-live]").wait_for()
        assert "dull" in tab.locator(".drawing").inner_text()
        tab.locator(".to-data").click()
        tab.locator(".filters [name=text]").fill("")
        tab.locator(".where", has_text="43 rows").wait_for()
