"""A run: the plan of a data set's explanations, and its execution, which goes on where it was interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args, overload

import torch

from xai_nlp.concept.digests import digest, model_digest
from xai_nlp.core.files import PART
from xai_nlp.core.progress import Bar
from xai_nlp.data.table import read_table
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.interrupts import interrupts_noted
from xai_nlp.runs.engines import Shard, Worker, in_processes, in_this_process
from xai_nlp.runs.plan import PLAN_FILE, Plan, plain_options
from xai_nlp.runs.ray_engine import RayJob, check_ray, in_ray
from xai_nlp.runs.read import Run, read_run
from xai_nlp.runs.rows import Row, RunRows, Survey, layout
from xai_nlp.runs.shards import finished, write_shard
from xai_nlp.runs.trial import predict, threads_of
from xai_nlp.tasks.api import explainer_for_table
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.run import VERSIONS

Engine = Literal["local", "ray"]
ENGINES = get_args(Engine)
LARGEST = 2**26  # bytes of explanations in memory before they become a file
NEVER = ("on_error", "progress")  # options that a run sets itself
INDEPENDENT = ("batch_size",)  # options that results do not depend on


@dataclass(frozen=True, kw_only=True)
class PreparedRun:
    """A plan with all that it takes to execute it.

    options: keywords of `explain`. load: keywords of `load` for a worker; None where this process alone explains.
    engine, address: one of ENGINES, and that of a Ray cluster.
    """

    plan: Plan
    directory: Path
    explainer: Explainer
    options: Mapping[str, Any]
    rows: RunRows
    survey: Survey
    engine: Engine
    workers: int
    address: str | None
    load: Mapping[str, Any] | None
    done: int  # rows that an earlier call explained

    def execute(self, *, progress: bool = True) -> Run:
        """Explain the rows that are not done yet, file by file.

        After Ctrl-C the batch in work is finished; all that was explained is in files when KeyboardInterrupt is raised.
        Raises OSError for a file that cannot be written, InvalidInput if another process executes the run.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with locked(self.directory):
            for part in self.directory.glob(f"*{PART}"):  # of a process that was killed
                part.unlink()
            if not (self.directory / PLAN_FILE).exists():
                self.plan.write_to(self.directory)
            with interrupts_noted() as stop:
                self._explain(stop, progress)
                if stop():
                    raise KeyboardInterrupt
        return read_run(self.directory)

    def _explain(self, stop: Callable[[], bool], progress: bool) -> None:
        done = finished(self.directory)
        shards = map(Shard.of, self.survey.shards(done))
        bar = Bar("explaining", "row")
        bar.total, bar.done = len(self.rows), sum(map(len, done))
        begun: dict[Shard, None] = {}
        with closing(bar), closing(self._engine(shards, stop)) as explained_batches:
            try:
                for shard, table in explained_batches:
                    explained = shard.add(table)
                    begun[shard] = None
                    if not shard.batches or sum(one.nbytes for one in shard.tables) >= LARGEST:
                        del begun[shard]
                        write_shard(self.directory, *shard.take())
                    if progress:
                        bar.update(explained)
            finally:
                for shard in begun:
                    write_shard(self.directory, *shard.take())

    def _engine(self, shards: Iterator[Shard], stop: Callable[[], bool]) -> Generator[tuple[Shard, Any]]:
        if self.load is None:
            return in_this_process(self.explainer, self.options, shards, self._at, stop)
        with threads_of(self.workers):
            worker = Worker(load=self.load, options=self.options, threads=torch.get_num_threads())
        if self.engine == "ray":
            todo = list(shards)
            job = RayJob(
                worker=worker, workers=self.workers, address=self.address,
                table=self.rows.table, columns=self.rows.columns, shared=self.rows.shared,
                batches=[self._numbers(batch) for shard in todo for batch in shard.batches],
            )  # fmt: skip
            return in_ray(job, todo, stop)
        workers = [replace(worker, load=_on_device(self.load, number)) for number in range(self.workers)]
        return in_processes(workers, shards, self._at, stop)

    def _numbers(self, places: range) -> list[int]:
        return self.survey.order[places.start : places.stop].tolist()

    def _at(self, places: range) -> list[Row]:
        return self.rows.batch(self._numbers(places))


