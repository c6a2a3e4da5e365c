"""What the tests need from the machine, and what is left out where it is not there (and said so)."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

DATA = Path(os.environ.get("XAI_DATA", Path(__file__).parents[2] / "shared" / "data"))
NEEDS = {
    "eval": (DATA.is_dir(), f"the evaluation samples are not in {DATA}"),
    "browser": (shutil.which("chromium") is not None, "chromium is not installed"),
}
settings.register_profile("shared machine", deadline=None)  # a test that waits for its turn is not a slow one
settings.load_profile("shared machine")
if os.environ.get("PYTEST_XDIST_WORKER"):
    import torch

    # The workers are the parallelism; threads on top of them, here or in what they start, only wait for each other.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


def missing() -> dict[str, str]:
    """The markers whose tests are left out here, each with its reason; XAI_REQUIRE names those that must run."""
    required = os.environ.get("XAI_REQUIRE", "").split(",")
    return {name: why for name, (there, why) in NEEDS.items() if not there and name not in required}


def pytest_collection_modifyitems(config, items):
    out = [item for item in items if any(item.get_closest_marker(name) for name in missing())]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter):
    for name, why in missing().items():
        terminalreporter.write_line(f"left out: the tests marked {name}: {why}")


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of evaluation samples."""
    return DATA


@pytest.fixture(scope="session")
def sentiment():
    """The embedded model's explainer, shared: tests hand it back as it was."""
    import xai_nlp

    return xai_nlp.load("sentiment")
