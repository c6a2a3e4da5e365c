"""A server as users have it, in a thread, and a client without one."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest

from tests.viz.conftest import browser as browser
from xai_nlp.web.app import application
from xai_nlp.web.dataset_view import DatasetView
from xai_nlp.web.history import History
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.serve import bind, server_of
from xai_nlp.web.server_state import State

ANSWERED = "Failed to load resource: the server responded with a status of"  # what the browser says of any 4xx
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

    def explained(self, seconds: float = 60, **request) -> str:
        """The id of the entry of a request."""
        job = self.client.post("api/jobs", json={"model": "sentiment", **request}).raise_for_status().json()
        return self.ended(job["id"], "done", seconds)["id"]

    def started(self, job: str, seconds: float = 60) -> None:
        """Wait until a job has made a pass through the model."""
        end = time.monotonic() + seconds
        while not self.client.get(f"api/jobs/{job}").json()["passes"]:
            assert time.monotonic() < end, "the job did not start"
            time.sleep(0.01)

    def ended(self, job: str, state: str, seconds: float = 60) -> dict:
        """The job once it is over, as it should be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            now = self.client.get(f"api/jobs/{job}").json()
            if now["state"] in ("done", "failed", "cancelled"):
                assert now["state"] == state, now
                return now
            time.sleep(0.02)
        raise AssertionError(f"not over after {seconds} s: {now}")


@contextmanager
def running(state: State, host: str | None = None):
    """A server of that state on a free port."""
    bound = bind(host)
    server = server_of(application(state), bound, limits=state.limits)
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


@dataclass(eq=False)
class HeldModels(ModelRegistry):
    """Models whose jobs run, pass by pass, until they are released."""

    released: threading.Event = field(default_factory=threading.Event)

    def prepare(self, name, most):
        return False  # nothing passes what is held

    def explain(self, request, *, progress, **options):
        while not self.released.wait(0.005):
            progress.total = 1_000_000
            progress.update(1)
        return super().explain(request, progress=progress, **options)


@contextmanager
def held(models, **limits):
    """A server whose worker is held; yields it, and the function that releases the worker."""
    registry = HeldModels(models.explainers)
    with running(State(registry, History(":memory:"), limits=Limits(**limits))) as one:
        try:
            yield one, registry.released.set
        finally:
            registry.released.set()


@pytest.fixture(scope="session")
def models():
    return ModelRegistry.of()


@pytest.fixture(scope="module")
def served(models, tmp_path_factory):
    """One server for a module, with a history and a data set."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "reviews.csv").write_text(ROWS, encoding="utf-8")
    dataset = DatasetView(folder / "reviews.csv", models)
    state = State(models, History(folder / "history.sqlite3"), dataset=dataset)
    with running(state) as one:
        yield one


@pytest.fixture
def opened(browser, served):
    """Opens the page; afterwards finds that it was quiet: no error, no violation, no dialog, no request elsewhere."""
    tabs = []

    def open_(path="", width=1280, refused=0, url=None, **options):
        base = url or served.url
        options = {"color_scheme": "light", "reduced_motion": "reduce", "accept_downloads": True, **options}
        tab = browser.new_context(viewport={"width": width, "height": 900}, **options).new_page()
        tab.troubles, tab.refused = [], refused
        tab.on("console", lambda message: tab.troubles.append(message.text))
        tab.on("pageerror", lambda error: tab.troubles.append(str(error)))
        tab.on("dialog", lambda dialog: (tab.troubles.append("dialog"), dialog.dismiss()))
        tab.on("request", lambda r: r.url.startswith((base, "data:", "blob:", "file:")) or tab.troubles.append(r.url))
        tab.add_init_script(
            "addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective}`))"
        )
        tab.goto(base + path)
        tab.locator("[data-ready]").wait_for(state="attached")
        tabs.append(tab)
        return tab

    yield open_
    for tab in tabs:
        loud = [trouble for trouble in tab.troubles if not trouble.startswith(ANSWERED)]
        assert loud == []
        assert len(tab.troubles) - len(loud) == tab.refused
        tab.context.close()
