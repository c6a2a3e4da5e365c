"""A process that makes others, which write files until a fault ends them: `python -m tests.hostile.writing_process`.

It reads lines of stdin, "OPERATION FOLDER", forks, and says on stdout: "ready PID" once the operation has begun,
"done ID" after each thing that is written, "exit CODE" when the fork has ended. Imports and models are made once.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from itertools import count
from pathlib import Path

import httpx

import xai_nlp
from tests.core.test_two_files import numbered
from tests.viz.samples import made
from xai_nlp import Explanations
from xai_nlp.cli import app
from xai_nlp.errors import XaiError
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.runs import rows
from xai_nlp.web.history import History
from xai_nlp.web.serve import serve

MODEL_CHANGED, UNREADABLE, RAISED = 99, 98, 97  # exit codes
TITLES = ("one title", "another title")
SMALL_FILES = 32, 8  # tokens of a batch, rows of a file


def tell(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def save(folder, explainer):
    """An explanation and its arrays beside, over and over."""
    for number in count(1):
        explainer.explain("a dull film", method="input_x_gradient")
        numbered(number).save(folder / "why.json")
        tell("done", number)


def command(*arguments):
    """A command of the command line; its exit code, if it is not 0, ends the process."""
    try:
        app([str(argument) for argument in arguments])
    except SystemExit as end:
        if end.code:
            raise


def report(folder, _):
    for number in count():
        title = TITLES[number % 2]
        command("report", folder / "kept", "-o", folder / "report.html", "--title", title, "--date", "d", "--quiet")
        tell("done", title)


def explain(folder, _):
    rows = ("--file", folder / "rows.txt", "--method", "input_x_gradient", "--quiet")
    for number in count():
        command("explain", "classify", "--model", folder / "model", *rows, "--json", folder / "lines.jsonl")
        tell("done", number)


def web(folder, _):
    """A server, and a client of it that asks for one explanation after the other."""

    def ask(url):
        request = {"model": "sentiment", "text": "a dull film", "method": ["input_x_gradient"]}
        with httpx.Client(base_url=url, timeout=30) as client:
            while True:
                job = client.post("api/jobs", json=request).raise_for_status().json()
                while job["state"] not in ("done", "failed"):
                    time.sleep(0.005)
                    job = client.get(f"api/jobs/{job['id']}").json()
                if job["state"] == "failed":
                    listed = client.get("api/history").status_code  # what is there can be read
                    os._exit(1 if listed == 200 else UNREADABLE)
                tell("done", job["id"])

    def client(url):
        with contextlib.suppress(httpx.HTTPError):  # the server has ended
            ask(url)

    def start(url):
        threading.Thread(target=client, args=(url,), daemon=True).start()

    serve(["sentiment"], history=folder / "history.sqlite3", browser=False, say=start)


def history(folder, _):
    base = History(folder / "history.sqlite3")
    for number in count():
        base.add("an entry", Explanations([made("a fine film " * 200)] * 3), id=f"id{number}")
        tell("done", f"id{number}")


def run(folder, _):
    """A run of small files, over and over, each into a folder of its own."""
    rows.BATCH_TOKENS, rows.SHARD_ROWS = SMALL_FILES
    for number in count():
        arguments = ("--method", "input_x_gradient", "--model", folder / "model", "--quiet")
        command("run", folder / "rows.txt", "-o", folder / "runs" / str(number), *arguments)
        tell("done", number)


OPERATIONS = {one.__name__: one for one in (save, report, explain, web, history, run)}


def write(operation, folder, explainer):
    """The exit code of the operation, once it has ended."""
    before = fingerprint(explainer.model)
    code = 0
    faulthandler.register(signal.SIGUSR1, all_threads=True)  # asked of one that does not end
    try:
        tell("ready", os.getpid())
        OPERATIONS[operation](folder, explainer)
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:
        code = end.code
    except (OSError, XaiError) as error:
        print(f"error: {error}", file=sys.stderr)
        code = 1
    except Exception as error:
        if "sqlite3" not in type(error).__module__:
            traceback.print_exc()
            return RAISED
        code = 1
    return code if fingerprint(explainer.model) == before else MODEL_CHANGED


def main():
    explainer = xai_nlp.load("sentiment")
    explainer.explain("a dull film", method="input_x_gradient")
    tell("begun")
    for line in sys.stdin:
        operation, folder = line.split()
        child = os.fork()
        if not child:
            code = RAISED
            try:
                code = write(operation, Path(folder), explainer)
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        tell("exit", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
