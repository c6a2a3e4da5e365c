"""Inputs that the tests of several tasks share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def image():
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def qa():
    """The embedded model that answers questions."""
    import xai_nlp

    return xai_nlp.load("qa")
