"""What the page asks the server for, over a real connection."""

import io
import json
import time

import pytest
from PIL import Image

from tests.models.tiny import tiny
from tests.web.conftest import ROWS, held, running
from tests.web.test_model_registry import png
from xai_nlp.web.allowed_root import AllowedRoot
from xai_nlp.web.exports import read_back
from xai_nlp.web.history import History
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State


def events(served, job):
    """What a job's server-sent events say."""
    with served.client.stream("GET", f"api/jobs/{job}/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [json.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]


def test_what_is_offered(served):
    about = served.client.get("api/about").json()
    assert [model["name"] for model in about["models"]] == ["sentiment", "qa", "vqa", "image"]
    assert about["models"][0]["labels"] == ["NEGATIVE", "POSITIVE"]
    assert {"integrated_gradients", "lrp", "shapley"} <= {method["name"] for method in about["methods"]}
    assert about["data"] == {
        "name": "reviews.csv", "task": "text-classification", "model": "sentiment", "rows": 5,
        "labels": ["NEGATIVE", "POSITIVE"], "predictions": ["NEGATIVE", "POSITIVE"],
    }  # fmt: skip


def test_a_text_from_the_question_to_the_files(served, sentiment):
    said = "a fine film, but far too long"
    answer = served.client.post("api/jobs", json={"model": "sentiment", "text": said, "method": ["lrp", "occlusion"]})
    assert answer.status_code == 202
    last = events(served, answer.json()["id"])[-1]
    assert last["state"] == "done"
    assert last["passes"] == last["total"] >= 2
    assert (last["percent"], last["remaining"], last["address"]) == (100, None, last["id"])
    id = last["id"]
    entry = served.client.get(f"api/history/{id}").json()
    assert (entry["name"], entry["methods"], entry["request"]["text"]) == (said, "lrp, occlusion", said)
    expected = sentiment.explain(said, method=["lrp", "occlusion"])
    assert served.state.history.explanations([id]) == expected
    shown = served.client.get(f"api/shown/{id}")
    assert 'class="xai-nlp"' in shown.text
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for kind, start in (("html", b"<!doctype html>"), ("json", b'[{"format"'), ("png", b"\x89PNG"), ("csv", b"explan")):
        made = served.client.get(f"api/files/{id}.{kind}")
        assert made.content.startswith(start)
        assert made.headers["content-disposition"] == f'attachment; filename="explanation.{kind}"'


def test_two_on_one_page(served):
    ids = [served.explained(text=text, method=["occlusion"]) for text in ("a superb film", "a terrible film")]
    both = served.client.get(f"api/shown/{','.join(ids)}").text
    assert "superb" in both
    assert "terrible" in both
    assert 'data-scale="own"' in both  # small scores stay visible beside large ones
    explanations = read_back(served.client.get(f"api/files/{','.join(ids)}.json").content)
    assert [why.segments for why in explanations] == [("a superb film",), ("a terrible film",)]
    refused = served.client.get(f"api/shown/{','.join(ids * 5)}")  # more than fit
    assert (refused.status_code, refused.json()["error"]) == (422, "name 1 to 8 entries; got 10.")


def test_a_saved_file_is_opened_again_and_is_the_same(served):
    image = {"model": "vqa", "image": png(64, 64), "question": "which colour does the circle have?"}
    id = served.explained(**image, method=["occlusion"])
    saved = served.client.get(f"api/files/{id}.json").content
    json_only = {"content-type": "application/json"}
    entry = served.client.post("api/history", content=saved, params={"name": "own"}, headers=json_only)
    assert (entry.status_code, entry.json()["name"]) == (201, "own")
    again = entry.json()["id"]
    assert served.state.history.explanations([again]) == served.state.history.explanations([id])
    assert served.client.get(f"api/files/{again}.json").content == saved
    assert served.client.get(f"api/history/{again}").json()["request"] is None
    picture = Image.open(io.BytesIO(served.client.get(f"api/files/{again}.png").content))
    assert picture.width > 500


def test_the_history_is_searched_renamed_and_cut(served):
    id = served.explained(text="a needle in the history", method=["occlusion"])
    assert served.client.get("api/history", params={"search": "needle"}).json()[0]["id"] == id
    assert served.client.patch(f"api/history/{id}", json={"name": "<b>named</b>"}).json()["name"] == "<b>named</b>"
    assert served.client.get("api/history", params={"search": "needle"}).json() == []
    assert served.client.patch(f"api/history/{id}", json={"name": "  "}).status_code == 422
    assert served.client.patch(f"api/history/{id}", json={"name": " a name "}).json()["name"] == "a name"
    assert served.client.delete(f"api/history/{id}").status_code == 200
    for method, path in (("GET", "history"), ("DELETE", "history"), ("GET", "shown")):
        assert served.client.request(method, f"api/{path}/{id}").status_code == 404
    assert served.client.get(f"api/files/{id}.json").status_code == 404
    assert served.client.patch(f"api/history/{id}", json={"name": "x"}).status_code == 404


def test_a_job_is_cancelled_while_it_runs_and_the_next_is_done(models):
    with held(models) as (one, release):
        job = one.client.post("api/jobs", json={"model": "sentiment", "text": "fine"}).json()["id"]
        one.started(job)
        one.client.delete(f"api/jobs/{job}").raise_for_status()
        assert events(one, job)[-1]["state"] == "cancelled"
        release()
        one.explained(text="still there", method=["occlusion"])
        assert one.client.get(f"api/history/{job}").status_code == 404


def test_others_are_answered_while_a_job_runs(models):
    with held(models) as (one, release):
        first = one.client.post("api/jobs", json={"model": "sentiment", "text": "fine"}).json()
        one.started(first["id"])
        for path in ("", "docs", "api/about", "api/history", "assets/app.js"):
            assert one.client.get(path).status_code == 200
        second = one.client.post("api/jobs", json={"model": "sentiment", "text": "me too"}).json()
        assert second["position"] == 1
        release()
        for job in (first, second):
            one.ended(job["id"], "done")


def test_what_fails_says_why_and_the_server_lives_on(served):
    job = served.client.post("api/jobs", json={"model": "sentiment", "text": "fine", "target": "POSITVE"}).json()
    last = served.ended(job["id"], "failed")
    assert "Did you mean 'POSITIVE'" in last["error"]
    assert events(served, job["id"]) == [last]
    served.explained(text="still there", method=["occlusion"])


def test_a_full_queue_says_when_to_come_back(models):
    request = {"model": "sentiment", "text": "fine"}
    with held(models, queue=1) as (one, release):
        first = one.client.post("api/jobs", json=request).json()
        one.started(first["id"])
        second = one.client.post("api/jobs", json=request).json()  # waits
        refused = one.client.post("api/jobs", json=request)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        release()
        for job in (first, second):
            one.ended(job["id"], "done")
        assert one.client.post("api/jobs", json=request).status_code == 202  # there is room again
        assert one.client.get("api/data").status_code == 404  # there is none
        assert one.client.get("api/about").json()["data"] is None


def test_options_of_the_method_reach_the_explainer(served, sentiment):
    id = served.explained(text="a fine film", method="integrated_gradients", options={"steps": 5, "rule": "trapezoid"})
    expected = sentiment.explain("a fine film", steps=5, rule="trapezoid")
    assert served.state.history.explanations([id])[0] == expected
    assert served.client.get(f"api/history/{id}").json()["request"]["options"] == {"steps": 5, "rule": "trapezoid"}


def test_the_data_set_is_filtered(served):
    end = time.monotonic() + 30
    while (data := served.client.get("api/data").json())["predicted"] < 5:
        assert time.monotonic() < end
    assert data["matches"] == 5

    def numbers(**conditions):
        return [row["number"] for row in served.client.get("api/data", params=conditions).json()["rows"]]

    assert numbers(label="POSITIVE") == [0, 4]
    assert numbers(right="false", text="not bad") == [2]
    assert numbers(prediction="NEGATIVE", least=0.5, text="dull") == [1]
    assert numbers(most=0.1) == []


def test_running_jobs_are_listed_with_percent_and_time(models):
    with held(models) as (one, release):
        ids = [one.client.post("api/jobs", json={"model": "sentiment", "text": t}).json()["id"] for t in ("one", "two")]
        one.started(ids[0])
        listed = one.client.get("api/jobs").json()
        assert [(job["id"], job["state"], job["position"]) for job in listed] == [
            (ids[0], "running", 0), (ids[1], "queued", 1)
        ]  # fmt: skip
        assert listed[0]["percent"] == 0
        assert listed[0]["remaining"] > listed[0]["seconds"] >= 0
        assert (listed[1]["percent"], listed[1]["remaining"]) == (None, None)
        one.client.delete(f"api/jobs/{ids[1]}")
        release()
        one.ended(ids[0], "done")
        assert one.client.get("api/jobs").json() == []


REQUEST = {"model": "sentiment", "text": "fine"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"text": " "}, "text"),
        ({"text": 5}, "text"),
        ({"unit": "logits"}, "unit"),
        ({"layer": -5000}, "layer"),
        ({"answer": "x"}, "answer"),
        ({"options": {"steps": "many"}}, "options.steps"),
        ({"model": "other"}, "model"),
    ],
)
def test_an_error_names_its_field(served, changed, field):
    answer = served.client.post("api/jobs", json={**REQUEST, **changed})
    assert (answer.status_code, answer.json()["field"]) == (422, field), answer.text


