"""The application: its pages, its assets, and errors as sentences."""

import pytest

from xai_nlp.web.app import render_page


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"txet": "b"}, "unknown field 'txet'. Did you mean 'text'?"),
        ({"options": {"stesp": 4}}, "unknown option of integrated_gradients 'stesp'. Did you mean 'steps'?"),
        ({"text": 5}, "text: Input should be a valid string."),
        ({"method": 5}, "method: Input should be a valid string, or Input should be a valid list."),
        ({"question": "b"}, "question does not belong to text classification; leave it out."),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(served, values, message):
    answer = served.client.post("api/jobs", json={"model": "sentiment", "text": "a", **values})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(message)


def test_pages_and_assets_are_those_of_the_tables(served):
    assert "<title>Why?" in render_page("index.html")
    assert served.client.get("").text == render_page("index.html")
    for name, media in (("app.js", "text/javascript"), ("fields.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        assert served.client.get(f"assets/{name}").headers["content-type"].startswith(media)
    for path in ("nothing", "assets/nothing.js", "assets/app.py"):
        answer = served.client.get(path)
        assert (answer.status_code, "there is no such" in answer.json()["error"]) == (404, True)


def test_every_route_is_in_the_schema_and_no_page_names_another_host(served):
    schema = served.client.get("openapi.json").json()
    assert set(schema["paths"]) == {
        "/api/about", "/api/run",
        "/api/jobs", "/api/jobs/{id}", "/api/jobs/{id}/events", "/api/history", "/api/history/{id}",
        "/api/shown/{ids}", "/api/files/{ids}.{kind}", "/api/data", "/api/changes/{ids}", "/api/folder", "/api/opened",
    }  # fmt: skip
    for path in (
        "",
        "docs",
        "assets/app.css",
        "assets/look.css",
        "assets/theme.css",
        "assets/app.js",
        "assets/docs.js",
    ):
        text = served.client.get(path).text
        assert "http://" not in text
        assert "https://" not in text
        assert "style=" not in text
        assert 'onclick="' not in text
