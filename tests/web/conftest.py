"""A server as users have it, in a thread, and a client without one."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from xai_nlp.web.history import History
from xai_nlp.web.offer import Offer
from xai_nlp.web.serve import bind, server_of
from xai_nlp.web.state import State
from xai_nlp.web.table import Table

ROWS = """text,label
a gripping film,1
a dull film,0
not bad at all,0
"terrible <script>document.title = 'bad'</script>",0
"=HYPERLINK(""http://evil.example"")",1
"""


@dataclass(frozen=True)
class Served:
    """A running server, and a client of it."""

    url: str
    state: State
    client: httpx.Client

    def explained(self, seconds: float = 60, **ask) -> str:
        """The id of an entry that was asked for."""
        job = self.client.post("api/jobs", json={"model": "sentiment", **ask}).raise_for_status().json()
        return self.ended(job["id"], "done", seconds)["id"]

    def ended(self, job: str, state: str, seconds: float = 60) -> dict:
        """The job once it is over, as it should be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            told = self.client.get(f"api/jobs/{job}").json()
            if told["state"] in ("done", "failed", "cancelled"):
                assert told["state"] == state, told
                return told
            time.sleep(0.02)
        raise AssertionError(f"not over after {seconds} s: {told}")


@contextmanager
def running(state: State, host: str | None = None):
    """A server of that state on a free port."""
    bound = bind(host)
    server = server_of(state, bound)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound.socket]})
    thread.start()
    end = time.monotonic() + 20
    while not server.started and time.monotonic() < end:
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=bound.url, timeout=30) as client:
            yield Served(bound.url, state, client)
    finally:
        server.should_exit = True
        thread.join(20)
        bound.socket.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def offer():
    return Offer.of()


@pytest.fixture(scope="module")
def served(offer, tmp_path_factory):
    """One server for a module, with a history and a data set."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "reviews.csv").write_text(ROWS, encoding="utf-8")
    state = State.of(offer, History(folder / "history.sqlite3"), table=Table(folder / "reviews.csv", offer))
    with running(state) as one:
        yield one
