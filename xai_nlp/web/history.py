"""The history of explanations in an SQLite file. An entry is written in one transaction, when it is finished."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.files import write_file
from xai_nlp.core.result import Explanation
from xai_nlp.errors import UnknownName, UnreadableFile, XaiError
from xai_nlp.web.limits import LIMITS

VERSION = 3
TABLE = """
CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL UNIQUE, name TEXT NOT NULL, created REAL NOT NULL,
    model TEXT NOT NULL, task TEXT NOT NULL, methods TEXT NOT NULL, prediction TEXT NOT NULL,
    target TEXT NOT NULL DEFAULT '', options TEXT NOT NULL DEFAULT '',
    request TEXT NOT NULL, explanations TEXT NOT NULL
)
"""
MAX_ENTRIES = 500  # of a list
PATIENCE = 0.5  # seconds to wait for another program that holds the file
SPARE = 2**20  # bytes
LOG = 64  # pages of the write-ahead log, which are brought into the file then: it needs its space twice


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry as it is listed."""

    id: str
    name: str
    created: float  # seconds since 1970
    model: str
    task: str
    methods: str  # joined by commas
    prediction: str
    target: str = ""  # "" in entries of an older version
    options: str = ""  # in a few words


LISTED = ", ".join(one.name for one in fields(Entry))
WRITTEN = f"{LISTED}, request, explanations"


class Unwritable(XaiError, OSError):
    """The history cannot be read or written now: another program holds its file, or the disk is full."""

    def __init__(self, error: sqlite3.Error) -> None:
        self.full = "full" in str(error) or "I/O" in str(error)
        super().__init__(
            "the history cannot be written, the disk is full: delete entries, or other files, and try again."
            if self.full
            else "the history is in use by another program; try again in a moment."
        )


