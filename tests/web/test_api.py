"""What the page asks the server for, over a real connection."""

import io
import json
import time

from PIL import Image

from tests.web.conftest import running
from tests.web.test_model_registry import png
from xai_nlp.web.exports import read_back
from xai_nlp.web.history import History
from xai_nlp.web.limits import Limits
from xai_nlp.web.server_state import State

LONG = {"text": "It was a long and winding film with no end in sight. " * 30, "methods": ["shapley"]}


def events(served, job):
    """What a job's server-sent events say."""
    with served.client.stream("GET", f"api/jobs/{job}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]


def test_what_is_offered(served):
    about = served.client.get("api/about").json()
    assert [model["name"] for model in about["models"]] == ["sentiment", "qa", "vqa"]
    assert about["models"][0]["labels"] == ["NEGATIVE", "POSITIVE"]
    assert {"integrated_gradients", "lrp", "shapley"} <= {method["name"] for method in about["methods"]}
    assert about["data"] == {
        "name": "reviews.csv", "task": "text-classification", "model": "sentiment", "rows": 5,
        "labels": ["NEGATIVE", "POSITIVE"], "predictions": ["NEGATIVE", "POSITIVE"],
    }  # fmt: skip


def test_a_text_from_the_question_to_the_files(served, sentiment):
    said = "a fine film, but far too long"
    told = served.client.post("api/jobs", json={"model": "sentiment", "text": said, "methods": ["lrp", "occlusion"]})
    assert told.status_code == 202
    seen = events(served, told.json()["id"])
    assert seen[-1]["state"] == "done"
    assert (seen[-1]["done"], seen[-1]["of"]) == (2, 2)
    assert seen[-1]["passes"] >= 2
    id = seen[-1]["id"]
    entry = served.client.get(f"api/history/{id}").json()
    assert (entry["name"], entry["methods"], entry["ask"]["text"]) == (said, "lrp, occlusion", said)
    expected = sentiment.explain(said, method=["lrp", "occlusion"])
    assert served.state.history.explanations([id]) == expected
    shown = served.client.get(f"api/shown/{id}")
    assert 'class="xai-nlp"' in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for kind, start in (("html", b"<!doctype html>"), ("json", b'[{"format"'), ("png", b"\x89PNG"), ("csv", b"explan")):
        made = served.client.get(f"api/files/{id}.{kind}")
        assert made.content.startswith(start)
        assert made.headers["content-disposition"] == f'attachment; filename="explanation.{kind}"'


def test_two_on_one_page_and_scale(served):
    ids = [served.explained(text=text, methods=["occlusion"]) for text in ("a superb film", "a terrible film")]
    both = served.client.get(f"api/shown/{','.join(ids)}").text
    assert "superb" in both
    assert "terrible" in both
    assert 'data-scale="own"' in both
    found = read_back(served.client.get(f"api/files/{','.join(ids)}.json").content)
    assert [why.segments for why in found] == [("a superb film",), ("a terrible film",)]
    assert served.client.get(f"api/shown/{','.join(ids * 5)}").status_code == 422  # more than fit


def test_a_saved_file_is_opened_again_and_is_the_same(served):
    image = {"model": "vqa", "image": png(64, 64), "question": "which colour does the circle have?"}
    id = served.explained(**image, methods=["occlusion"])
    saved = served.client.get(f"api/files/{id}.json").content
    json_only = {"content-type": "application/json"}
    entry = served.client.post("api/history", content=saved, params={"name": "mine"}, headers=json_only)
    assert (entry.status_code, entry.json()["name"]) == (201, "mine")
    again = entry.json()["id"]
    assert served.state.history.explanations([again]) == served.state.history.explanations([id])
    assert served.client.get(f"api/files/{again}.json").content == saved
    assert served.client.get(f"api/history/{again}").json()["ask"] is None
    picture = Image.open(io.BytesIO(served.client.get(f"api/files/{again}.png").content))
    assert picture.width > 500


def test_the_history_is_searched_renamed_and_cut(served):
    id = served.explained(text="a needle in the history", methods=["occlusion"])
    assert served.client.get("api/history", params={"search": "needle"}).json()[0]["id"] == id
    assert served.client.patch(f"api/history/{id}", json={"name": "<b>named</b>"}).json()["name"] == "<b>named</b>"
    assert served.client.get("api/history", params={"search": "needle"}).json() == []
    assert served.client.delete(f"api/history/{id}").status_code == 200
    for method, path in (("GET", "history"), ("DELETE", "history"), ("GET", "shown")):
        assert served.client.request(method, f"api/{path}/{id}").status_code == 404
    assert served.client.get(f"api/files/{id}.json").status_code == 404
    assert served.client.patch(f"api/history/{id}", json={"name": "x"}).status_code == 404


def test_a_job_is_cancelled_while_it_runs_and_the_next_is_done(served):
    job = served.client.post("api/jobs", json={"model": "sentiment", **LONG}).json()["id"]
    end = time.monotonic() + 30
    while not served.client.get(f"api/jobs/{job}").json()["passes"]:
        assert time.monotonic() < end
    served.client.delete(f"api/jobs/{job}").raise_for_status()
    assert events(served, job)[-1]["state"] == "cancelled"
    served.explained(text="still there", methods=["occlusion"])
    assert served.client.get(f"api/history/{job}").status_code == 404


def test_others_are_answered_while_a_job_runs(served):
    job = served.client.post("api/jobs", json={"model": "sentiment", **LONG}).json()["id"]
    for path in ("", "docs", "api/about", "api/history", "api/data", "assets/app.js"):
        assert served.client.get(path).status_code == 200
    second = served.client.post("api/jobs", json={"model": "sentiment", "text": "me too"}).json()
    assert second["position"] >= 1
    served.client.delete(f"api/jobs/{job}")
    served.ended(second["id"], "done")


def test_what_fails_says_why_and_the_server_lives_on(served):
    job = served.client.post("api/jobs", json={"model": "sentiment", "text": "fine", "target": "POSITVE"}).json()
    told = served.ended(job["id"], "failed")
    assert "Did you mean 'POSITIVE'" in told["error"]
    assert events(served, job["id"]) == [told]
    served.explained(text="still there", methods=["occlusion"])


def test_a_full_queue_says_when_to_come_back(offer, tmp_path):
    state = State.of(offer, History(tmp_path / "h.sqlite3"), limits=Limits(queue=1))
    with running(state) as one:
        posts = [one.client.post("api/jobs", json={"model": "sentiment", **LONG}) for _ in range(3)]
        assert posts[-1].status_code == 503  # one runs, one waits
        assert posts[-1].headers["retry-after"] == "1"
        assert one.client.get("api/data").status_code == 404  # there is none
        assert one.client.get("api/about").json()["data"] is None


def test_the_data_set_is_filtered(served):
    end = time.monotonic() + 30
    while (found := served.client.get("api/data").json())["looked"] < 5:
        assert time.monotonic() < end
    assert found["found"] == 5

    def numbers(**wanted):
        return [row["number"] for row in served.client.get("api/data", params=wanted).json()["rows"]]

    assert numbers(label="POSITIVE") == [0, 4]
    assert numbers(right="false", text="not bad") == [2]
    assert numbers(prediction="NEGATIVE", least=0.5, text="dull") == [1]
    assert numbers(most=0.1) == []


def test_every_route_is_in_the_schema_and_no_page_names_another_host(served):
    schema = served.client.get("openapi.json").json()
    assert set(schema["paths"]) == {
        "/api/about", "/api/jobs", "/api/jobs/{id}", "/api/jobs/{id}/events", "/api/history", "/api/history/{id}",
        "/api/shown/{ids}", "/api/files/{ids}.{kind}", "/api/data",
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
