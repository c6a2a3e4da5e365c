"""A task of one's own, registered once, is on every face: command line, web app, Insights and batch."""

import json
import time

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

import xai_nlp
from xai_nlp.cli.app import make_app
from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.insights import Insights
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.table import TASKS, register_task
from xai_nlp.tasks.task import Task
from xai_nlp.tasks.text_classification import TextClassificationExplainer
from xai_nlp.web.app import application
from xai_nlp.web.history import History
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State


class RankingExplainer(TextClassificationExplainer):
    explain, request, texts = Explainer.explain, Explainer.request, Explainer.texts


RANKING = Task(
    name="ranking", title="Ranking", command="rank", help="Which words drove the rank of a passage.",
    inputs=(InputField(name="query", kind="text", help="The query.", columns=("query", "search")),
            InputField(name="passage", kind="long text", help="The passage.", columns=("passage", "doc"))),
    options=(OptionField(name="target", type=str, help="A label."),), explainer=RankingExplainer,
    auto_class="AutoModelForSequenceClassification", embedded="sentiment",
)  # fmt: skip
ROWS = [{"search": "a fine film", "doc": "it is gripping"}, {"search": "a dull film", "doc": "it is long"}]


def test_a_registered_task_is_on_every_face():
    register_task(RANKING)
    try:
        ranker = xai_nlp.load("sentiment", task="ranking")
        first, second = ranker.explain([row["search"] for row in ROWS], [row["doc"] for row in ROWS], steps=4)
        assert first.segments == ("a fine film", "it is gripping")
        command = ["explain", "rank", "--query", "a fine film", "--passage", "it is gripping", "-o", "steps=4"]
        done = CliRunner().invoke(make_app(), [*command, "--json", "-"])
        assert xai_nlp.Explanation.from_json(done.stdout).scores == pytest.approx(first.scores, abs=1e-5), done.output
        state = State(ModelRegistry.of(), History(":memory:"))
        with TestClient(application(state)) as client:
            form = next(one for one in client.get("/api/about").json()["tasks"] if one["name"] == "ranking")
            assert [one["name"] for one in form["inputs"]] == ["query", "passage"]
            request = {"model": "ranking", "query": "a dull film", "passage": "it is long", "options": {"steps": 4}}
            job = client.post("/api/jobs", json=request).json()
            while not state.jobs.find(job["id"]).final:
                time.sleep(0.01)
            assert state.history.explanations([job["id"]])[0].scores == pytest.approx(second.scores, abs=1e-5)
        shown = Insights(ranker, ROWS)
        assert [why.segments for why in shown.explanations] == [first.segments, second.segments]
        assert json.dumps(shown.choices["options"]).count("Tokens of a window at most.") == 1
    finally:
        del TASKS["ranking"]
