"""The state: a job's explanations are written to the history, and rows are predicted in between."""

from xai_nlp.web.explain_request import request_schema
from xai_nlp.web.history import History
from xai_nlp.web.job_queue import Job
from xai_nlp.web.server_state import State


def test_a_job_is_explained_and_written(models):
    state = State(models, History(":memory:"))
    job = Job(request=request_schema()(model="sentiment", text="a fine film", method=["occlusion"]))
    state.explain(job)
    assert state.history.entry(job.id).name == "a fine film"
    expected = {"model": "sentiment", "text": "a fine film", "method": ["occlusion"]}
    assert state.history.request(job.id) == expected
    assert (job.done, job.passes > 0) == (1, True)
