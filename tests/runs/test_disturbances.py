"""What disturbs a run: each ends as the tutorial says, and the same call ends with the rows of an undisturbed run."""

import os
import random
import resource
import signal
import subprocess
import time
from contextlib import contextmanager
from unittest import mock

import pyarrow.parquet
import pytest

import xai_nlp
from tests.hostile.writes import Writers, prepared
from tests.hostile.writing_process import SMALL_FILES
from tests.runs.test_execute import DATA, QUIET, TEXTS
from tests.runs.test_execute import model as model
from tests.runs.test_execute import small as small
from xai_nlp.errors import InvalidInput
from xai_nlp.runs import rows
from xai_nlp.runs.shards import finished


@contextmanager
def small_files():
    """Batches and files are small, so that there are many."""
    with mock.patch.multiple(rows, BATCH_TOKENS=SMALL_FILES[0], SHARD_ROWS=SMALL_FILES[1]):
        yield


def rows_of(folder):
    """The rows of a run's files as they are there, in the order of the data."""
    tables = [pyarrow.parquet.read_table(file) for file in finished(folder).values()]
    return pyarrow.concat_tables(tables).sort_by("row").to_pylist() if tables else []


def times(folder):
    """When each file of a run, or of several runs in a folder, was written."""
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*.parquet")}


def assert_same_rows(folder, undisturbed):
    """The same files with the same rows, up to the last digits of scores and outputs."""
    assert [file.name for file in finished(folder).values()] == [file.name for file in finished(undisturbed).values()]
    for row, same in zip(rows_of(folder), rows_of(undisturbed), strict=True):
        assert row.pop("scores") == pytest.approx(same.pop("scores"), abs=1e-6)
        assert {**row, "value": 0, "outputs": 0} == {**same, "value": 0, "outputs": 0}


@pytest.fixture(scope="module")
def undisturbed(model, tmp_path_factory):
    """A run of DATA that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with small_files():
        xai_nlp.run(DATA, model, directory=folder, **QUIET)
    return folder


@pytest.mark.slow
def test_kill_9_at_20_random_moments(tmp_path):
    """Runs are killed once some of their files are written; what is written is not made again."""
    prepared(tmp_path)
    writers, random_, runs, before = Writers(), random.Random(0), tmp_path / "runs", {}

    def kill(pid, ended):
        more = len(before) + random_.randrange(4)
        while not ended.is_set() and len(times(runs)) < more:
            time.sleep(0.002)
        time.sleep(random_.uniform(0, 0.05))
        os.kill(pid, signal.SIGKILL)

    try:
        for _ in range(20):
            code, _, said = writers.run("run", tmp_path, kill)
            assert code == -signal.SIGKILL, said
            assert before.items() <= times(runs).items()
            before = times(runs)
            for run in runs.iterdir() if before else ():
                numbers = [row["row"] for row in rows_of(run)]
                assert len(numbers) == len(set(numbers))
    finally:
        writers.end()
    call = {"data": tmp_path / "rows.txt", "model": tmp_path / "model", **QUIET}
    with small_files():
        xai_nlp.run(**call, directory=tmp_path / "undisturbed")
        for run in runs.iterdir():
            xai_nlp.run(**call, directory=run)
            assert_same_rows(run, tmp_path / "undisturbed")
    assert before.items() <= times(runs).items()


class SmallDisk:
    """A folder on a disk of 64 kB, where this user may mount one; elsewhere no file grows beyond 4 kB."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.mounted = self.mount("-t", "tmpfs", "-o", "size=64k", "tmpfs")
        if not self.mounted:
            self.limit = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, self.limit[1]))

    def mount(self, *arguments):
        return subprocess.run(["mount", *arguments, self.folder], capture_output=True, check=False).returncode == 0

    def enlarge(self):
        if self.mounted:
            assert self.mount("-o", "remount,size=1m")
        else:
            resource.setrlimit(resource.RLIMIT_FSIZE, self.limit)

    def make_read_only(self):
        if self.mounted:
            assert self.mount("-o", "remount,ro")
        else:
            self.folder.chmod(0o500)

    def end(self):
        if self.mounted:
            subprocess.run(["umount", self.folder], check=True)
        else:
            self.enlarge()
            self.folder.chmod(0o700)


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.end()


def test_a_full_disk(model, disk, undisturbed, small):
    with pytest.raises(OSError, match=r"No space left.*rows-|File too large"):
        xai_nlp.run(DATA, model, directory=disk.folder, **QUIET)
    before = times(disk.folder)
    assert not list(disk.folder.glob("*.part"))
    assert bool(before) is disk.mounted
    disk.enlarge()
    xai_nlp.run(DATA, model, directory=disk.folder, **QUIET)
    assert_same_rows(disk.folder, undisturbed)
    assert before.items() <= times(disk.folder).items()


def test_a_folder_that_may_not_be_written(model, disk, small, monkeypatch):
    disk.enlarge()
    disk.make_read_only()
    if os.access(disk.folder, os.W_OK):  # of a user who may do all, and mount nothing
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    for folder in (disk.folder, disk.folder / "run"):
        with pytest.raises(InvalidInput, match="disk may not be written by this user"):
            xai_nlp.run(DATA, model, directory=folder, **QUIET)
    assert not list(disk.folder.iterdir())


@pytest.mark.slow
def test_a_row_of_100_000_words(model, tmp_path):
    """It is explained in windows, and the rows beside it are as they would be without it."""
    texts = [*TEXTS[:4], "film " * 100_000, *TEXTS[4:8]]
    call = {"model": model, **QUIET}
    found = xai_nlp.run(texts, directory=tmp_path / "long", **call)
    without = xai_nlp.run(TEXTS[:8], directory=tmp_path / "without", **call)
    assert found.inputs == tuple(range(9)) and not found.errors
    assert sum(token == "film" for token in found[4].words().tokens) == 100_000 and found[4].params["windows"] > 1000
    for item, same in zip([*found[:4], *found[5:]], without, strict=True):
        assert item.tokens == same.tokens and item.scores == pytest.approx(same.scores, abs=1e-6)
    refused = xai_nlp.run(texts, directory=tmp_path / "refused", long="error", **call)
    assert list(refused.errors) == [4] and "tokens" in refused.errors[4]