def prepare(
    data: Any,
    model: Any = None,
    *,
    directory: str | os.PathLike[str],
    method: str | Sequence[str] = "integrated_gradients",
    column: str | Mapping[str, str] | None = None,
    limit: int | None = None,
    engine: Engine = "local",
    workers: int = 1,
    address: str | None = None,
    task: str | None = None,
    tokenizer: Any = None,
    processor: Any = None,
    device: Any = None,
    dtype: Any = None,
    **options: Any,
) -> PreparedRun:
    """The plan of `run`, which takes the same arguments. Nothing is written.

    A run that is there already keeps its prediction. Raises InvalidInput if it has another plan, naming the difference.
    """
    folder = Path(directory)
    _check_folder(folder)
    _check_engine(engine, workers, address)
    for name in NEVER:
        if name in options:
            raise InvalidInput(f"{name} is set by the run itself: a row that fails has its error in the results.")
    table = read_table(data)
    if limit is not None:
        table = table.part(range(min(limit, len(table))))
    source = {"tokenizer": tokenizer, "processor": processor, "device": device, "dtype": dtype}
    explainer = explainer_for_table(table, model=model, task=task, **source)
    columns = {explainer.task.inputs[0].name: column} if isinstance(column, str) else dict(column or {})
    shared, _ = explainer.named_inputs((), options)
    rows = RunRows(table, explainer, columns, list(shared))
    methods = method if isinstance(method, str) else list(method)
    keywords = {**options, "method": methods}
    _check_options(explainer, rows, keywords)
    survey = rows.survey()
    plan = Plan(
        data=table.name,
        data_fingerprint=survey.fingerprint,
        rows=len(rows),
        tokens=int(survey.lengths.sum()),
        model=explainer.name,
        model_fingerprint=_fingerprint(explainer),
        task=explainer.task.name,
        method=methods,
        options=plain_options({name: value for name, value in options.items() if name not in INDEPENDENT}),
        columns=columns,
        versions={name: str(version) for name, version in VERSIONS.items()},
        layout=layout(),
    )
    apart = workers if engine == "ray" or workers > 1 else 0
    done = 0
    if (folder / PLAN_FILE).exists():
        before = Plan.load(folder)
        if differences := before.differences(plan):
            raise InvalidInput(
                f"{folder} holds another run: {'; '.join(differences)}. Give what it was begun with, or another folder."
            )
        plan, done = before, sum(map(len, finished(folder)))
    else:
        plan = replace(plan, prediction=predict(explainer, keywords, rows, survey, workers=apart))
    load = {"source": explainer.name if model is None else model, "task": explainer.task.name, **source}
    return PreparedRun(
        plan=plan, directory=folder, explainer=explainer, options=keywords, rows=rows, survey=survey,
        engine=engine, workers=workers, address=address, load=_for_workers(load) if apart else None, done=done,
    )  # fmt: skip


@overload
def run(
    data: Any,
    model: Any = ...,
    *,
    directory: str | os.PathLike[str],
    method: str | Sequence[str] = ...,
    column: str | Mapping[str, str] | None = ...,
    limit: int | None = ...,
    engine: Engine = ...,
    workers: int = ...,
    address: str | None = ...,
    dry_run: Literal[False] = ...,
    progress: bool = ...,
    **options: Any,
) -> Run: ...
@overload
def run(
    data: Any,
    model: Any = ...,
    *,
    directory: str | os.PathLike[str],
    method: str | Sequence[str] = ...,
    column: str | Mapping[str, str] | None = ...,
    limit: int | None = ...,
    engine: Engine = ...,
    workers: int = ...,
    address: str | None = ...,
    dry_run: Literal[True],
    progress: bool = ...,
    **options: Any,
) -> Plan: ...
def run(
    data: Any,
    model: Any = None,
    *,
    directory: str | os.PathLike[str],
    method: str | Sequence[str] = "integrated_gradients",
    column: str | Mapping[str, str] | None = None,
    limit: int | None = None,
    engine: Engine = "local",
    workers: int = 1,
    address: str | None = None,
    dry_run: bool = False,
    progress: bool = True,
    **options: Any,
) -> Run | Plan:
    """Explain every row of a data set into the files of a folder; the same call goes on where it was interrupted.

    data: what `data.table.read_table` reads: the path of a CSV, TSV, JSON lines or Parquet file, a
        `datasets.Dataset`, a pandas frame, a list of texts.
    model: as `explain` takes it, with its `tokenizer`, `task`, `device` or `dtype` among the options; None is the
        embedded model that reads the data's columns.
    directory: a folder of its own. It gets the plan (`plan.json`) and Parquet files (`runs.shards.SCHEMA`).
    method, options: as `explain` takes them. column: the column of the first input, or input, or "gold", -> column.
    limit: rows at most, from the beginning.
    engine: "local" or "ray", the extra of that name. workers: processes, each with its own model; 1 of "local" is this
        process. address: of a Ray cluster; None starts Ray here, and ends it.
    dry_run: give the plan, with the time, memory and disk that it will take, and write nothing.
    progress: print the plan before it starts, and show a bar, on stderr.

    A row that cannot be explained is a row with its error. After Ctrl-C the batch in work is finished.
    Raises InvalidInput for a folder that holds a run with another plan, a missing column, and options that do not
    exist; OSError for a folder that cannot be written.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> found = run(["a fine film", "", "a dull mess"], directory=folder, method="saliency", progress=False)
    >>> [item.prediction for item in found], list(found.errors)
    (['POSITIVE', 'NEGATIVE'], [1])
    """
    prepared = prepare(
        data, model, directory=directory, method=method, column=column, limit=limit, engine=engine, workers=workers,
        address=address, **options,
    )  # fmt: skip
    if progress:
        print(prepared.plan, file=sys.stderr)
    return prepared.plan if dry_run else prepared.execute(progress=progress)


