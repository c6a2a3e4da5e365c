"""The web page's server under load: many clients at once, who ask, wait, read and check that the answer is theirs."""

from __future__ import annotations

import argparse
import asyncio
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    times: list[float] = field(default_factory=list)  # seconds of each answer
    hostile: Counter[str] = field(default_factory=Counter)  # what hostile clients sent, by kind


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


async def load(url: str, process: subprocess.Popen[str], *, clients: int, seconds: float, hostile: int = 0) -> Tally:
    """So many clients at once for so long, then until the last of their jobs is over; beside them hostile ones."""
    tally, end = Tally(), time.monotonic() + seconds
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:

        async def taken(response: httpx.Response) -> None:
            await response.aread()
            tally.times.append(response.elapsed.total_seconds())

        client.event_hooks["response"] = [taken]
        watching = asyncio.create_task(_watch(process, tally))
        harm = [asyncio.create_task(_hostile(url, number, end, tally.hostile)) for number in range(hostile)]
        await asyncio.gather(*(_client(client, number, end, tally) for number in range(clients)))
        watching.cancel()
        await asyncio.gather(*harm, return_exceptions=True)
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


# Hostile clients -----------------------------------------------------------------------------------------------------

HOSTILE = "127.0.0.2"  # where hostile clients come from; streams are bounded by address
JSON = "Content-Type: application/json\r\n"


async def _connected(url: str, sent: bytes, patience: float) -> bytes:
    """Send bytes on a connection of its own and read for so long, or until it is closed."""
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), local_addr=(HOSTILE, 0))
    try:
        writer.write(sent)
        with suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(writer.drain(), patience)
            return await asyncio.wait_for(reader.read(-1), patience)
    finally:
        writer.transport.abort()
    return b""


async def _hostile(url: str, number: int, end: float, counted: Counter[str]) -> None:
    """One that sends bodies that stall, opens streams, sends too much, or what is no HTTP, again and again."""
    host, kinds = url.split("/")[2], ("stalled", "streams", "oversized", "malformed", "imports")
    kind, stuck = kinds[number % len(kinds)], f"POST /api/history HTTP/1.1\r\nHost: {host}\r\n{JSON}"
    sent = {
        "stalled": f"{stuck}Content-Length: {30 * 2**20}\r\n\r\n".encode() + b" " * (29 * 2**20),
        "streams": f"GET /api/jobs/{'0' * 32}/events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),
        "oversized": f"{stuck}Transfer-Encoding: chunked\r\n\r\n".encode() + b"100000\r\n" + b" " * 2**20,
        "malformed": b"GET /\x00 HTTP/9\r\n" + bytes(range(256)) * 20,
        "imports": f"{stuck}Content-Length: 2000000\r\n\r\n".encode() + b"[" * 2_000_000,
    }[kind]
    async with httpx.AsyncClient(base_url=url, transport=httpx.AsyncHTTPTransport(local_address=HOSTILE)) as client:
        while time.monotonic() < end:
            try:
                if kind == "streams":  # of a job that takes long
                    long = {
                        "model": "sentiment",
                        "text": "It was a long and winding film. " * 60,
                        "method": ["shapley"],
                    }
                    posted = await client.post("api/jobs", json=long)
                    if posted.status_code == 202:
                        job = posted.json()["id"]
                        one = sent.replace(b"0" * 32, job.encode())
                        await asyncio.gather(*(_connected(url, one, 8) for _ in range(40)), return_exceptions=True)
                        await client.delete(f"api/jobs/{job}")
                else:
                    await _connected(url, sent, 8)
            except (OSError, httpx.HTTPError):
                pass
            counted[kind] += 1
            await asyncio.sleep(0.2)


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
        quiet = measured(url, process, options.clients, options.seconds)
        if not options.hostile:
            return
        loaded = measured(url, process, options.clients, options.seconds, options.hostile)
        times = statistics.median(loaded.times) / statistics.median(quiet.times)
        print(f"median beside {options.hostile} hostile clients: {times:.2f} × the quiet one")
        if times >= 2:
            raise SystemExit(1)


def measured(url: str, process: subprocess.Popen[str], clients: int, seconds: float, hostile: int = 0) -> Tally:
    """A load, and what came of it, printed. Exits with 1 if an answer was lost or mixed up."""
    start = time.monotonic()
    tally = asyncio.run(load(url, process, clients=clients, seconds=seconds, hostile=hostile))
    took = time.monotonic() - start
    answers = sum(tally.answered.values())
    rate = f"{answers / took:.0f} a second"
    beside = f" beside {hostile} hostile ones ({dict(tally.hostile)})" if hostile else ""
    print(f"{clients} clients{beside} for {took:.0f} s: {answers:,} answers ({rate}), {tally.jobs:,} jobs")
    print("statuses: " + ", ".join(f"{status}: {count:,}" for status, count in sorted(tally.answered.items())))
    print(f"lost {len(tally.lost)}, mixed up {len(tally.mixed)}; median {1000 * statistics.median(tally.times):.0f} ms")
    first, most, last, grown = tally.memory[0], max(tally.memory), tally.memory[-1], growth(tally.memory)
    print(
        f"memory {first:.0f} MiB at first, {most:.0f} at most, {last:.0f} at last, {grown:+.1f} from the second fifth"
    )
    sys.stdout.flush()
    for trouble in (*tally.lost[:5], *tally.mixed[:5]):
        print(" ", trouble)
    if tally.lost or tally.mixed:
        raise SystemExit(1)
    return tally


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command `serve`."""
    parser = commands.add_parser("serve", help="the web page's server under load")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--hostile", type=int, nargs="?", const=20, default=0, help="so many hostile clients beside them"
    )
    parser.set_defaults(run=run)
