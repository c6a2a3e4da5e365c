"""Files of tensors and notes."""

import pytest
import torch
from safetensors.torch import save

from xai_nlp.concept.tensor_files import FORMAT, load_tensors, save_tensors
from xai_nlp.errors import UnreadableFile


def test_round_trip_and_replacement(tmp_path):
    path = tmp_path / "deep" / "file.safetensors"
    for k in range(2):
        tensors = {"a": torch.rand(3, 2).T, "b": torch.tensor(k), "empty": torch.zeros(0, 4)}
        save_tensors(path, tensors, {"k": k, "text": "ü", "list": [1, None]})
        got, notes = load_tensors(path)
        assert notes == {"k": k, "text": "ü", "list": [1, None]}
        assert set(got) == set(tensors) and all(torch.equal(got[name], tensors[name]) for name in tensors)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        save({"a": torch.zeros(1)}),
        save({"a": torch.zeros(1)}, {"format": "xai_nlp concept 2", "notes": "{}"}),
        save({"a": torch.zeros(1)}, {"format": FORMAT, "notes": "no JSON"}),
        save({"a": torch.zeros(1)}, {"format": FORMAT}),
        save({"a": torch.zeros(9)}, {"format": FORMAT, "notes": "{}"})[:-3],
    ],
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="another folder"):
        load_tensors(path)
    with pytest.raises(UnreadableFile, match="another folder"):
        save_tensors(path, {}, {})
    assert path.read_bytes() == content
