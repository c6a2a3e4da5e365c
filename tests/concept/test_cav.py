"""CAVs, saved and loaded without pickle, in the places that Captum names."""

import captum.concept as captum
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import xai_nlp.concept as ours
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import UnreadableFile

STATS = {
    "weights": torch.tensor([[1.0, -2.0], [3.0, 0.5]]),
    "classes": np.array([1, 0]),
    "accs": torch.tensor(0.75),
    "losses": [0.5, 0.25],
    "name": "façade",
    "nothing": None,
    "half": torch.tensor([1.0], dtype=torch.bfloat16),
    "count": np.int64(3),
}


def concepts(lib=ours):
    return [lib.Concept(1, "a", None), lib.Concept(0, "b", None)]


def test_a_place_is_captums_but_for_its_ending():
    for folder, model, layer in (("./cav/", "default_model_id", "mixed_7"), ("/x", "a/b", "encoder.layer.3")):
        got, expected = (lib.CAV.assemble_save_path(folder, model, concepts(lib), layer) for lib in (ours, captum))
        assert got.removesuffix(".safetensors") == expected.removesuffix(".pkl")


def test_round_trip(tmp_path):
    folder = str(tmp_path)
    assert ours.CAV.load(folder, "bert", concepts(), "layer") is None
    ours.CAV(concepts(), "layer", STATS, folder, "bert", key="digest").save()
    cav = ours.CAV.load(folder, "bert", concepts(), "layer")
    assert [(c.id, c.name, c.data_iter) for c in cav.concepts] == [(1, "a", None), (0, "b", None)]
    assert (cav.layer, cav.save_path, cav.model_id, cav.key) == ("layer", folder, "bert", "digest")
    assert set(cav.stats) == set(STATS)
    for name, value in STATS.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(cav.stats[name], value) and cav.stats[name].dtype == value.dtype
        elif isinstance(value, np.ndarray):
            assert type(cav.stats[name]) is np.ndarray and (cav.stats[name] == value).all()
        else:
            assert cav.stats[name] == value
    ours.CAV(concepts(), "empty", None, folder, "bert").save()
    assert ours.CAV.load(folder, "bert", concepts(), "empty").stats is None


def test_a_folder_is_made(tmp_path):
    ours.CAV.create_cav_dir_if_missing(str(tmp_path / "a"), "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_other_files_are_refused_and_left(tmp_path):
    path = tmp_path / "m" / "1-0-layer.safetensors"
    path.parent.mkdir()
    save_file({"weights": torch.zeros(2)}, path)
    for content in (path.read_bytes(), b"\x80\x04K\x01.", b""):
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="move it away"):
            ours.CAV.load(str(tmp_path), "m", concepts(), "layer")
        with pytest.raises(UnreadableFile, match="move it away"):
            ours.CAV(concepts(), "layer", STATS, str(tmp_path), "m").save()
        assert path.read_bytes() == content


def test_what_cannot_be_saved_is_refused_before_anything_is_written(tmp_path):
    for value in (object(), {1: 2}, [object()], lambda: 0):
        with pytest.raises(CaptumAssertion, match="'model'"):
            ours.CAV(concepts(), "layer", {"model": value}, str(tmp_path), "m").save()
    assert not list(tmp_path.iterdir())
