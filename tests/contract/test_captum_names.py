"""Each package with a name of Captum's has its names, called as there; `attr` has more: tests/attr/test_names.py."""

import pytest

from tests.captum_names import OURS, called_alike, package

CASES = [(name, one) for name in OURS if name != "attr" for one in package(name)[1].__all__]


def test_packages_are_found():
    assert {"attr", "metrics", "module", "robust"} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_every_public_name_is_there(name):
    own, reference = package(name)
    assert len(set(own.__all__)) == len(own.__all__)
    assert set(reference.__all__) <= set(own.__all__)
    assert all(getattr(own, one) is not None for one in own.__all__)


@pytest.mark.parametrize(("name", "one"), CASES)
def test_is_called_as_captums_is(name, one):
    own, reference = package(name)
    called_alike(getattr(own, one), getattr(reference, one))
