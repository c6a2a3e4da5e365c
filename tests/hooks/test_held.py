"""A change that several contexts hold: made once, undone once, whatever their order."""

from contextlib import ExitStack, contextmanager

import pytest

from xai_nlp.hooks import held


@pytest.fixture
def log():
    return []


def changing(log):
    @contextmanager
    def change():
        log.append("made")
        try:
            yield log
        finally:
            log.append("undone")

    return change


def test_the_first_to_open_changes_and_the_last_to_close_undoes(log):
    first, second = ExitStack(), ExitStack()
    assert first.enter_context(held.held("key", changing(log))) is log
    assert second.enter_context(held.held("key", changing(log))) is log
    first.close()
    assert log == ["made"]
    second.close()
    assert log == ["made", "undone"] and not held._holdings


def test_other_keys_are_other_changes(log):
    with held.held("one", changing(log)), held.held("two", changing(log)):
        assert log == ["made", "made"]
    assert log == ["made", "made", "undone", "undone"]


def test_nothing_is_held_when_the_body_or_the_change_fails(log):
    with pytest.raises(ZeroDivisionError), held.held("key", changing(log)):
        _ = 1 / 0
    with pytest.raises(ZeroDivisionError), held.held("key", lambda: 1 / 0):
        pass
    assert log == ["made", "undone"] and not held._holdings
