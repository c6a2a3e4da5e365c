"""The server as a process: many at once, killed in the middle, refused where it cannot start."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from tests.bench.serve import load, server
from xai_nlp.errors import InvalidInput
from xai_nlp.web.history import History
from xai_nlp.web.serve import bind

pytestmark = pytest.mark.slow
LONG = {"text": "It was a long and winding film with no end in sight. " * 30, "method": ["shapley"]}


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """The history's file, the process and its address."""
    file = tmp_path_factory.mktemp("process") / "history.sqlite3"
    with server(file) as (process, url):
        yield file, process, url


def test_many_at_once_each_get_their_own(one):
    file, process, url = one
    tally = asyncio.run(load(url, process, clients=40, seconds=3))
    assert tally.lost == []
    assert tally.mixed == []
    assert tally.jobs >= 40
    assert set(tally.answered) <= {200, 202, 503}
    history = History(file)
    assert len(history.listed("", most=10_000)) == tally.jobs
    history.close()


def test_killed_in_the_middle_of_a_job_all_that_was_done_is_there(one):
    file, process, url = one
    with httpx.Client(base_url=url, timeout=30) as client:
        done = []
        for n in range(3):
            job = client.post("api/jobs", json={"model": "sentiment", "text": f"film {n}", "method": ["lrp"]}).json()
            until(client, job["id"], lambda job: job["state"] == "done")
            done.append(job["id"])
        running = client.post("api/jobs", json={"model": "sentiment", **LONG}).json()["id"]
        until(client, running, lambda job: job["passes"] > 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    with server(file) as (_, again), httpx.Client(base_url=again, timeout=30) as client:
        listed = [entry["id"] for entry in client.get("api/history").json()]
        assert listed[:3] == done[::-1]
        assert running not in listed
        for id in done:
            assert client.get(f"api/shown/{id}").status_code == 200
        assert client.get(f"api/jobs/{running}").status_code == 404


def until(client, job, true, seconds=60):
    end = time.monotonic() + seconds
    while not true(now := client.get(f"api/jobs/{job}").json()):
        assert time.monotonic() < end, now
        time.sleep(0.02)


def test_a_free_port_on_this_machine_unless_asked():
    first = bind()
    second = bind()
    assert first.address.host == "127.0.0.1"
    assert first.address.port != second.address.port
    assert (first.token, first.url) == ("", f"http://127.0.0.1:{first.address.port}/")
    first.socket.listen()
    with pytest.raises(InvalidInput, match="Leave out --port"):
        bind(port=first.address.port)
    first.socket.close()
    second.socket.close()


def test_beyond_this_machine_the_address_has_a_token_of_its_own():
    one, other = bind("0.0.0.0"), bind("0.0.0.0")
    assert len(one.token) >= 32
    assert one.token != other.token
    assert one.url.endswith(f":{one.address.port}/{one.token}/")
    one.socket.close()
    other.socket.close()


def test_a_host_that_is_not_ours():
    with pytest.raises(InvalidInput, match="cannot listen on"):
        bind("192.0.2.1")


def command(*arguments, code="from xai_nlp.cli import app; app()"):
    return subprocess.run(
        [sys.executable, "-c", code, "serve", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_without_the_extra_it_says_what_to_install():
    hidden = "import sys; sys.modules['fastapi'] = None; from xai_nlp.cli import app; app()"
    done = command("--no-browser", code=hidden)
    assert done.returncode == 1
    assert "pip install '.[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--data", "none.csv"), "no file none.csv"), (("--model", "no/where/at/all"), "unknown model"),
     (("--history", "/dev/null/x"), "--history"), (("--root", "no/folder"), "there is no folder no/folder")],
)  # fmt: skip
def test_what_cannot_be_had_is_said_before_it_starts(tmp_path, arguments, message):
    history = () if "--history" in arguments else ("--history", str(tmp_path / "h.sqlite3"))
    done = command("--no-browser", *history, *arguments)
    assert (done.returncode, message in done.stderr, "Traceback" in done.stderr) == (1, True, False), done.stderr
