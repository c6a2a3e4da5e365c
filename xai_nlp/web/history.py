"""The history of explanations in an SQLite file. An entry is written in one transaction, when it is finished."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import UnknownName, UnreadableFile

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


class History:
    """Entries in an SQLite file with a write-ahead log. Several threads may use it."""

    def __init__(self, file: str | os.PathLike[str]) -> None:
        path = Path(file)
        self._lock = threading.Lock()
        try:
            if str(path) != ":memory:":
                path.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # for its owner alone
            self._base = sqlite3.connect(path, check_same_thread=False, timeout=10)
            self._base.row_factory = sqlite3.Row
            (version,) = self._base.execute("PRAGMA user_version").fetchone()
            if not 0 <= version <= VERSION:
                raise UnreadableFile(f"{path} is a history of format {version}; this version reads up to {VERSION}.")
            self._base.execute("PRAGMA journal_mode = WAL")
            with self._base:
                if version == 1:
                    self._base.execute("ALTER TABLE entries RENAME COLUMN ask TO request")
                if version in (1, 2):
                    for column in ("target", "options"):
                        self._base.execute(f"ALTER TABLE entries ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
                self._base.execute(TABLE)
                self._base.execute(f"PRAGMA user_version = {VERSION}")
        except (sqlite3.DatabaseError, OSError) as error:
            raise UnreadableFile(f"{path} cannot be used as a history: {error}. Name another with --history.") from None

    def add(
        self, name: str, why: Explanations, *, id: str, request: str = "null", model: str = "", options: str = ""
    ) -> Entry:
        """Write explanations under an id and a name.

        request: the request as JSON, or "null". options: its options in a few words.
        """
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
        explanations = "\n".join(item.to_json() for item in why)
        values = (*astuple(entry), request, explanations)
        with self._lock, self._base:
            self._base.execute(
                f"INSERT INTO entries ({LISTED}, request, explanations, number) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (SELECT COALESCE(MAX(number), 0) + 1 FROM entries))",
                values,
            )
        return entry

    def listed(self, search: str = "", *, most: int = MAX_ENTRIES) -> list[Entry]:
        """The entries, the newest first; with `search`, those that hold it in what is listed."""
        like = "%" + "".join(f"\\{c}" if c in "\\%_" else c for c in search) + "%"
        with self._lock:
            rows = self._base.execute(
                f"SELECT {LISTED} FROM entries WHERE name || ' ' || model || ' ' || methods || ' ' || prediction "
                "|| ' ' || target || ' ' || options LIKE ? ESCAPE '\\' ORDER BY number DESC LIMIT ?",
                (like, most),
            ).fetchall()
        return [Entry(**row) for row in rows]

    def entry(self, id: str) -> Entry:
        """The entry of that id. Raises UnknownName."""
        return Entry(**self._row(f"SELECT {LISTED} FROM entries WHERE id = ?", id))

    def request(self, id: str) -> dict[str, Any] | None:
        """The request of an entry; None for an entry that was opened from a file. Raises UnknownName."""
        return json.loads(self._row("SELECT request FROM entries WHERE id = ?", id)[0])

    def explanations(self, ids: Sequence[str]) -> Explanations:
        """The explanations of these entries, in order. Raises UnknownName."""
        texts = [self._row("SELECT explanations FROM entries WHERE id = ?", id)[0] for id in ids]
        return Explanations(Explanation.from_json(line) for text in texts for line in text.split("\n"))

    def rename(self, id: str, name: str) -> Entry:
        """Give an entry another name. Raises UnknownName."""
        self._row("UPDATE entries SET name = ? WHERE id = ?", name, id)
        return self.entry(id)

    def delete(self, id: str) -> None:
        """Delete an entry. Raises UnknownName."""
        self._row("DELETE FROM entries WHERE id = ?", id)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._base.close()

    def _row(self, statement: str, *values: str) -> Any:
        """The row that a statement about one entry gives, if any. The last value is the id. Raises UnknownName."""
        with self._lock, self._base:
            cursor = self._base.execute(statement, values)
            row = cursor.fetchone()
        if row is None and cursor.rowcount < 1:
            raise UnknownName("entry", values[-1][:40], (), "It may have been deleted.")
        return row


def _listed(texts: Iterable[str]) -> str:
    """Different texts, joined and shortened."""
    different = [text for text in dict.fromkeys(texts) if text]
    return ", ".join(different[:4]) + (f" and {len(different) - 4} more" if len(different) > 4 else "")
