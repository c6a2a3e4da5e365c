"""Checkpoints of every kind; learning rates; nothing is unpickled."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.models.tiny import tiny
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.errors import InvalidInput
from xai_nlp.influence.checkpoints import UnreadableCheckpoint, find_checkpoints, load_checkpoint


def net(value: float = 0.0) -> nn.Module:
    made = nn.Linear(2, 1)
    with torch.no_grad():
        for p in made.parameters():
            p.fill_(value)
    return made


def value_after(checkpoint: object) -> tuple[float, float]:
    """The learning rate, and the weight that is loaded."""
    made = net()
    rate = load_checkpoint(made, checkpoint)
    assert len(set(made.weight.flatten().tolist() + made.bias.tolist())) == 1
    return rate, made.bias.item()


def test_state_dicts_callables_and_files(tmp_path):
    state = net(3.0).state_dict()
    torch.save(state, tmp_path / "plain.pt")
    torch.save({"model_state_dict": state, "learning_rate": 0.2, "epoch": 3}, tmp_path / "nested.pt")
    torch.save({**state, "learning_rate": 0.3}, tmp_path / "beside.pt")
    torch.save({f"module.{k}": v for k, v in state.items()}, tmp_path / "parallel.pt")
    save_file(dict(state), tmp_path / "weights.safetensors")
    assert value_after(state) == (1.0, 3.0)
    assert value_after({"state_dict": state, "learning_rate": 0.1}) == (0.1, 3.0)
    assert value_after(tmp_path / "plain.pt") == (1.0, 3.0)
    assert value_after(str(tmp_path / "nested.pt")) == (0.2, 3.0)
    assert value_after(tmp_path / "beside.pt") == (0.3, 3.0)
    assert value_after(tmp_path / "parallel.pt") == (1.0, 3.0)
    assert value_after(tmp_path / "weights.safetensors") == (1.0, 3.0)

    def load(model: nn.Module) -> float:
        model.load_state_dict(state)
        return 0.7

    assert value_after(load) == (0.7, 3.0)
    assert load_checkpoint(net(), lambda model: None) == 1.0


def test_parallel_models():
    made = nn.DataParallel(net())
    load_checkpoint(made, net(2.0).state_dict())
    assert made.module.bias.item() == 2.0


def trainers_folder(root: Path, step: int, rates: list[float], model: nn.Module) -> Path:
    folder = root / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors")
    log = [{"step": i, "learning_rate": rate, "loss": 1.0} for i, rate in enumerate(rates)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": [*log, {"eval_loss": 2.0}]}))
    (folder / "optimizer.pt").write_bytes(b"not read")
    return folder


def test_folders_of_a_trainer(tmp_path):
    folders = [
        trainers_folder(tmp_path, step, rates, net(step))
        for step, rates in ((100, [2e-5, 1e-5, 0.0]), (20, [5e-5]), (3, []))
    ]
    (tmp_path / "runs").mkdir()
    (tmp_path / "README.md").write_text("x")
    found = find_checkpoints(tmp_path)
    assert [Path(one).name for one in found] == ["checkpoint-3", "checkpoint-20", "checkpoint-100"]
    assert [value_after(one) for one in found] == [(1.0, 3.0), (5e-5, 20.0), (1e-5, 100.0)]
    assert find_checkpoints(str(folders[1])) == [str(folders[1])]
    (folders[1] / "trainer_state.json").write_text("[")
    with pytest.raises(UnreadableCheckpoint, match="no state of a Trainer"):
        value_after(folders[1])


def test_weights_in_several_files_and_shared_weights(tmp_path):
    state = net(4.0).state_dict()
    for name, value in state.items():
        save_file({name: value}, tmp_path / f"part-{name}.safetensors")
    index = {"weight_map": {name: f"part-{name}.safetensors" for name in state}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert value_after(tmp_path) == (1.0, 4.0)
    model, _ = tiny("bert", fresh=True, task="fill-mask")
    model.save_pretrained(tmp_path / "saved")
    other, _ = tiny("bert", fresh=True, task="fill-mask")
    with torch.no_grad():
        for p in other.parameters():
            p.add_(1)
    load_checkpoint(other, tmp_path / "saved")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_order_and_kinds(tmp_path):
    for number in (10, 9, 1):
        (tmp_path / f"step-{number}.pt").touch()
    names = ["step-1.pt", "step-9.pt", "step-10.pt"]
    assert [Path(p).name for p in find_checkpoints(str(tmp_path))] == names
    assert [Path(p).name for p in find_checkpoints([str(tmp_path / n) for n in reversed(names)])] == names
    assert len(find_checkpoints(iter([{}, {}]))) == 2
    assert len(find_checkpoints({"weight": 1})) == 1
    assert find_checkpoints(print) == [print]
    for nothing in ([], 3, str(tmp_path / "nowhere")):
        with pytest.raises(InvalidInput, match="none found"):
            find_checkpoints(nothing)


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil-was-here"),))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": Evil()}, tmp_path / "evil.pt")
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps(Evil()))
    for name in ("evil.pt", "evil.pkl", "evil.safetensors"):
        with pytest.raises(UnreadableCheckpoint):
            value_after(tmp_path / name)
    assert not (tmp_path / "evil-was-here").exists()


def test_wrong_weights_and_files(tmp_path):
    with pytest.raises(RuntimeError, match="missing"):
        load_checkpoint(net(), {"weight": torch.zeros(1, 2)})
    with pytest.raises(RuntimeError, match="unknown"):
        load_checkpoint(net(), {**net().state_dict(), "other": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_checkpoint(net(), {**net().state_dict(), "weight": torch.zeros(1, 3)})
    with pytest.raises(UnreadableCheckpoint, match="there is no checkpoint"):
        load_checkpoint(net(), tmp_path / "nowhere.pt")
    with pytest.raises(UnreadableCheckpoint, match="holds none of"):
        load_checkpoint(net(), tmp_path)
    torch.save(torch.zeros(2), tmp_path / "tensor.pt")
    with pytest.raises(UnreadableCheckpoint, match="not a state dict"):
        load_checkpoint(net(), tmp_path / "tensor.pt")
    with pytest.raises(CaptumAssertion):
        load_checkpoint(net(), None)
