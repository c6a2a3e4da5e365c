"""The history's file: what comes back, what is refused."""

import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from tests.viz.samples import HOSTILE, label, made
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput, UnknownName, UnreadableFile
from xai_nlp.web.history import PATIENCE, History, Unwritable


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


# Other programs, a full disk, rows that were changed -----------------------------------------------------------------


@contextmanager
def locked(file, statement="BEGIN EXCLUSIVE"):
    """The file as another program holds it."""
    base = sqlite3.connect(file, isolation_level=None)
    base.execute(statement)
    try:
        yield
    finally:
        base.rollback()
        base.close()


def test_while_another_program_writes_it_is_read_and_writing_is_refused_soon(tmp_path):
    history = History(tmp_path / "history.sqlite3")
    add(history, "one", "a")
    with locked(tmp_path / "history.sqlite3"):
        begun = time.monotonic()
        for change in (lambda: history.rename("a", "x"), lambda: history.delete("a"), lambda: add(history, "two", "b")):
            with pytest.raises(Unwritable, match="try again") as raised:
                change()
            assert not raised.value.full
        assert time.monotonic() - begun < 3 * 2 * PATIENCE + 1
        assert [entry.name for entry in history.listed()] == ["one"]
        assert len(history.explanations(["a"])) == 1
    assert history.rename("a", "x").name == "x"
    history.close()


def test_what_is_kept_is_read_at_once_and_written_later(tmp_path):
    history = History(tmp_path / "history.sqlite3", unwritten=3)
    add(history, "one", "a")
    why = Explanations([made("a dull film")])
    with locked(tmp_path / "history.sqlite3"):
        for id in "bcd":
            history.add(f"kept {id}", why, id=id, request='{"model": "x"}', keep=True)
        with pytest.raises(Unwritable):  # there is room for three
            history.add("kept", why, id="e", keep=True)
        assert [entry.id for entry in history.listed()] == ["d", "c", "b", "a"]
        assert [entry.id for entry in history.listed("kept")] == ["d", "c", "b"]
        assert history.explanations(["b"]) == why
        assert history.request("b") == {"model": "x"}
        assert history.rename("c", "renamed").name == "renamed"
        history.delete("d")
        history.write_later()  # in vain
        assert [entry.id for entry in history.listed()] == ["c", "b", "a"]
    history.write_later()
    other = History(tmp_path / "history.sqlite3")
    assert [(entry.id, entry.name) for entry in other.listed()] == [("c", "renamed"), ("b", "kept b"), ("a", "one")]
    assert other.explanations(["b"]) == why
    other.close()
    with locked(tmp_path / "history.sqlite3", "BEGIN IMMEDIATE"):
        history.add("last", why, id="f", keep=True)
    history.close()  # writes what waits
    again = History(tmp_path / "history.sqlite3")
    assert again.listed()[0].id == "f"
    again.close()


@pytest.mark.parametrize(
    "change",
    ["name = x'00ff'", "created = 'yesterday'", "created = 9e999", "model = 7.5", "target = x'80'", "options = 1"],
)
def test_rows_that_cannot_be_read_are_skipped_and_counted(history, change):
    for id in "abc":
        add(history, f"film {id}", id)
    base = history._writes.base
    with base:
        base.execute(f"UPDATE entries SET {change} WHERE id = 'b'")
    assert [entry.id for entry in history.listed()] in (["c", "a"], ["c", "b", "a"])  # numbers become text in TEXT
    assert history.skipped == 3 - len(history.listed())
    if history.skipped:
        with pytest.raises(UnreadableFile):
            history.entry("b")
    history.delete("b")
    assert (len(history.listed()), history.skipped) == (2, 0)


def test_explanations_that_were_changed_are_refused(history):
    add(history, "one", "a")
    for change in ("explanations = '{}'", "explanations = x'ff'", "request = '['", "request = x'ff'"):
        with history._writes.base as base:
            base.execute(f"UPDATE entries SET {change}")
        with pytest.raises(UnreadableFile):
            (history.request if "request" in change else lambda id: history.explanations([id]))("a")


def test_text_that_is_no_utf8_is_one_unreadable_row(history):
    add(history, "one", "a")
    add(history, "two", "b")
    with history._writes.base as base:
        base.execute("UPDATE entries SET name = CAST(x'ff41' AS TEXT) WHERE id = 'a'")
    assert history.listed()[0].id == "b"
    assert len(history.listed()) + history.skipped == 2


FULL = """
import sys
from pathlib import Path
from tests.viz.samples import made
from xai_nlp.core.explanations import Explanations
from xai_nlp.web.history import History, Unwritable
history, n = History(Path(sys.argv[1]) / "history.sqlite3"), 0
why = Explanations([made("good " * 500)])
try:
    while n < 10_000:
        history.add("one", why, id=f"{n}")
        n += 1
except Unwritable as error:
    assert error.full, error
assert 10 < n < 10_000
history.add("kept", why, id="kept", keep=True)
assert history.explanations(["kept"]) == why
for k in range(n - 2):
    history.delete(f"{k}")
history.write_later()
assert not history._later.listed()
history.close()
again = History(Path(sys.argv[1]) / "history.sqlite3")
assert [one.id for one in again.listed()] == ["kept", f"{n - 1}", f"{n - 2}"], again.listed()
assert again.explanations(["kept"]) == why
print("held")
"""


def test_on_a_full_disk_deleting_makes_room(tmp_path):
    mount = f'mount -t tmpfs -o size=3m tmpfs {tmp_path} && exec {sys.executable} -c "$0" {tmp_path}'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount, FULL], capture_output=True, text=True, check=False)
    assert done.stdout == "held\n", done.stderr


def test_half_a_character_is_replaced_in_a_name_and_refused_in_an_explanation(history):
    why = Explanations([made(task="😀", model="naïve")])
    entry = history.add("\ud800", why, id="a")
    assert (entry.name, entry.task, entry.model) == ("?", "😀", "naïve")
    assert history.listed() == [entry]
    assert history.explanations(["a"]) == why
    with pytest.raises(InvalidInput, match="cannot be saved"):
        history.add("b", Explanations([made(task="\ud800")]), id="b")
    assert history.listed() == [entry]
