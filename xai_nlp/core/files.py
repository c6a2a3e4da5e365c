"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path


def write_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file whole or not at all: an old file stays until the new one is complete and on the disk.

    path: a link is followed, and an old file's permissions stay; a device or a pipe is written to directly.
    Raises OSError as `open` does; then no part of the new file is left behind.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    file = Path(os.path.realpath(path))
    part = file.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with open(part, "xb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        if file.exists():
            shutil.copymode(file, part)
        os.replace(part, file)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None  # not the temporary name
        raise
