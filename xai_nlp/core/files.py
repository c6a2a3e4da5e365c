"""Files are written whole or not at all, and read up to a bound."""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from xai_nlp.errors import UnreadableFile

PART = ".part"  # how the name of a file in the making ends
STALE = 24 * 3600.0  # seconds: after so long the next writer of a file removes what a killed one left
LARGEST = 2**29  # bytes of a file that is read


class FileInTheMaking:
    """A file that is written beside `path`, under a name that ends in `.part`, and takes its place in one step.

    path: a link is followed, and an old file's permissions stay; a device or a pipe is written to directly.
    Its methods raise OSError, which names `path`, as `open` does.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self._file = Path(path), Path(os.path.realpath(path))
        self._direct = self.path.exists() and not self.path.is_file()
        name = f"{self._file.name[:50]}.{secrets.token_hex(4)}{PART}"  # a name has 255 bytes at most
        self.part = self.path if self._direct else self._file.with_name(name)
        self._opened: IO[bytes] | None = None
        self._length = 0

    def write(self, content: bytes) -> None:
        """Write this behind the rest; if that fails, the rest stays as it was, without a part of this."""
        with self._named():
            if self._opened is None:
                self._opened = self.part.open("wb" if self._direct else "xb", buffering=0)
            left = memoryview(content)
            try:
                while left:
                    left = left[self._opened.write(left) :]
            except BaseException:
                if not self._direct:
                    self._opened.truncate(self._length)
                    self._opened.seek(self._length)
                raise
        self._length += len(content)

    def sync(self) -> None:
        """Wait until all that was written is on the disk."""
        if self._opened is not None and not self._opened.closed and not self._direct:
            with self._named():
                os.fsync(self._opened.fileno())

    def keep(self) -> None:
        """Put the file in its place, if it is not there yet."""
        self.sync()
        self.close()
        if self._direct or self.kept:
            return
        with self._named():
            if self._file.exists():
                shutil.copymode(self._file, self.part)
            os.replace(self.part, self._file)
        for part in parts_of(self._file):
            with suppress(OSError):
                if part.stat().st_mtime < time.time() - STALE:
                    part.unlink()

    @property
    def kept(self) -> bool:
        """Is what was written in its place?"""
        return self._length > 0 and not self.part.exists()

    def drop(self) -> None:
        """Remove what was written and is not in its place."""
        self.close()
        if not self._direct:
            self.part.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave what was written beside."""
        if self._opened is not None:
            self._opened.close()

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = str(self.path), None  # not the temporary name
            raise


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: an old file stays until the new one is complete and on the disk.

    path: a link is followed, and an old file's permissions stay; a device or a pipe is written to directly.
    Raises OSError as `open` does; then no part of the new file is left behind.
    """
    new = FileInTheMaking(path)
    try:
        new.write(content)
        new.keep()
    except BaseException:
        new.drop()
        raise


def parts_of(file: Path) -> list[Path]:
    """What is being written, or was left by a process that was killed, for this file."""
    return [Path(name) for name in glob.glob(f"{glob.escape(str(file.parent / file.name[:50]))}.*{PART}")]


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file or a pipe.

    Raises FileNotFoundError as `open` does; UnreadableFile for a folder, a device, and more than LARGEST bytes.
    """
    with suppress(OSError):  # `open` says what is wrong
        kind = os.stat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISFIFO(kind)):
            raise UnreadableFile(f"{path} is {'a folder' if stat.S_ISDIR(kind) else 'a device'}; name a file.")
    with open(path, "rb") as opened:
        content = opened.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise UnreadableFile(f"{path} has more than {LARGEST:,} bytes; split it into files of fewer explanations.")
    return content
