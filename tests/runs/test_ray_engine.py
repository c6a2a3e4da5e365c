"""The Ray engine: the rows of `local`, on Ray that the tests start, also where actors are killed."""

import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib import util
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pytest

import xai_nlp
from tests.runs.test_engines import WHOLE, explained, shards
from tests.runs.test_execute import DATA, QUIET, TEXTS
from tests.runs.test_execute import model as model
from tests.runs.test_execute import small as small
from xai_nlp.data.table import DataTable, read_table
from xai_nlp.errors import InvalidInput, NotEnoughMemory, UnknownName, Unsupported
from xai_nlp.runs import execute, ray_engine
from xai_nlp.runs.engines import Worker
from xai_nlp.runs.ray_engine import SETTINGS, BatchActor, RayJob, in_ray, share_of
from xai_nlp.runs.shards import SCHEMA, finished

CLUSTER = """
import ray
print(ray.init("local", num_cpus=2, include_dashboard=False).address_info["gcs_address"], flush=True)
input()
"""


def job(**changes):
    worker = Worker(load={"source": "sentiment"}, options={"method": "saliency"}, threads=1)
    batches = [list(batch) for shard in shards() for batch in shard.batches]
    whole = {"worker": worker, "workers": 2, "address": None, "table": read_table(TEXTS[:9]), "columns": {}}
    return RayJob(**{**whole, "shared": (), "batches": batches, **changes})


# Without Ray ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def driven(monkeypatch):
    """Makes a function the one that drives Ray, in a thread of this process."""

    class Process(threading.Thread):
        def __init__(self, target, args):
            connection, job = args  # a process has a connection of its own
            super().__init__(target=target, args=(Connection(os.dup(connection.fileno())), job))

        def kill(self):
            pass

    def driven(drive):
        monkeypatch.setattr(ray_engine.multiprocessing, "get_context", lambda _: SimpleNamespace(Process=Process))
        monkeypatch.setattr(ray_engine, "drive", drive)

    return driven


def answers(connection, job, count=99):
    """Answer so many batches, as actors do in their order."""
    with suppress(BrokenPipeError), connection:
        for rows in job.batches[:count]:
            connection.send(SCHEMA.empty_table().from_pylist([{"row": row} for row in rows], schema=SCHEMA))


def test_each_batch_is_that_of_its_shard(driven):
    driven(answers)
    assert explained(in_ray(job(), shards(), lambda: False)) == WHOLE
    assert explained(in_ray(job(batches=[]), [], lambda: False)) == {}


@pytest.mark.parametrize(("workers", "batches"), [(1, 2), (2, 3), (9, 5)])
def test_after_a_stop_the_batches_in_work_are_finished(driven, workers, batches):
    driven(answers)
    asked = iter([False])  # True after the second batch
    assert len(list(in_ray(job(workers=workers), shards(), lambda: next(asked, True)))) == batches


def test_what_ends_ray_is_raised(driven):
    driven(lambda connection, job: connection.send(InvalidInput("no GPU")) or connection.close())
    with pytest.raises(InvalidInput, match="no GPU"):
        explained(in_ray(job(), shards(), lambda: False))
    driven(lambda connection, job: answers(connection, job, count=2))
    with pytest.raises(RuntimeError, match="the process that drives Ray was ended"):
        explained(in_ray(job(), shards(), lambda: False))


@pytest.mark.parametrize(
    ("resources", "workers", "device", "share"),
    [
        ({"CPU": 4}, 2, None, (2, 0)),
        ({"CPU": 4, "GPU": 2}, 2, "cpu", (2, 0)),
        ({"CPU": 8, "GPU": 2}, 2, "auto", (4, 1)),
        ({"CPU": 8, "GPU": 2}, 3, "cuda", (2, 0.5)),  # a share of 2/3 would fit twice
        ({"CPU": 8, "GPU": 2}, 5, "cuda:1", (1, 1 / 3)),
        ({"CPU": 8, "GPU": 4}, 1, "cuda", (8, 1)),
    ],
)
def test_actors_share_what_there_is(resources, workers, device, share):
    assert share_of(resources, workers, device) == dict(zip(("num_cpus", "num_gpus"), share, strict=True))


def test_an_actor_that_cannot_load_the_model_answers_why():
    actor = BatchActor(Worker(load={"source": "no such model"}, options={}, threads=1), None, {}, ())
    for _ in range(2):
        (answer,) = actor(pyarrow.table({"rows": [[0, 1]]}))["answer"]
        with pytest.raises(InvalidInput, match=r"a worker cannot load the model: .*no such model"):
            raise pickle.loads(answer)  # noqa: S301 - made above


def test_engines_that_cannot_be_asked_for(model, tmp_path, monkeypatch):
    call = {"directory": tmp_path / "run", **QUIET}
    with pytest.raises(UnknownName, match=r"unknown engine 'rey'\. Did you mean 'ray'"):
        xai_nlp.run(DATA, model, engine="rey", **call)
    with pytest.raises(InvalidInput, match="give engine='ray', --engine ray, too"):
        xai_nlp.run(DATA, model, address="auto", **call)
    with pytest.raises(InvalidInput, match="workers load the model themselves"):
        xai_nlp.run(DATA, xai_nlp.load("sentiment"), engine="ray", **call)
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None if name == "ray" else util.find_spec(name))
    with pytest.raises(Unsupported, match=r"needs ray: pip install '\.\[ray\]'"):
        xai_nlp.run(DATA, model, engine="ray", **call)
    assert not (tmp_path / "run").exists()


