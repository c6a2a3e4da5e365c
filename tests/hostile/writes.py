"""kill -9, Ctrl-C and a full disk at a random moment of writing: no older file is harmed, and none is written half."""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

import pytest

import xai_nlp
from tests.core.test_two_files import number_of, numbered
from tests.hostile.trial import Trial, family
from tests.hostile.writing_process import SMALL_FILES
from tests.models.tiny import tiny
from tests.viz.samples import made
from xai_nlp import Explanation, Explanations
from xai_nlp.runs import rows
from xai_nlp.viz.page.report import report
from xai_nlp.web.history import History
from xai_nlp.web.limits import LIMITS

ROOT = Path(__file__).parents[2]
KILL, INTERRUPT, FULL = "kill -9", "Ctrl-C", "full disk"
PATIENCE = 20  # seconds for a process to end
AGAIN = 3  # seconds between two Ctrl-C
ROWS = 60
ENTRIES = ("older1", "older2")
TITLES = ("one title", "another title")


class Writers:
    """The process of `writing_process`, and what it says."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.hostile.writing_process"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        pipe = subprocess.PIPE  # not a file: the disk is full for one
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment
        )
        while self.line() != "begun\n":
            pass

    def line(self):
        """The next line that the process says."""
        line = self.process.stdout.readline()
        assert line, "the process of the writers has ended"
        return line

    def run(self, operation, folder, fault):
        """(exit code, what was written by then, all else it said); `fault` is called once it has begun."""
        print(operation, folder, file=self.process.stdin, flush=True)
        pid = int(self.line().removeprefix("ready "))
        ended = threading.Event()
        thread = threading.Thread(target=fault, args=(pid, ended))
        late = threading.Timer(PATIENCE, killed, (pid,))
        thread.start()
        late.start()
        done, said = [], ""
        while not (line := self.line()).startswith("exit "):
            if line.startswith("done "):
                done.append(line.removeprefix("done ").strip())
            else:
                said += line
        ended.set()
        late.cancel()
        thread.join()
        return int(line.removeprefix("exit ")), done, said

    def end(self):
        self.process.stdin.close()
        self.process.wait(PATIENCE)
        self.process.stdout.close()


def killed(pid):
    """End a process that did not end by itself; it says where it is."""
    for number in (signal.SIGUSR1, signal.SIGKILL):
        os.kill(pid, number)
        time.sleep(1)


def fault_of(kind, random, operation=""):
    """A function that does it to a process, after a random time."""
    sizes = [0, 100, 5000] if operation == "run" else [0, 100, 5000, 50_000]  # its files are small
    after, size = random.uniform(0, 0.5), random.choice(sizes)

    def fault(pid, ended):
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):
            if kind == FULL:  # no file may grow beyond so many bytes
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
                return
            os.kill(pid, signal.SIGKILL if kind == KILL else signal.SIGINT)
            # Python drops an interrupt that comes in a callback, such as one of importlib's: users press again
            while not ended.wait(AGAIN):
                os.kill(pid, signal.SIGINT)

    return fault


def prepared(folder):
    """Older files of every kind in a folder."""
    numbered(0).save(folder / "why.json")
    numbered(0).save(folder / "beside.json")
    shutil.copytree(pretrained(), folder / "model")
    numbered(0).save(folder / "model" / "model.json")
    (folder / "kept").mkdir()
    Explanations([made(text) for text in ("a fine film", "so so " * 99)]).save(folder / "kept" / "a.jsonl")
    (folder / "report.html").write_text("an older page")
    Explanations([made("an older film")] * 3).save(folder / "lines.jsonl")
    (folder / "rows.txt").write_text("".join(f"a dull film {n}\n" for n in range(ROWS)))
    base = History(folder / "history.sqlite3")
    for id in ENTRIES:
        base.add("older", Explanations([made("an older film")]), id=id)
    base.close()


def pretrained():
    """A folder with a tiny model."""
    if not _folders:
        _folders.append(tempfile.TemporaryDirectory())
        model, tokenizer = tiny("bert")
        model.save_pretrained(_folders[0].name)
        tokenizer.save_pretrained(_folders[0].name)
    return _folders[0].name


_folders = []


def contents(folder):
    """The contents of the files that no operation writes."""
    written = ("why.json", "report.html", "lines.jsonl", "history.sqlite3")
    files = [file for file in folder.rglob("*") if file.is_file() and (folder / "runs") not in file.parents]
    return {file: file.read_bytes() for file in files if not file.name.startswith(written)}


def check_save(folder, kind, done):
    number = number_of(Explanation.load(folder / "why.json"))
    assert number - len(done) in (0, 1), f"{number} is there, {len(done)} were written"


def check_report(folder, kind, done):
    items = Explanations.load(folder / "kept" / "a.jsonl")
    pages = [report(items, title=title, date="d") for title in TITLES]
    known = pages if done else [*pages, "an older page"]
    assert (folder / "report.html").read_text(encoding="utf-8") in known


def check_explain(folder, kind, done):
    texts = [why.segments[0] for why in Explanations.load(folder / "lines.jsonl")]
    new = [f"a dull film {n}" for n in range(ROWS)]
    whole = [new] if done else [new, ["an older film"] * 3]
    assert texts in whole or (kind == INTERRUPT and texts and texts == new[: len(texts)])
    for part in folder.glob("lines.jsonl.*.part"):  # whole lines, if any, where the process was killed or had no room
        if b"\n" in part.read_bytes():
            texts = [why.segments[0] for why in Explanations.load(part)]
            assert texts == new[: len(texts)]
            if kind == FULL:
                part.unlink()  # the error named it


def check_web(folder, kind, done):
    """On a full disk the newest results wait in memory, which the end of the process loses."""
    if kind == FULL:
        with contextlib.closing(History(folder / "history.sqlite3")) as history:
            written = {entry.id for entry in history.listed()}
        waited = sum(id not in written for id in done)
        assert waited <= LIMITS.unwritten
        done = done[: len(done) - waited]
    check_history(folder, kind, done)


def check_history(folder, kind, done):
    with contextlib.closing(sqlite3.connect(folder / "history.sqlite3")) as base:
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    history = History(folder / "history.sqlite3")
    ids = [entry.id for entry in history.listed()]
    assert {*ENTRIES, *done[-400:]} <= set(ids)
    assert len(ids) - len(ENTRIES) - len(done) in (0, 1) or len(ids) == 500
    assert all(list(history.explanations([id])) for id in ids[:20])
    assert list(history.explanations(["older1"])) == [made("an older film")]
    history.close()


def check_run(folder, kind, done):
    """A run that ended early has some of the rows, once; the same command does the others."""
    begun = sorted((folder / "runs").iterdir(), key=lambda run: int(run.name)) if (folder / "runs").exists() else []
    assert len(begun) - len(done) in (0, 1)
    with mock.patch.multiple(rows, BATCH_TOKENS=SMALL_FILES[0], SHARD_ROWS=SMALL_FILES[1]):
        for run in begun[-2:]:
            if (run / "plan.json").exists():
                found = xai_nlp.read_run(run)
                assert len(set(found.inputs)) == len(found.inputs) <= ROWS
            assert_undisturbed(_run(folder, run), folder)


def assert_undisturbed(found, folder):
    """The same as a run that nothing disturbed, row by row."""
    if not _undisturbed:
        with tempfile.TemporaryDirectory() as name:
            _undisturbed.extend(_run(folder, Path(name)))
    assert [why.segments[0] for why in found] == [f"a dull film {n}" for n in range(ROWS)]
    for why, same in zip(found, _undisturbed, strict=True):
        assert (why.tokens, why.target, why.params) == (same.tokens, same.target, same.params)
        assert why.scores == pytest.approx(same.scores, abs=1e-6)


_undisturbed = []


def _run(folder, directory):
    options = {"method": "input_x_gradient", "progress": False}
    return xai_nlp.run(folder / "rows.txt", folder / "model", directory=directory, **options)


CHECKS = {
    "save": check_save, "report": check_report, "explain": check_explain, "web": check_web,
    "history": check_history, "run": check_run,
}  # fmt: skip


def run(writers, operation, kind, fault):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepared(folder)
        before = contents(folder)
        code, done, said = writers.run(operation, folder, fault)
        ends = {KILL: (-9,), INTERRUPT: (130, 0, -2), FULL: (1,)}[kind]
        assert code in ends, f"exit code {code} after {len(done)} writes: {said}"
        CHECKS[operation](folder, kind, done)
        if kind != KILL:
            assert not list(folder.rglob("*.part"))
        if kind == FULL and operation != "web":
            assert len(said.strip().splitlines()) <= 2 and "Traceback" not in said, said
        after = contents(folder)
        assert before == {file: after.get(file) for file in before}
        assert all(file.suffix == ".part" for file in after.keys() - before.keys())


@family("writes", quick=18, long=200)
def trials(random):
    writers = Writers()
    try:
        while True:
            for operation in CHECKS:
                for kind in (KILL, INTERRUPT, FULL):
                    fault = fault_of(kind, random, operation)
                    yield Trial(
                        f"{kind} during {operation}",
                        lambda operation=operation, kind=kind, fault=fault: run(writers, operation, kind, fault),
                    )
    finally:
        writers.end()