class Connection:
    """A connection to an SQLite file for several threads, none of which waits longer than PATIENCE for another."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._lock = threading.Lock()
        self.base = sqlite3.connect(path, check_same_thread=False, timeout=PATIENCE)
        self.base.row_factory = sqlite3.Row
        self.base.text_factory = _text

    def run(self, statement: str, *values: Any) -> tuple[list[Any], int]:
        """The rows of a statement, and how many it changed. Raises Unwritable."""
        if not self._lock.acquire(timeout=2 * PATIENCE):
            raise Unwritable(sqlite3.OperationalError("locked"))
        try:
            with self.base:
                cursor = self.base.execute(statement, values)
                return cursor.fetchall(), cursor.rowcount
        except sqlite3.OperationalError as error:
            raise Unwritable(error) from None
        finally:
            self._lock.release()

    def close(self) -> None:
        with self._lock:
            self.base.close()


class History:
    """Entries in an SQLite file with a write-ahead log. Several threads may use it.

    unwritten: how many entries wait in memory while the file cannot be written; they are listed and read as others are.
    skipped: how many rows of the last list could not be read.
    """

    def __init__(self, file: str | os.PathLike[str], *, unwritten: int = LIMITS.unwritten) -> None:
        path = Path(file)
        in_memory = str(path) == ":memory:"
        self.skipped, self._room = 0, unwritten
        self._later = None if in_memory else History(":memory:")
        self._spare = None if in_memory else path.with_name(path.name + "-spare")
        try:
            if not in_memory:
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner alone
            self._writes = Connection(path)
            self._set_up(path, self._writes.base)
            self._reads = self._writes if in_memory else Connection(path)
        except (sqlite3.DatabaseError, OSError) as error:
            raise UnreadableFile(f"{path} cannot be used as a history: {error}. Name another with --history.") from None
        self._save_space()

    @staticmethod
    def _set_up(path: Path, base: sqlite3.Connection) -> None:
        (version,) = base.execute("PRAGMA user_version").fetchone()
        if not 0 <= version <= VERSION:
            raise UnreadableFile(f"{path} is a history of format {version}; this version reads up to {VERSION}.")
        base.execute("PRAGMA journal_mode = WAL")
        base.execute(f"PRAGMA wal_autocheckpoint = {LOG}")
        base.execute(f"PRAGMA journal_size_limit = {SPARE // 2}")
        with base:
            if version == 1:
                base.execute("ALTER TABLE entries RENAME COLUMN ask TO request")
            if version in (1, 2):
                for column in ("target", "options"):
                    base.execute(f"ALTER TABLE entries ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
            base.execute(TABLE)
            base.execute(f"PRAGMA user_version = {VERSION}")

    def add(
        self,
        name: str,
        why: Explanations,
        *,
        id: str,
        request: str = "null",
        model: str = "",
        options: str = "",
        keep: bool = False,
    ) -> Entry:
        """Write explanations under an id and a name.

        request: the request as JSON, or "null". options: its options in a few words.
        keep: if the file cannot be written now, keep the entry in memory, for `write_later`.
        Raises Unwritable; InvalidInput for explanations that cannot be saved.
        """
        # SQLite and UTF-8 hold no half of a character
        name, options = (text.encode("utf-8", "replace").decode() for text in (name, options))
        entry = Entry(
            id=id,
            name=name,
            created=time.time(),
            model=model or why[0].model,
            task=why[0].task,
            methods=", ".join(dict.fromkeys(item.method for item in why)),
            prediction=_listed(item.prediction for item in why),
            target=_listed(str(item.target) for item in why),
            options=options,
        )
        values = (*astuple(entry), request, "\n".join(item.to_json() for item in why))
        try:
            self._insert(values)
        except Unwritable:
            if not keep or self._later is None or len(self._later.listed()) >= self._room:
                raise
            self._later._insert(values)
        return entry

    def _insert(self, values: Sequence[Any]) -> None:
        self._writes.run(
            f"INSERT INTO entries ({WRITTEN}, number) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM entries))",
            *values,
        )

    def write_later(self) -> None:
        """Write the entries that wait in memory, the oldest first; they go on waiting if that fails."""
        waiting = self._later.listed() if self._later else []
        with suppress(Unwritable, UnknownName):  # or it was deleted meanwhile
            for entry in reversed(waiting):
                assert self._later is not None
                self._insert(tuple(self._later._row(f"SELECT {WRITTEN} FROM entries WHERE id = ?", entry.id)))
                self._later.delete(entry.id)
            if self._spare and not self._spare.exists():
                self._save_space()

    def listed(self, search: str = "", *, most: int = MAX_ENTRIES) -> list[Entry]:
        """The entries, the newest first; with `search`, those that hold it in what is listed. Raises Unwritable."""
        like = "%" + "".join(f"\\{c}" if c in "\\%_" else c for c in search) + "%"
        rows, _ = self._reads.run(
            f"SELECT {LISTED} FROM entries WHERE name || ' ' || model || ' ' || methods || ' ' || prediction "
            "|| ' ' || target || ' ' || options LIKE ? ESCAPE '\\' ORDER BY number DESC LIMIT ?",
            like,
            most,
        )
        read = [_entry(row) for row in rows]
        self.skipped = read.count(None)
        waiting = self._later.listed(search) if self._later else []
        return [*waiting, *(entry for entry in read if entry)][:most]

    def entry(self, id: str) -> Entry:
        """The entry of that id. Raises UnknownName, UnreadableFile."""
        entry = _entry(self._row(f"SELECT {LISTED} FROM entries WHERE id = ?", id))
        if entry is None:
            raise UnreadableFile("this entry of the history was changed by another program; it cannot be read.")
        return entry

    def request(self, id: str) -> dict[str, Any] | None:
        """The request of an entry; None for one that was opened from a file. Raises UnknownName, UnreadableFile."""
        try:
            request = json.loads(self._row("SELECT request FROM entries WHERE id = ?", id)[0])
        except (ValueError, TypeError, RecursionError):
            raise UnreadableFile("the request of this entry was changed by another program.") from None
        return request if isinstance(request, dict) else None

    def explanations(self, ids: Sequence[str]) -> Explanations:
        """The explanations of these entries, in order. Raises UnknownName, UnreadableFile."""
        return Explanations(Explanation.from_json(line) for line in self.lines(ids))

    def lines(self, ids: Sequence[str]) -> list[str]:
        """The same as JSON, as it was stored: one text for each explanation."""
        texts = [self._row("SELECT explanations FROM entries WHERE id = ?", id)[0] for id in ids]
        if not all(isinstance(text, str) for text in texts):
            raise UnreadableFile("this entry of the history was changed by another program; it cannot be read.")
        return [line for text in texts for line in text.split("\n")]

    def rename(self, id: str, name: str) -> Entry:
        """Give an entry another name. Raises UnknownName, Unwritable."""
        self._row("UPDATE entries SET name = ? WHERE id = ?", name, id)
        return self.entry(id)

    def delete(self, id: str) -> None:
        """Delete an entry, also where the disk is full. Raises UnknownName, Unwritable."""
        try:
            self._row("DELETE FROM entries WHERE id = ?", id)
        except Unwritable as error:
            if not error.full or self._spare is None:
                raise
            self._spare.unlink(missing_ok=True)
            try:
                self._row("DELETE FROM entries WHERE id = ?", id)
            except Unwritable:
                self._checkpoint()
                self._row("DELETE FROM entries WHERE id = ?", id)
            self._checkpoint()
            self._save_space()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.write_later()
        for one in {self._reads, self._writes, *((self._later,) if self._later else ())}:
            one.close()

    def _save_space(self) -> None:
        """Keep a little space on the disk, which deleting needs where the disk is full."""
        with suppress(OSError):
            if self._spare and not self._spare.exists():
                write_file(self._spare, os.urandom(SPARE))

    def _checkpoint(self) -> None:
        """Give back the space of the write-ahead log, if that can be done now."""
        with suppress(Unwritable):
            self._writes.run("PRAGMA wal_checkpoint(TRUNCATE)")

    def _row(self, statement: str, *values: str) -> Any:
        """The row that a statement about one entry gives, if any. The last value is the id. Raises UnknownName."""
        if self._later:
            with suppress(UnknownName):
                return self._later._row(statement, *values)
        connection = self._reads if statement.startswith("SELECT") else self._writes
        rows, changed = connection.run(statement, *values)
        if not rows and changed < 1:
            raise UnknownName("entry", values[-1][:40], (), "It may have been deleted.")
        return rows[0] if rows else None


def _text(content: bytes) -> str | bytes:
    """A text; what is no UTF-8 stays bytes, which no entry holds."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _entry(row: sqlite3.Row) -> Entry | None:
    """An entry of a row; None if another program left something else in it."""
    texts = [row[one.name] for one in fields(Entry) if one.name != "created"]
    created = row["created"]
    if not all(isinstance(text, str) for text in texts) or not isinstance(created, (int, float)):
        return None
    if not math.isfinite(created):
        return None
    return Entry(**dict(row))


def _listed(texts: Iterable[str]) -> str:
    """Different texts, joined and shortened."""
    different = [text for text in dict.fromkeys(texts) if text]
    return ", ".join(different[:4]) + (f" and {len(different) - 4} more" if len(different) > 4 else "")