# On Ray ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster():
    """A Ray cluster on this machine: its address, and the number of the process that keeps it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, setting in {**SETTINGS, "RAY_AUTH_TOKEN": "c0ffee" * 10}.items():
            patch.setenv(name, setting)
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        with subprocess.Popen([sys.executable, "-c", CLUSTER], **streams) as process:
            yield SimpleNamespace(pid=process.pid, address=process.stdout.readline().strip())
            process.communicate("\n")


def processes_under(pid):
    """The command of each process that a process has started, or that one of these has, by its number."""
    parents, commands = {}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
            commands[int(file.parent.name)] = file.with_name("cmdline").read_text().replace("\0", " ")
        except (OSError, IndexError):  # it has ended
            continue
    children = [child for child, parent in parents.items() if parent == pid and child in commands]
    return {child: commands[child] for child in children} | {
        number: command for child in children for number, command in processes_under(child).items()
    }


def actors_under(pid):
    return [number for number, command in processes_under(pid).items() if "BatchActor" in command]


@pytest.mark.slow
def test_the_rows_are_those_of_local_also_where_actors_are_killed(model, tmp_path, small, cluster, monkeypatch):
    slow = {"method": "integrated_gradients", "steps": 100, "progress": False}  # so that there is a middle
    local = xai_nlp.run(DATA, model, directory=tmp_path / "local", **slow)
    killed, random_, write = [], random.Random(0), execute.write_shard

    def write_and_kill(*arguments):
        write(*arguments)
        if len(killed) < 2:
            time.sleep(random_.uniform(0, 0.1))
            killed.append(random_.choice(actors_under(cluster.pid)))
            os.kill(killed[-1], signal.SIGKILL)

    monkeypatch.setattr(execute, "write_shard", write_and_kill)
    call = {"directory": tmp_path / "ray", "engine": "ray", "address": cluster.address, "workers": 2, **slow}
    found = xai_nlp.run(DATA, model, **call)
    assert len(set(killed)) == 2
    assert (found.inputs, found.errors, found.plan.identity) == (local.inputs, local.errors, local.plan.identity)
    assert [file.name for file in finished(tmp_path / "ray").values()] == [
        file.name for file in finished(tmp_path / "local").values()
    ]
    for item, same in zip(found, local, strict=True):
        assert (item.tokens, item.outputs.keys(), item.gold) == (same.tokens, same.outputs.keys(), same.gold)
        assert item.scores == pytest.approx(same.scores, abs=1e-6)
    before = {file: file.stat().st_mtime_ns for file in finished(tmp_path / "ray").values()}
    assert xai_nlp.run(DATA, model, **call) == found  # all of it is done
    assert {file: file.stat().st_mtime_ns for file in finished(tmp_path / "ray").values()} == before


class Deadly(DataTable):
    """A table that ends the process that reads it."""

    def part(self, rows):
        if rows:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().part(rows)


@pytest.mark.slow
def test_rows_at_which_every_actor_dies_end_the_run(cluster):
    table = read_table(TEXTS[:9])
    deadly = job(address=cluster.address, workers=1, table=Deadly(table.dataset, unnamed=table.unnamed))
    with pytest.raises(NotEnoughMemory, match="3 actors of Ray ended while they explained the same rows"):
        explained(in_ray(deadly, shards(), lambda: False))


@pytest.mark.slow
def test_the_command_starts_ray_here_and_ends_it(model, tmp_path):
    """It listens on this machine alone and prints nothing of its own. Ctrl-C ends it after the batches in work."""
    data, folder = tmp_path / "rows.txt", tmp_path / "run"
    data.write_text("".join(f"{text} {n}\n" for n, text in enumerate(TEXTS * 4)))
    code = "from xai_nlp.runs import rows; rows.BATCH_TOKENS = 64; from xai_nlp.cli import app; app()"
    command = [
        *(sys.executable, "-c", code, "run", str(data), "--model", str(model), "-o", str(folder)),
        *("--method", "integrated_gradients", "--option", "steps=64", "--engine", "ray", "--workers", "2"),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    with process:
        while process.poll() is None and not folder.is_dir():
            time.sleep(0.1)
        while process.poll() is None and not actors_under(process.pid):
            time.sleep(0.1)
        started = processes_under(process.pid)
        listening = addresses_of(started)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    done = len(xai_nlp.read_run(folder))
    assert 0 < done < 240 and f"stopped: {done} of 240 rows are done" in err and not out
    assert "ray" not in err.lower().replace("xai-nlp", "").replace(str(tmp_path).lower(), "")
    assert listening and {address[-8:] for address in listening} == {"0100007F"}  # 127.0.0.1, also within IPv6
    while {number for number in started if Path(f"/proc/{number}").exists()}:  # until the test's time is over
        time.sleep(0.1)


def addresses_of(numbers):
    """The addresses at which these processes listen, as /proc/net writes them."""
    sockets = set()
    for file in (file for number in numbers for file in Path(f"/proc/{number}/fd").glob("*")):
        try:
            sockets.add(os.readlink(file))
        except OSError:  # it is closed
            continue
    lines = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and f"socket:[{line[9]}]" in sockets}
