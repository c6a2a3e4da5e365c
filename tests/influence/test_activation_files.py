"""Tensors in files: all of them come back in order, in parts of bounded size; what is not whole is not complete."""

import pytest
import torch
from safetensors import safe_open

from xai_nlp.errors import Unsupported
from xai_nlp.influence import activation_files
from xai_nlp.influence.activation_files import ActivationFiles


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(activation_files, "ENTRIES", 10)


def written(folder, sizes, finish=True):
    files = ActivationFiles(folder / "layer.0")
    tensors = [torch.randn(size, 2) for size in sizes]
    for tensor in tensors:
        files.add(tensor)
    if finish:
        files.finish()
    return torch.cat(tensors)


@pytest.mark.parametrize("sizes", [[1], [5], [9], [3, 3], [2, 2, 1, 4, 1], [1] * 23])
def test_they_come_back_in_order(tmp_path, small, sizes):
    expected = written(tmp_path, sizes)
    files = ActivationFiles(tmp_path / "layer.0")
    assert files.complete()
    parts = list(files)
    assert torch.equal(torch.cat(parts), expected)
    assert all(part.numel() <= max(10, 2 * max(sizes)) for part in parts)
    assert len(list(tmp_path.iterdir())) == len(parts)


def test_nothing_and_a_part_are_not_complete(tmp_path, small):
    assert not ActivationFiles(tmp_path / "layer.0").complete()
    written(tmp_path, [4, 4, 4], finish=False)
    assert list(tmp_path.iterdir()) and not ActivationFiles(tmp_path / "layer.0").complete()
    written(tmp_path, [4, 4, 4])
    files = ActivationFiles(tmp_path / "layer.0")
    assert files.complete()
    files.path(1).unlink()
    assert not files.complete()
    files.path(1).write_bytes(b"broken")
    assert not files.complete()


def test_what_was_written_is_removed(tmp_path, small):
    files = ActivationFiles(tmp_path / "deep" / "layer")
    for _ in range(3):
        files.add(torch.ones(5, 2))
    assert len(list((tmp_path / "deep").iterdir())) == 2
    files.discard()
    assert not list((tmp_path / "deep").iterdir())


def test_examples_of_another_shape_are_refused(tmp_path, small):
    files = ActivationFiles(tmp_path / "layer")
    files.add(torch.ones(1, 2))
    with pytest.raises(Unsupported, match="another length"):
        files.add(torch.ones(1, 3))


def test_a_file_is_safetensors(tmp_path):
    written(tmp_path, [3])
    with safe_open(tmp_path / "layer.0.0.safetensors", framework="pt") as file:
        assert list(file.keys()) == ["activations"]
