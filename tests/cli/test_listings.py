"""`xai-nlp methods` and `xai-nlp models`."""

import pytest

from tests.cli.command import run
from xai_nlp.core.registry import method_options
from xai_nlp.methods import METHODS


def test_lists():
    methods, models = run("methods").stdout, run("models").stdout
    assert all(name in methods for name in METHODS)
    assert "sentiment" in models
    assert "modernbert" in models


@pytest.mark.parametrize("name", METHODS)
def test_a_method_shows_its_cost_options_and_capabilities(name):
    done = run("methods", name)
    assert done.exit_code == 0, done.stderr
    words = " ".join(done.stdout.split())
    assert words.startswith(f"{name}: {METHODS[name].__doc__.split()[0]}")
    assert "Cost: " in words
    assert f"needs a baseline {'yes' if METHODS[name].needs_baseline else 'no'}" in words
    for option in method_options(name):
        assert f"{option.name} " in words.partition("Options, ")[2]
        assert str(option.default) in words
    assert ("Options, " in words) == bool(method_options(name))


def test_a_method_that_does_not_exist_gets_its_near_miss():
    done = run("methods", "shaply")
    assert done.exit_code == 1
    assert "Did you mean 'shapley'" in done.stderr
