"""A server in a thread for hostile trials, and what is asked of it after each: it answers, and nothing was a 500."""

from __future__ import annotations

import threading
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import httpx

from xai_nlp.web.app import application
from xai_nlp.web.history import History
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.serve import bind, server_of
from xai_nlp.web.server_state import State

JSON = {"content-type": "application/json"}
DOCUMENTED = {503, 507}


@cache
def models():
    return ModelRegistry.of()


class Server:
    """A server of the embedded models with a history of its own, until `close`."""

    def __init__(self):
        self.file = Path(mkdtemp(prefix="hostile")) / "history.sqlite3"
        self.state = State(models(), History(self.file))
        self.bound = bind()
        self.server = server_of(application(self.state), self.bound)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.bound.socket]}, daemon=True)
        self.thread.start()
        self.client = httpx.Client(base_url=self.bound.url, timeout=60)
        end = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.01)

    def close(self):
        self.client.close()
        self.server.should_exit = True
        self.thread.join(20)
        self.bound.socket.close()

    def ask(self, method, path, **request):
        """An answer that is no 500, nor any other server error than those that are documented."""
        answer = self.client.request(method, path, **request)
        self.check(answer)
        return answer

    def check(self, answer):
        assert answer.status_code < 500 or answer.status_code in DOCUMENTED, (answer.status_code, answer.text[:300])
        assert "Traceback" not in answer.text
        if answer.status_code == 503:
            assert answer.headers.get("retry-after"), "503 without Retry-After"

    def is_well(self):
        """Does an ordinary request get its ordinary answer?"""
        assert self.client.get("api/history").status_code == 200

    def ended(self, job, seconds=120):
        """The job of that id once it is over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.ask("GET", f"api/jobs/{job}").json()
            if now["state"] in ("done", "failed", "cancelled"):
                return now
            time.sleep(0.02)
        raise AssertionError(f"not over after {seconds} s: {now}")