# Checks ---------------------------------------------------------------------------------------------------------------


def _check_folder(folder: Path) -> None:
    """Raise InvalidInput for a folder that holds something else, or that may not be written."""
    if folder.exists() and not folder.is_dir():
        raise InvalidInput(f"{folder} is a file; a run is written into a folder of its own.")
    if folder.is_dir() and not (folder / PLAN_FILE).exists() and any(folder.iterdir()):
        raise InvalidInput(f"{folder} holds other files, and no run; give a folder of its own.")
    above = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not os.access(above, os.W_OK):
        raise InvalidInput(f"{above} may not be written by this user.")


def _check_engine(engine: str, workers: int, address: str | None) -> None:
    """Raise what is wrong with the processes that are asked for."""
    if engine not in ENGINES:
        raise UnknownName("engine", engine, ENGINES)
    if workers < 1:
        raise InvalidInput(f"workers are processes, at least 1; got {workers}.")
    if engine == "ray":
        check_ray()
    elif address is not None:
        raise InvalidInput(f"address={address!r} is that of a Ray cluster: give engine='ray', --engine ray, too.")


def _check_options(explainer: Explainer, rows: RunRows, options: Mapping[str, Any]) -> None:
    """Raise what wrong options raise, before any row is read: of a call with the required inputs."""
    shared, others = explainer.named_inputs((), options)
    inputs = {one.name: ["…"] for one in rows.fields if one.required}
    explainer.request({**inputs, **shared}, others)


def _fingerprint(explainer: Explainer) -> str:
    """A hash of the model, its tokenizer and its image processor."""
    tokenizer, processor = explainer.tokenizer, explainer.loaded.processor
    words = tokenizer.backend_tokenizer.to_str() if tokenizer is not None else ""
    return digest(model_digest(explainer.model), words, repr(processor) if processor is not None else "")


def _for_workers(load: Mapping[str, Any]) -> Mapping[str, Any]:
    """The keywords of `load` for other processes. Raises InvalidInput for objects, which no other process has."""
    for name in ("source", "tokenizer", "processor"):
        if load[name] is not None and not isinstance(load[name], (str, os.PathLike)):
            raise InvalidInput(
                "workers load the model themselves: give its name or folder, or engine='local' with workers=1; got a "
                f"{type(load[name]).__name__} as {'model' if name == 'source' else name}."
            )
    return {name: value for name, value in load.items() if value is not None}


def _on_device(load: Mapping[str, Any], number: int) -> dict[str, Any]:
    """The same with the accelerator of the number-th worker, where there are several."""
    count = torch.cuda.device_count() if load.get("device") in ("auto", "cuda") else 0
    return {**load, "device": f"cuda:{number % count}"} if count > 1 else dict(load)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """No other process executes the run in this folder while open. Raises InvalidInput if one does."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InvalidInput(f"another process executes the run in {directory}; wait until it ends.") from None
        yield
    finally:
        os.close(handle)
