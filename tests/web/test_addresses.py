"""The printed address is one that the server answers, wherever it listens."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from tests.bench.serve import server
from tests.web.conftest import running
from xai_nlp.web.guard import Address, own_names
from xai_nlp.web.history import History
from xai_nlp.web.serve import PatientProtocol, bind
from xai_nlp.web.server_state import State


@pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "0", "::", "0:0::0"])
def test_the_printed_addresses_are_answered(models, host):
    with running(State(models, History(":memory:")), host) as one:
        assert one.client.get("").status_code == 200
        assert one.client.get("api/history").json() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_addresses_for_others_are_answered_too(models, host):
    bound = bind(host)
    bound.socket.close()
    with running(State(models, History(":memory:")), host) as one:
        name = bound.address.names[0]
        for other in bound.urls:
            known = other.split("/")[2].rpartition(":")[0]
            address = one.url.replace(name, known)
            assert httpx.get(address, timeout=10).status_code == 200, address
            assert httpx.get(one.url, headers={"host": f"{known}:{bound.address.port}"}).status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_other_names_are_refused_wherever_it_listens(host):
    address = Address(host, 8000)
    assert address.allows(f"{socket.gethostname()}:8000")
    assert not address.allows(f"{socket.gethostname()}.evil.example:8000")
    assert not address.allows("rebound.example:8000")
    assert own_names(socket.AF_INET)[0] == socket.gethostname().lower()


@pytest.mark.slow
def test_the_command_prints_an_address_that_it_answers(tmp_path):
    with server(tmp_path / "history.sqlite3", "--host", "0.0.0.0") as (_, url):
        assert httpx.get(url, timeout=30).status_code == 200


@contextmanager
def started(history):
    """The command in a group of its own, as a terminal starts it, and its address."""
    command = [sys.executable, "-m", "xai_nlp.cli", "serve", "--no-browser", "--history", str(history)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


@pytest.mark.slow
def test_ctrl_c_with_open_streams_ends_at_once_without_a_traceback(tmp_path):
    long = {"model": "sentiment", "text": "It was a long and winding film. " * 60, "method": ["shapley"]}
    with started(tmp_path / "history.sqlite3") as (process, url), httpx.Client(base_url=url, timeout=30) as client:
        refused = client.post("api/history", json=None, headers={"content-type": "application/json"})
        assert refused.status_code == 422
        job = client.post("api/jobs", json=long).json()["id"]
        with client.stream("GET", f"api/jobs/{job}/events") as stream:
            next(stream.iter_lines())
            begun = time.monotonic()
            os.killpg(process.pid, signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        assert time.monotonic() - begun < 5
    assert (process.returncode, errors) == (0, "")


def test_one_address_cannot_take_every_connection(models, monkeypatch):
    monkeypatch.setattr(PatientProtocol, "most", 8)
    with running(State(models, History(":memory:"))) as one:
        address = ("127.0.0.1", int(one.url.rstrip("/").rpartition(":")[2]))
        greedy = [socket.create_connection(address, source_address=("127.0.0.2", 0)) for _ in range(20)]
        try:
            time.sleep(0.3)
            closed = 0
            for connection in greedy:
                connection.setblocking(False)
                try:
                    closed += connection.recv(1) == b""
                except (BlockingIOError, ConnectionError) as error:
                    closed += isinstance(error, ConnectionError)
            assert closed == 12
            assert one.client.get("api/history").status_code == 200
        finally:
            for connection in greedy:
                connection.close()
