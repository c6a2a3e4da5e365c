"""Who explains the batches of a run: this process, or worker processes with a model each."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from xai_nlp.errors import InvalidInput, NotEnoughMemory
from xai_nlp.runs.batch import explain_rows
from xai_nlp.runs.rows import Row
from xai_nlp.tasks.explainer import Explainer

if TYPE_CHECKING:
    from pyarrow import Table

DEATHS = 3  # of workers at one batch, after which the run ends
Rows = Callable[[range], list[Row]]  # the rows at some places
Stop = Callable[[], bool]  # was the run asked to end?


@dataclass(eq=False)
class Shard:
    """Neighbouring batches whose explanations become one file.

    batches: those that are not explained yet. tables: of those that are, and in no file yet; their places begin at
    `start`.
    """

    batches: deque[range]
    tables: list[Table] = field(default_factory=list)
    start: int = 0
    deaths: int = 0

    @classmethod
    def of(cls, batches: Iterable[range]) -> Shard:
        """A shard of these batches, of which none is explained."""
        shard = cls(deque(batches))
        shard.start = shard.batches[0].start
        return shard

    def add(self, table: Table) -> int:
        """The next batch is explained; how many rows of the data it has."""
        self.tables.append(table)
        self._end = self.batches[0].stop
        return len(self.batches.popleft())

    def take(self) -> tuple[range, list[Table]]:
        """The tables that are in no file yet, and their places."""
        places, tables = range(self.start, self._end), self.tables
        self.start, self.tables = self._end, []
        return places, tables


def in_this_process(
    explainer: Explainer, options: Mapping[str, Any], shards: Iterable[Shard], rows: Rows, stop: Stop
) -> Generator[tuple[Shard, Table]]:
    """The explanations of batch after batch, with the shard that each belongs to."""
    for shard in shards:
        for batch in list(shard.batches):
            if stop():
                return
            yield shard, explain_rows(explainer, options, rows(batch))


# Processes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Worker:
    """What a worker process needs to begin: keywords of `load`, keywords of `explain`, and its threads."""

    load: Mapping[str, Any]
    options: Mapping[str, Any]
    threads: int


class _Process:
    """A worker process and the shard that it has in work."""

    def __init__(self, worker: Worker) -> None:
        self.connection, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")  # a forked process has no threads of torch
        self.process = context.Process(target=work, args=(other, worker), daemon=True)
        self.process.start()
        other.close()
        self.shard: Shard | None = None

    def begin(self, shard: Shard, rows: Rows) -> None:
        """Give it the next batch of a shard."""
        self.shard = shard
        with suppress(ConnectionError):  # if it has died, `receive` says so
            self.connection.send(rows(shard.batches[0]))

    def receive(self) -> Table | None:
        """The explanations of its batch; None if it has died. Raises what the worker could not begin by."""
        try:
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            return None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def end(self) -> None:
        """End it at once."""
        self.connection.close()
        self.process.kill()
        self.process.join()


def in_processes(
    workers: list[Worker], shards: Iterable[Shard], rows: Rows, stop: Stop
) -> Generator[tuple[Shard, Table]]:
    """The same by worker processes, each at a shard of its own. The batch of one that dies is done by another.

    Raises NotEnoughMemory where DEATHS workers died at one batch.
    """
    waiting, again = iter(shards), deque[Shard]()
    running: dict[Connection, tuple[_Process, Worker]] = {}

    def begin(worker: Worker, process: _Process | None = None, shard: Shard | None = None) -> None:
        """Give a worker its next batch: of its shard, or of another one; a process is made if it has none."""
        if shard is None or not shard.batches:
            shard = again.popleft() if again else next(waiting, None)
        if shard is not None and not stop():
            process = process or _Process(worker)
            running[process.connection] = process, worker
            process.begin(shard, rows)
        elif process is not None:
            del running[process.connection]
            process.end()

    try:
        for worker in workers:
            begin(worker)
        while running:
            for connection in wait(list(running)):
                process, worker = running[connection]  # type: ignore[index]
                shard = process.shard
                assert shard is not None
                table = process.receive()
                if table is not None:
                    shard.deaths = 0
                    yield shard, table
                    begin(worker, process, shard)
                    continue
                del running[process.connection]
                process.end()
                shard.deaths += 1
                if shard.deaths == DEATHS:
                    raise NotEnoughMemory(
                        f"{DEATHS} worker processes ended while they explained the rows at the places "
                        f"{shard.batches[0].start} to {shard.batches[0].stop - 1}. Was their memory enough? Give fewer "
                        "workers, or a smaller batch_size. A script starts workers below "
                        "`if __name__ == '__main__':`, since each of them imports it."
                    )
                again.append(shard)
                begin(worker)
    finally:
        for process, _ in running.values():
            process.end()


class LoadedWorker:
    """A worker's model, loaded once. Raises InvalidInput where it cannot be loaded."""

    def __init__(self, worker: Worker) -> None:
        import torch

        from xai_nlp.tasks.api import load

        torch.set_num_threads(worker.threads)
        self.options = worker.options
        try:
            self.explainer = load(**worker.load)
        except Exception as error:
            raise InvalidInput(f"a worker cannot load the model: {error}") from None

    def explain(self, rows: Sequence[Row]) -> Table:
        """The explanations of some rows."""
        return explain_rows(self.explainer, self.options, rows)


def work(connection: Connection, worker: Worker) -> None:
    """A worker process: load the model, then explain batches until there are no more. Ctrl-C is the parent's matter."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        try:
            model = LoadedWorker(worker)
        except InvalidInput as error:
            connection.send(error)
            return
        while True:
            connection.send(model.explain(connection.recv()))
    except (EOFError, ConnectionError):  # the parent has ended
        return
