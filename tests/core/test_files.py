"""Files are written whole or not at all."""

import os
import resource
import stat
import threading
from contextlib import contextmanager

import pytest

from xai_nlp.core import files
from xai_nlp.core.files import STALE, FileInTheMaking, parts_of, read_file, write_file
from xai_nlp.errors import UnreadableFile


@contextmanager
def files_of_at_most(size):
    """No file of this process may grow beyond so many bytes: what is longer does not fit, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))  # Python ignores the signal
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def test_it_replaces_the_content_and_leaves_nothing_beside(tmp_path):
    file = tmp_path / "a.json"
    write_file(file, b"one")
    write_file(str(file), b"two")
    assert file.read_bytes() == b"two"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    file.write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_file(file, b"new")
    assert str(file) in str(caught.value)
    assert file.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.json", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named_with_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        write_file(tmp_path / "no" / "a.json", b"")
    assert str(tmp_path / "no" / "a.json") in str(caught.value)
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path, b"")


def test_links_and_permissions_stay(tmp_path):
    file, link = tmp_path / "a.json", tmp_path / "link.json"
    file.write_bytes(b"old")
    file.chmod(0o640)
    link.symlink_to(file)
    write_file(link, b"new")
    assert link.is_symlink() and file.read_bytes() == b"new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    write_file(tmp_path / "fresh", b"")
    assert (tmp_path / "fresh").stat().st_mode == plain.stat().st_mode  # as the user's mask has it


def test_a_pipe_is_written_to(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_file(pipe, b"content")
    reader.join(10)
    assert read == [b"content"]


def test_a_full_disk_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.json"
    write_file(file, b"old" * 1000)
    with files_of_at_most(100), pytest.raises(OSError, match="too large") as caught:
        write_file(file, b"new" * 5000)
    assert caught.value.filename == str(file)
    assert file.read_bytes() == b"old" * 1000
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]


def test_a_file_in_the_making_grows_by_what_fits(tmp_path):
    new = FileInTheMaking(tmp_path / "a.jsonl")
    new.write(b"a line\n")
    assert new.part.read_bytes() == b"a line\n" and not (tmp_path / "a.jsonl").exists()
    with files_of_at_most(20), pytest.raises(OSError, match="too large"):
        new.write(b"a line that is too long\n")
    assert new.part.read_bytes() == b"a line\n"
    new.write(b"the end\n")
    new.keep()
    assert (tmp_path / "a.jsonl").read_bytes() == b"a line\nthe end\n"
    assert new.kept and [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]


def test_what_a_killed_process_left_is_removed_a_day_later(tmp_path):
    file, other = tmp_path / "a[1].json", tmp_path / "a1.json"
    for name in ("a[1].json.1.part", "a[1].json.2.part", "a1.json.3.part"):
        (tmp_path / name).write_bytes(b"part")
    old, young = sorted(parts_of(file))
    (kept,) = parts_of(other)
    for one in (old, kept):
        os.utime(one, (0, one.stat().st_mtime - STALE - 1))
    write_file(file, b"new")
    assert not old.exists() and young.exists() and kept.exists()


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "语" * 85])
def test_long_names(tmp_path, name):
    write_file(tmp_path / name, b"content")
    assert read_file(tmp_path / name) == b"content"


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    file, contents = tmp_path / "a", [bytes([i]) * 300_000 for i in range(2)]
    write_file(file, contents[0])
    done = threading.Event()

    def write():
        for i in range(60):
            write_file(file, contents[i % 2])
        done.set()

    threading.Thread(target=write).start()
    while not done.is_set():
        assert file.read_bytes() in contents


def test_what_is_no_file_is_not_read(tmp_path, monkeypatch):
    for path in (tmp_path, "/dev/zero", "/dev/null"):
        with pytest.raises(UnreadableFile, match=f"{path} is a (folder|device)"):
            read_file(path)
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing")
    monkeypatch.setattr(files, "LARGEST", 10)
    write_file(tmp_path / "ten", b"x" * 10)
    assert len(read_file(tmp_path / "ten")) == 10
    write_file(tmp_path / "more", b"x" * 11)
    with pytest.raises(UnreadableFile, match="more than 10 bytes"):
        read_file(tmp_path / "more")
