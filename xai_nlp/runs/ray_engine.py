"""The Ray engine: an actor pool of Ray Data explains the batches of a run, here or on a cluster.

Ray is driven by a process of its own. What Ray prints, the settings that it reads from the environment and its threads
stay there, and Ray ends with it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import secrets
import signal
import threading
import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from xai_nlp.data.table import DataTable
from xai_nlp.errors import InvalidInput, NotEnoughMemory, Unsupported
from xai_nlp.runs.engines import DEATHS, LoadedWorker, Shard, Stop, Worker
from xai_nlp.runs.rows import RunRows

if TYPE_CHECKING:
    from pyarrow import Table

PATIENCE = 30  # seconds that Ray has to end
SETTINGS = {  # of Ray that is started here
    "RAY_USAGE_STATS_ENABLED": "0",  # it reports nothing to its makers
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # it listens on 127.0.0.1 alone, on every system
    "RAY_AUTH_MODE": "token",  # and answers this user alone
}


@dataclass(frozen=True, kw_only=True)
class RayJob:
    """What Ray needs for a run.

    workers: actors, each with its own model; they share the CPUs and GPUs. address: of a cluster; None starts Ray here.
    table, columns, shared: of `RunRows`. batches: the rows of the data in each.
    """

    worker: Worker
    workers: int
    address: str | None
    table: DataTable
    columns: Mapping[str, str]
    shared: tuple[str, ...]
    batches: list[list[int]]


def check_ray() -> None:
    """Raise Unsupported if Ray is not installed."""
    if find_spec("ray") is None:
        raise Unsupported("the engine ray needs ray: pip install '.[ray]' in the repository.")


def in_ray(job: RayJob, shards: Iterable[Shard], stop: Stop) -> Generator[tuple[Shard, Table]]:
    """The explanations of batch after batch, with the shard that each belongs to. After a stop the batches that are in
    work are finished.

    shards: they hold the batches of the job, in its order.
    Raises NotEnoughMemory where DEATHS actors died at one batch, InvalidInput where Ray or the model cannot start.
    """
    if not job.batches:
        return
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=drive, args=(theirs, job))
    process.start()
    theirs.close()
    left = job.workers  # batches that are in work
    try:
        for shard in shards:
            for _ in list(shard.batches):
                yield shard, _received(ours)
                left -= stop()
                if not left:
                    return
    finally:
        ours.close()
        process.join(PATIENCE)
        process.kill()


def _received(connection: Connection) -> Table:
    """The explanations of the next batch. Raises what the process of Ray ended by."""
    try:
        answer = connection.recv()
    except (EOFError, ConnectionError):
        raise RuntimeError("the process that drives Ray was ended. The same call goes on.") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


# The process that drives Ray ------------------------------------------------------------------------------------------


def drive(connection: Connection, job: RayJob) -> None:
    """Send the answers of the actors, a batch each, in the order of the job, until there are no more, or the parent is
    gone. Ctrl-C is the parent's matter.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    warnings.simplefilter("ignore")
    if job.address is None:
        os.environ.update(SETTINGS, RAY_AUTH_TOKEN=secrets.token_hex(32))
    import ray

    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    try:
        _connect(job)
        for answer in _answers(job):
            connection.send_bytes(answer)
    except (BrokenPipeError, ConnectionError):  # the parent has ended, or stops
        pass
    except ray.exceptions.RayActorError:
        connection.send(
            NotEnoughMemory(
                f"{DEATHS} actors of Ray ended while they explained the same rows. Was their memory enough? Give fewer "
                "workers, or a smaller batch_size."
            )
        )
    except Exception as error:
        connection.send(error if isinstance(error, InvalidInput) else InvalidInput(f"Ray cannot run: {error}"))
    finally:
        ray.shutdown()
        connection.close()


def _end_with_parent(connection: Connection) -> None:
    """End Ray and this process once the parent has ended, or wants no more answers."""
    import ray

    with suppress(EOFError, OSError):
        connection.recv()
    ray.shutdown()
    os._exit(0)


def _connect(job: RayJob) -> None:
    """Connect to a cluster, or start one with CPUs for the threads of all workers. Raises InvalidInput."""
    import ray

    here: dict[str, Any] = {"num_cpus": job.workers * job.worker.threads, "include_dashboard": False}
    try:
        ray.init(job.address or "local", log_to_driver=False, **({} if job.address else here))
    except Exception as error:
        where = f"the Ray cluster at {job.address} cannot be reached" if job.address else "Ray cannot start"
        raise InvalidInput(f"{where}: {str(error.__cause__ or error).strip()}") from None


def _answers(job: RayJob) -> Iterable[bytes]:
    """What the actors answer, a batch each, in order: pickled tables or errors."""
    import ray
    from ray.data import ActorPoolStrategy, DataContext

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    share = share_of(ray.cluster_resources(), job.workers, job.worker.load.get("device"))
    load = {**job.worker.load, **({"device": "cuda"} if share["num_gpus"] else {})}
    worker = replace(job.worker, load=load, threads=share["num_cpus"])
    batches = ray.data.from_items([{"rows": rows} for rows in job.batches], override_num_blocks=len(job.batches))
    answers = batches.map_batches(
        BatchActor,
        batch_size=None,
        batch_format="pyarrow",
        fn_constructor_args=(worker, ray.put(job.table), job.columns, job.shared),
        compute=ActorPoolStrategy(size=job.workers, max_tasks_in_flight_per_actor=1),
        max_task_retries=DEATHS - 1,
        **share,
    )
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from batch["answer"].to_pylist()


def share_of(resources: Mapping[str, float], workers: int, device: Any) -> dict[str, Any]:
    """The CPUs and GPUs of one of several actors, as Ray names them. GPUs are asked for where the device is one.

    Raises InvalidInput where a GPU is asked for and there is none.

    >>> share_of({"CPU": 8, "GPU": 1}, workers=4, device="cuda")
    {'num_cpus': 2, 'num_gpus': 0.25}
    >>> share_of({"CPU": 2}, workers=4, device="auto")
    {'num_cpus': 1, 'num_gpus': 0}
    """
    kind, gpus = str(device or "cpu").partition(":")[0], int(resources.get("GPU", 0))
    if kind == "cuda" and not gpus:
        raise InvalidInput("device='cuda' was asked for, and Ray has no GPU.")
    share = 1 / ceil(workers / gpus) if gpus and kind in ("cuda", "auto") else 0
    return {"num_cpus": max(1, int(resources.get("CPU", 1)) // workers), "num_gpus": share}


class BatchActor:
    """An actor: it loads the model once, and explains a batch a call."""

    def __init__(self, worker: Worker, table: Any, columns: Mapping[str, str], shared: tuple[str, ...]) -> None:
        import ray

        self.error: InvalidInput | None = None
        try:
            self.model = LoadedWorker(worker)
            self.rows = RunRows(ray.get(table), self.model.explainer, columns, shared)
        except InvalidInput as error:  # Ray would start the actor again
            self.error = error

    def __call__(self, batch: Table) -> dict[str, list[bytes]]:
        """The pickled explanations, or the error, of the rows of the data in a batch."""
        (numbers,) = batch["rows"].to_pylist()
        return {"answer": [pickle.dumps(self.error or self.model.explain(self.rows.batch(numbers)))]}
