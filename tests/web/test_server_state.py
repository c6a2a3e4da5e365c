"""The server's state: jobs of each kind are done, and their results written."""

import pytest

from tests.models.tiny import tiny
from tests.web.test_job_queue import until
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput
from xai_nlp.web.allowed_root import AllowedRoot, OpenRequest
from xai_nlp.web.explain_request import RowsRequest, request_schema
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Cancelled, Job
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State


@pytest.fixture
def state(models, tmp_path):
    """A state whose root holds a model folder and a data file."""
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path / "own")
    tokenizer.save_pretrained(tmp_path / "own")
    (tmp_path / "rows.csv").write_text("text,label\na fine film,1\n")
    (tmp_path / "notes.txt.gz").write_text("notes")
    registry = ModelRegistry(dict(models.explainers))
    return State(registry, History(":memory:"), root=AllowedRoot.of(tmp_path))


def work(state, request):
    job = Job(request=request)
    state.work(job)
    return job


def test_a_job_is_explained_and_written(state):
    job = work(state, request_schema()(model="sentiment", text="a fine film", method=["occlusion"], unit="logit"))
    entry = state.history.entry(job.id)
    assert (entry.name, entry.methods, entry.model) == ("a fine film", "occlusion", "sentiment")
    assert (entry.target, entry.options, job.address) == ("POSITIVE", "unit logit", job.id)
    expected = {"model": "sentiment", "text": "a fine film", "method": ["occlusion"], "unit": "logit"}
    assert state.history.request(job.id) == expected
    assert job.passes == job.total > 0


def test_rows_become_one_entry(state):
    request = request_schema()(model="sentiment", method=["occlusion"])
    rows = [Record(0, {"text": "a fine film"}), Record(1, {"text": ""}), Record(2, {"text": "a dull film"})]
    job = work(state, RowsRequest(request, rows, "reviews.csv"))
    entry = state.history.entry(job.id)
    assert entry.name == "3 rows of reviews.csv (1 could not be explained)"
    assert entry.prediction == "POSITIVE, NEGATIVE"
    with pytest.raises(InvalidInput, match="no row could be explained"):
        work(state, RowsRequest(request, rows[1:2], "reviews.csv"))


def test_a_model_folder_is_opened_and_explains(state):
    work(state, OpenRequest(path="own"))
    assert state.models.first("text-classification") == "own"
    job = work(state, request_schema()(model="own", text="great movie"))
    assert state.history.entry(job.id).model == "own"


def test_a_data_file_is_opened(state):
    job = work(state, OpenRequest(path="rows.csv"))
    assert job.address == "data"
    assert [row.inputs["text"] for row in state.dataset.rows] == ["a fine film"]
    assert not state.predict_more()
    assert state.dataset.rows[0].prediction == "POSITIVE"


def test_a_cancelled_job_opens_nothing(state):
    for path in ("own", "rows.csv"):
        job = Job(request=OpenRequest(path=path), cancelled=True)
        with pytest.raises(Cancelled):
            state.work(job)
    assert "own" not in state.models.explainers
    assert state.dataset is None


def test_what_load_refuses_is_refused_in_its_sentence(state, tmp_path):
    (tmp_path / "own" / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match="no table: give a file that ends in"):
        work(state, OpenRequest(path="notes.txt.gz"))
    with pytest.raises(Exception, match="own holds no weights"):
        work(state, OpenRequest(path="own"))
    state.limits = Limits(models=3)
    with pytest.raises(InvalidInput, match="3 models are open already"):
        work(state, OpenRequest(path="own"))
    state.root = None
    with pytest.raises(InvalidInput, match="--root"):
        work(state, OpenRequest(path="own"))


def test_a_quick_question_is_explained_by_a_copy_beside_a_slow_one(state):
    """The same model, hooked and frozen by one thread, asked by the other: the same numbers as alone."""
    schema = request_schema()
    slow = schema(model="sentiment", text="It was a long and winding film. " * 20, method=["shapley"])
    quick = schema(model="sentiment", text="a fine film", method=["conductance"], attention=True)
    alone = state.models.explain(quick, on_pass=lambda: None, progress=None)
    state.jobs.start()
    try:
        first = state.jobs.submit(slow)
        until(lambda: first.passes > 0)
        jobs = [state.jobs.submit(quick) for _ in range(3)]
        until(lambda: all(job.final for job in jobs))
        assert [job.state for job in (first, *jobs)] == ["running", "done", "done", "done"]
        for job in jobs:
            for one, other in zip(state.history.explanations([job.id]), alone, strict=True):
                assert one.tokens == other.tokens
                assert one.scores == pytest.approx(other.scores, abs=1e-5)
        state.jobs.cancel(first)
    finally:
        state.jobs.stop()


def test_every_model_of_the_page_can_be_copied(models):
    registry = ModelRegistry(dict(models.explainers))
    for name, explainer in registry.explainers.items():
        assert registry.prepare(name, 2**30)
        copy = registry.second.explainer(name)
        assert copy.model is not explainer.model
        assert type(copy) is type(explainer)
    assert not registry.prepare("sentiment", 10) or "sentiment" in registry.copies
    assert not ModelRegistry(dict(models.explainers)).prepare("sentiment", 10)
