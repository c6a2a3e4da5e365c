"""`xai-nlp serve`: its options reach the server; what is missing is said with how to install it."""

import subprocess
import sys

import pytest

from tests.cli.command import run
from xai_nlp.cli.serve import NEEDED


@pytest.fixture
def served(monkeypatch):
    """The calls of the server, which does not run."""
    from xai_nlp.web import serve

    calls = []
    monkeypatch.setattr(serve, "serve", lambda models, **options: calls.append((models, options)))
    return calls


def test_options_reach_the_server(served, tmp_path):
    data = tmp_path / "a.csv"
    done = run(
        "serve", "--model", "one", "--model", "two", "--data", str(data), "--host", "0.0.0.0", "--port", "8123",
        "--no-browser", "--history", str(tmp_path / "h.sqlite3"), "--root", str(tmp_path),
    )  # fmt: skip
    assert done.exit_code == 0
    ((models, options),) = served
    assert models == ["one", "two"]
    assert options == {
        "history": tmp_path / "h.sqlite3", "data": data, "root": tmp_path, "host": "0.0.0.0",
        "port": 8123, "browser": False,
    }  # fmt: skip


def test_left_alone_it_listens_on_this_machine_and_opens_the_browser(served):
    assert run("serve").exit_code == 0
    ((models, options),) = served
    assert models == [] and (options["host"], options["port"], options["browser"], options["data"]) == (
        None,
        0,
        True,
        None,
    )
    assert options["root"] is None
    assert options["history"].name == "history.sqlite3"


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_cannot_be(served, port):
    assert run("serve", "--port", port).exit_code == 2
    assert not served


@pytest.mark.parametrize("name", [name for name in NEEDED if name != "pydantic"])  # Typer may need it too
def test_a_missing_library_is_named_with_how_to_install_it(name):
    code = f"""
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] == {name!r}:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Missing())
from xai_nlp.cli import app
app(["serve"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"error: the web page needs {name}: pip install '.[serve]' in the repository.\n"
