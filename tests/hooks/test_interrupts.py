"""Ctrl-C at any line leaves the model as it was; at any time: tests/hostile/signals.py."""

import os
import signal
import sys
import threading

import pytest

import xai_nlp
from tests.hostile.signals import CALLS
from tests.models.tiny import tiny
from xai_nlp.hooks.interrupts import check_interrupt, interrupts_held_back, interrupts_noted
from xai_nlp.hooks.model_state import fingerprint

HOUSE = os.path.dirname(xai_nlp.__file__)


def lines_of(call, explainer):
    """Every line of this package that a call runs: (file, number)."""
    lines = {}

    def trace(frame, event, arg):
        if not frame.f_code.co_filename.startswith(HOUSE):
            return None
        if event == "line":
            lines.setdefault((frame.f_code.co_filename, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        call(explainer)
    finally:
        sys.settrace(None)
    return list(lines)


def interrupted_at(place, call, explainer):
    """Whether a SIGINT that comes at a line ends the call."""
    sent = False

    def trace(frame, event, arg):
        nonlocal sent
        if not frame.f_code.co_filename.startswith(HOUSE):
            return None
        if event == "line" and not sent and (frame.f_code.co_filename, frame.f_lineno) == place:
            sent = True
            signal.raise_signal(signal.SIGINT)
        return trace

    sys.settrace(trace)
    try:
        call(explainer)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
def test_an_interrupt_at_any_line_leaves_the_model_as_it_was(call):
    model, tokenizer = tiny("bert", fresh=True)
    model.train()
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number % 3 > 0)
    explainer = xai_nlp.load(model, tokenizer)
    call(explainer)
    before, handler = fingerprint(model), signal.getsignal(signal.SIGINT)
    places = lines_of(call, explainer)
    assert len(places) > 200
    ended = 0
    for place in places:
        ended += interrupted_at(place, call, explainer)
        assert fingerprint(model) == before, place
        assert signal.getsignal(signal.SIGINT) is handler
    assert ended > 0.9 * len(places), "an interrupt ends the call"


def interrupted(times, checks, reached):
    """A pass during which SIGINT comes so many times, and what it reaches."""
    with interrupts_held_back():
        for _ in range(times):
            signal.raise_signal(signal.SIGINT)
        reached.append("the pass goes on")
        if checks:
            check_interrupt()
            reached.append("never")


@pytest.mark.parametrize("checks", [True, False])
def test_an_interrupt_waits_for_the_end_of_a_pass(checks):
    reached = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(1, checks, reached)
    assert reached == ["the pass goes on"]
    check_interrupt()


def test_a_second_interrupt_does_not_wait():
    reached = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(2, True, reached)
    assert not reached
    check_interrupt()


def test_handlers_of_ones_own_and_other_threads_are_left_alone():
    calls = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with interrupts_held_back():
            signal.raise_signal(signal.SIGINT)
        assert calls == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, previous)

    def in_thread():
        with interrupts_held_back():
            calls.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    assert calls[-1] is previous


def test_an_interrupt_is_noted_and_a_second_one_raises():
    with interrupts_noted() as noted:
        with interrupts_held_back():
            assert not noted()
            signal.raise_signal(signal.SIGINT)
            check_interrupt()
        assert noted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_nothing_is_noted_where_signals_are_somebody_elses():
    calls = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        with interrupts_noted() as noted:
            signal.raise_signal(signal.SIGINT)
            assert calls == [signal.SIGINT] and not noted()
    finally:
        signal.signal(signal.SIGINT, previous)
