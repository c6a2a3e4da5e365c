"""What the tests need from the machine, and what is left out where it is not there (and said so)."""

import os
import shutil
from pathlib import Path

import pytest

DATA = Path(os.environ.get("XAI_DATA", Path(__file__).parents[2] / "shared" / "data"))
NEEDS = {
    "eval": (DATA.is_dir(), f"the evaluation samples are not in {DATA}"),
    "browser": (shutil.which("chromium") is not None, "chromium is not installed"),
}
left_out: dict[str, int] = {}

if os.environ.get("PYTEST_XDIST_WORKER"):
    import torch

    torch.set_num_threads(1)  # the workers are the parallelism; threads on top of them only wait for each other


def pytest_collection_modifyitems(config, items):
    """Tests that need what is not here are left out, unless XAI_REQUIRE names them: then they fail."""
    required = os.environ.get("XAI_REQUIRE", "").split(",")
    missing = {name for name, (there, _) in NEEDS.items() if not there and name not in required}
    out = [item for item in items if any(item.get_closest_marker(name) for name in missing)]
    for item in out:
        for name in missing:
            left_out[name] = left_out.get(name, 0) + (item.get_closest_marker(name) is not None)
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter):
    for name, count in left_out.items():
        terminalreporter.write_line(f"left out: {count} tests marked {name}: {NEEDS[name][1]}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of evaluation samples."""
    return DATA


@pytest.fixture(scope="session")
def sentiment():
    """The embedded model's explainer, shared: tests hand it back as it was."""
    import xai_nlp

    return xai_nlp.load("sentiment")