def test_the_error_of_a_job_names_its_field(served):
    for change, field in (
        ({"target": "POSITVE"}, "target"), ({"layer": 99}, "layer"), ({"options": {"steps": 0}}, "options.steps"),
    ):  # fmt: skip
        job = served.client.post("api/jobs", json={**REQUEST, **change}).json()
        failed = served.ended(job["id"], "failed")
        assert failed["field"] == field, failed


def test_rows_of_the_data_set_are_explained_at_once(served):
    body = {"request": {"model": "sentiment", "method": ["occlusion"], "unit": "probability"}, "numbers": [0, 2]}
    job = served.client.post("api/data", json=body)
    assert job.status_code == 202
    last = served.ended(job.json()["id"], "done")
    entry = served.client.get(f"api/history/{last['address']}").json()
    assert (entry["name"], entry["options"]) == ("2 rows of reviews.csv", "unit probability")
    why = served.state.history.explanations([last["address"]])
    assert [one.segments[0] for one in why] == ["a gripping film", "not bad at all"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"numbers": [0, 99]}, "reviews.csv has no row 99."),
        ({"numbers": []}, "numbers: List should have at least 1 item"),
        ({"numbers": list(range(51))}, "numbers: List should have at most 50 items"),
        ({"numbers": [-1]}, "numbers: Input should be greater than or equal to 0"),
        ({"request": {"model": "qa"}}, "model 'qa' does question answering, which reviews.csv is not for."),
        ({"request": {"model": "sentiment", "text": "x"}}, "text: leave it out; the rows hold the inputs."),
        ({"request": {"model": "sentiment", "unit": "logits"}}, "unknown unit 'logits'."),
        ({"request": {"model": "sentiment", "evil": 1}}, "unknown field 'evil'."),
        ({"more": 1}, "more: Extra inputs are not permitted"),
    ],
)
def test_rows_that_cannot_be_explained(served, change, message):
    answer = served.client.post("api/data", json={"request": {"model": "sentiment"}, "numbers": [0], **change})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(message)


