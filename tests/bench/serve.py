"""The web page's server under load: many clients at once, who ask, wait, read and check that the answer is theirs."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

METHOD = "saliency"
READS = ("", "api/about", "api/history?search=client", "assets/app.js", "assets/enrich.js", "openapi.json")


@dataclass
class Tally:
    """What came of the requests."""

    answered: Counter[int] = field(default_factory=Counter)  # by status
    jobs: int = 0
    lost: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)  # MiB of the server, second by second


@contextmanager
def server(history: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`xai-nlp serve` in a process of its own, and its address."""
    command = [sys.executable, "-m", "xai_nlp.cli", "serve", "--no-browser", "--history", str(history), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process, process.stdout.readline().strip()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        process.stdout.close()


def memory_of(process: subprocess.Popen[str]) -> float:
    """MiB that a process holds."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


async def load(url: str, process: subprocess.Popen[str], *, clients: int, seconds: float) -> Tally:
    """So many clients at once for so long, then until the last of their jobs is over."""
    tally, end = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        watching = asyncio.create_task(_watch(process, tally))
        await asyncio.gather(*(_client(client, number, end, tally) for number in range(clients)))
        watching.cancel()
    return tally


async def _watch(process: subprocess.Popen[str], tally: Tally) -> None:
    while True:
        tally.memory.append(memory_of(process))
        await asyncio.sleep(1)


async def _client(client: httpx.AsyncClient, number: int, end: float, tally: Tally) -> None:
    turn = 0
    while time.monotonic() < end:
        turn += 1
        said = f"client {number} says for the time {turn} that the film is good"
        try:
            await _explained(client, said, tally)
            read = await client.get(READS[(number + turn) % len(READS)])
            tally.answered[read.status_code] += 1
        except (httpx.HTTPError, KeyError, ValueError) as error:
            tally.lost.append(f"{said}: {type(error).__name__} {error}")


async def _explained(client: httpx.AsyncClient, said: str, tally: Tally) -> None:
    ask = {"model": "sentiment", "text": said, "method": [METHOD]}
    while True:
        posted = await client.post("api/jobs", json=ask)
        tally.answered[posted.status_code] += 1
        if posted.status_code != 503:
            break
        await asyncio.sleep(float(posted.headers["Retry-After"]))
    job = posted.json()
    tally.jobs += 1
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(0.25)
        answer = await client.get(f"api/jobs/{job['id']}")
        tally.answered[answer.status_code] += 1
        job = answer.json()
    saved = await client.get(f"api/files/{job['id']}.json")
    tally.answered[saved.status_code] += 1
    if job["state"] != "done" or saved.status_code != 200:
        tally.lost.append(f"{said}: {job['state']} {job['error']} {saved.status_code}")
    elif saved.json()[0]["segments"] != [said]:
        tally.mixed.append(f"{said}: {saved.json()[0]['segments']}")


def growth(memory: list[float]) -> float:
    """MiB by which the last fifth lies above the second: the first is warming up."""
    fifth = max(1, len(memory) // 5)
    early, late = memory[fifth : 2 * fifth] or memory[:1], memory[-fifth:]
    return sum(late) / len(late) - sum(early) / len(early)


def run(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as folder, server(Path(folder) / "history.sqlite3") as (process, url):
        start = time.monotonic()
        tally = asyncio.run(load(url, process, clients=options.clients, seconds=options.seconds))
        took = time.monotonic() - start
    answers = sum(tally.answered.values())
    rate = f"{answers / took:.0f} a second"
    print(f"{options.clients} clients for {took:.0f} s: {answers:,} answers ({rate}), {tally.jobs:,} jobs")
    print("statuses: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(tally.answered.items())))
    print(f"lost {len(tally.lost)}, mixed up {len(tally.mixed)}")
    print(f"memory {tally.memory[0]:.0f} MiB at first, {max(tally.memory):.0f} at most, "
          f"{growth(tally.memory):+.1f} from the second fifth to the last")  # fmt: skip
    for trouble in (*tally.lost[:5], *tally.mixed[:5]):
        print(" ", trouble)
    if tally.lost or tally.mixed:
        raise SystemExit(1)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command `serve`."""
    parser = commands.add_parser("serve", help="the web page's server under load")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.set_defaults(run=run)
