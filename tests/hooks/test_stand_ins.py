"""Functions in place of a module's forward: nested, in threads, and gone at the end."""

import threading
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from xai_nlp.hooks import stand_ins
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.hooks.stand_ins import standing_in


def adding(number):
    return lambda forward, x: forward(x) + number


def run(module):
    return module(torch.zeros(1)).item()


def test_an_inner_function_has_the_outer_one_as_its_forward():
    layer = nn.ReLU()
    with standing_in({layer: lambda forward, x: 10 * forward(x)}):
        with standing_in({layer: adding(1)}):
            assert run(layer) == 1
        with standing_in({layer: lambda forward, x: forward(x + 1)}):
            assert run(layer) == 10
        assert run(layer) == 0
    assert "forward" not in vars(layer)
    assert not stand_ins._patches


def test_a_forward_of_the_instance_itself_comes_back():
    layer = nn.ReLU()
    layer.forward = own = lambda x: x - 1
    with standing_in({layer: adding(3)}):
        assert run(layer) == 2
    assert layer.forward is own


def test_other_modules_of_the_class_are_left_alone():
    one, other = nn.ReLU(), nn.ReLU()
    with standing_in({one: adding(1)}):
        assert (run(one), run(other)) == (1, 0)


@pytest.mark.parametrize("fails_in", ["module", "context"])
def test_the_module_comes_back_after_an_error(fails_in):
    net = nn.Sequential(nn.ReLU())
    before = fingerprint(net)

    def fail(forward, x):
        raise ZeroDivisionError

    def work():
        with standing_in({net[0]: fail}):
            if fails_in == "module":
                net(torch.zeros(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert fingerprint(net) == before


@pytest.mark.parametrize("first_to_leave", ["main", "other"])
def test_threads_open_and_close_in_any_order(first_to_leave):
    layer, opened, leave, left = nn.ReLU(), threading.Event(), threading.Event(), threading.Event()
    of_other = []

    def other():
        with standing_in({layer: adding(2)}):
            opened.set()
            leave.wait(10)
            of_other.append(run(layer))
        left.set()

    thread = threading.Thread(target=other)
    with ExitStack() as stack:
        stack.enter_context(standing_in({layer: adding(1)}))
        thread.start()
        opened.wait(10)
        assert run(layer) == 1
        if first_to_leave == "main":
            stack.close()
            assert run(layer) == 0
        leave.set()
        left.wait(10)
        assert run(layer) == (first_to_leave == "other")
    thread.join()
    assert of_other == [2]
    assert "forward" not in vars(layer)