def test_changes_between_two_entries(served):
    ids = [served.explained(text=text, method=["occlusion"]) for text in ("a fine film", "a dull film")]
    change = served.client.get(f"api/changes/{','.join(ids)}").json()
    assert change["prediction"] == ["POSITIVE", "NEGATIVE"]
    assert [row["words"] for row in change["words"]] == [["a", "a"], ["fine", "dull"], ["film", "film"]]
    answer = served.client.get(f"api/changes/{ids[0]}")
    assert (answer.status_code, answer.json()["error"]) == (422, "name two entries; got 1.")


def test_models_and_data_are_opened_inside_the_root_alone(models, tmp_path):
    model, tokenizer = tiny("bert")
    for name in ("own", "broken"):
        model.save_pretrained(tmp_path / "root" / name)
    tokenizer.save_pretrained(tmp_path / "root" / "own")
    (tmp_path / "root" / "rows.csv").write_text(ROWS)
    (tmp_path / "secret.csv").write_text(ROWS)
    state = State(ModelRegistry(dict(models.explainers)), History(":memory:"), root=AllowedRoot.of(tmp_path / "root"))
    with running(state) as one:
        entries = one.client.get("api/folder").json()["entries"]
        assert [(entry["path"], entry["kind"]) for entry in entries] == [
            ("broken", "model"), ("own", "model"), ("rows.csv", "data")
        ]  # fmt: skip
        for path in ("../secret.csv", "/etc/passwd", str(tmp_path / "secret.csv")):
            for answer in (
                one.client.post("api/opened", json={"path": path}), one.client.get("api/folder", params={"path": path})
            ):  # fmt: skip
                assert answer.status_code == 422
                assert "lies outside the folder 'root', which alone may be opened." in answer.json()["error"]
        job = one.client.post("api/opened", json={"path": "broken"}).json()
        failed = one.ended(job["id"], "failed")
        assert failed["error"].startswith("broken holds no tokenizer")
        assert failed["field"] == "path"
        job = one.client.post("api/opened", json={"path": "own"}).json()
        assert (one.ended(job["id"], "done")["address"], job["title"]) == ("", "Open own")
        about = one.client.get("api/about").json()
        assert (about["models"][0]["name"], about["root"], about["data"]) == ("own", "root", None)
        one.explained(model="own", text="great movie")
        job = one.client.post("api/opened", json={"path": "rows.csv"}).json()
        assert one.ended(job["id"], "done")["address"] == "data"
        assert one.client.get("api/about").json()["data"]["model"] == "own"


def test_without_a_root_nothing_is_opened(served):
    for answer in (served.client.get("api/folder"), served.client.post("api/opened", json={"path": "."})):
        assert (answer.status_code, "--root DIR" in answer.json()["error"]) == (404, True)
    assert served.client.get("api/about").json()["root"] is None
