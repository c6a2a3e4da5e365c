"""Files are written whole or not at all."""

import os
import stat
import threading

import pytest

from xai_nlp.core.files import write_file


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
