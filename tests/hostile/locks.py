"""Another program locks the history's file at random times: nothing is lost, no request fails by a 500."""

import sqlite3
import threading
import time

from tests.hostile.server import JSON, Server
from tests.hostile.trial import Trial, family
from tests.viz.samples import made

LOCKS = ("BEGIN IMMEDIATE", "BEGIN EXCLUSIVE")


@family("locks", quick=6, long=200)
def trials(random):
    server = Server()
    try:
        while True:
            lock, before, length = random.choice(LOCKS), random.uniform(0, 0.3), random.uniform(0.1, 2.0)
            name = f"{lock} after {before:.2f} s for {length:.2f} s"
            yield Trial(name, lambda lock=lock, before=before, length=length: run(server, lock, before, length))
    finally:
        server.close()


def held(file, lock, before, length):
    """Hold the file."""
    time.sleep(before)
    base = sqlite3.connect(file, isolation_level=None, timeout=5)
    base.execute(lock)
    time.sleep(length)
    base.rollback()
    base.close()


def run(server, lock, before, length):
    other = threading.Thread(target=held, args=(server.file, lock, before, length))
    other.start()
    jobs, kept, renamed = [], [], {}
    while other.is_alive():
        body = {"model": "sentiment", "text": f"film {len(jobs)}", "method": ["saliency"]}
        posted = server.ask("POST", "api/jobs", json=body)
        jobs += [posted.json()["id"]] if posted.status_code == 202 else []
        opened = server.ask("POST", "api/history", content=made().to_json(), headers=JSON)
        kept += [opened.json()["id"]] if opened.status_code == 201 else []
        if kept:
            answer = server.ask("PATCH", f"api/history/{kept[0]}", json={"name": f"name {len(jobs)}"})
            if answer.status_code == 200:
                renamed[kept[0]] = answer.json()["name"]
        begun = time.monotonic()
        assert server.ask("GET", "api/history").status_code == 200
        assert time.monotonic() - begun < 5, "reading waited for a lock on writing"
    other.join()
    for job in jobs:
        last = server.ended(job)
        assert last["state"] == "done", last
        assert server.ask("GET", f"api/shown/{job}").status_code == 200
    end = time.monotonic() + 10
    while server.state.history._later.listed():
        assert time.monotonic() < end, "what waited was not written"
        time.sleep(0.1)
    base = sqlite3.connect(f"file:{server.file}?mode=ro", uri=True)
    stored = dict(base.execute("SELECT id, name FROM entries").fetchall())
    base.close()
    assert {*jobs, *kept} <= set(stored), "an entry was lost"
    assert all(stored[id] == name for id, name in renamed.items()), "a name was lost"
    for id in (*jobs, *kept):
        assert server.ask("DELETE", f"api/history/{id}").status_code == 200
