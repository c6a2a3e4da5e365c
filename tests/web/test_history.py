"""The history's file: what comes back, what is refused."""

import sqlite3
import stat

import pytest

from tests.viz.samples import HOSTILE, label, made
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import UnknownName, UnreadableFile
from xai_nlp.web.history import History


@pytest.fixture
def history(tmp_path):
    one = History(tmp_path / "deep" / "history.sqlite3")
    yield one
    one.close()


def add(history, name, id, text="a fine film"):
    return history.add(name, Explanations([made(text)]), id=id, request='{"model": "sentiment"}')


def test_what_is_added_comes_back_equal(history):
    why = Explanations([made(text) for text in HOSTILE.values()])
    history.add("all", why, id="a")
    assert history.explanations(["a"]) == why
    assert history.explanations(["a", "a"]) == Explanations([*why, *why])
    assert history.request("a") is None


def test_the_newest_comes_first_and_search_takes_letters_as_they_are(history):
    for id, name in (("a", "100 % sure"), ("b", "1000 words"), ("c", "under_score"), ("d", "underscore")):
        add(history, name, id)
    assert [entry.id for entry in history.listed()] == ["d", "c", "b", "a"]
    assert [entry.id for entry in history.listed("100 %")] == ["a"]
    assert [entry.id for entry in history.listed("under_")] == ["c"]
    assert [entry.id for entry in history.listed("UNDER")] == ["d", "c"]
    assert len(history.listed("", most=2)) == 2


def test_targets_and_options_are_listed_and_found(history):
    why = Explanations([made(), made(), made(target=label("NEGATIVE"))])
    entry = history.add("both", why, id="a", options="baseline mask · layers")
    assert (entry.target, entry.options) == ("POSITIVE, NEGATIVE", "baseline mask · layers")
    assert history.listed("baseline mask") == history.listed("NEGATIVE") == [entry]
    many = history.add("many", Explanations([made(target=label(f"L{n}")) for n in range(9)]), id="b")
    assert many.target == "L0, L1, L2, L3 and 5 more"


def test_entries_are_renamed_and_deleted(history):
    add(history, "one", "a")
    assert history.rename("a", "'; DROP TABLE entries; --").name == "'; DROP TABLE entries; --"
    assert history.request("a") == {"model": "sentiment"}
    history.delete("a")
    for missing in (history.entry, history.request, history.delete):
        with pytest.raises(UnknownName):
            missing("a")
    with pytest.raises(UnknownName):
        history.rename("a", "x")
    assert history.listed() == []


def test_it_is_there_for_the_next_one_and_only_for_its_owner(tmp_path):
    file = tmp_path / "history.sqlite3"
    first = History(file)
    add(first, "one", "a")
    second = History(file)  # while the first is still open
    assert [entry.name for entry in second.listed()] == ["one"]
    add(second, "two", "b")
    assert [entry.name for entry in first.listed()] == ["two", "one"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first.close()
    second.close()


def test_other_files_are_refused_with_a_hint(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("These are my notes, and no history at all. " * 50)
    with pytest.raises(UnreadableFile, match="--history"):
        History(text)
    newer = sqlite3.connect(tmp_path / "newer.sqlite3")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(UnreadableFile, match="format 99"):
        History(tmp_path / "newer.sqlite3")
    with pytest.raises(UnreadableFile, match="--history"):
        History(tmp_path)


def test_a_history_of_the_first_format_is_read(tmp_path):
    file = tmp_path / "history.sqlite3"
    first = History(file)
    add(first, "one", "a")
    first.close()
    base = sqlite3.connect(file)
    base.execute("ALTER TABLE entries RENAME COLUMN request TO ask")
    for column in ("target", "options"):
        base.execute(f"ALTER TABLE entries DROP COLUMN {column}")
    base.execute("PRAGMA user_version = 1")
    base.commit()
    base.close()
    again = History(file)
    assert again.request("a") == {"model": "sentiment"}
    assert (again.entry("a").target, again.entry("a").options) == ("", "")
    add(again, "two", "b")
    assert again.entry("b").target == "POSITIVE"
    again.close()
