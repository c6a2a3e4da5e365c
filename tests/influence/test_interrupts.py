"""Ctrl-C: a computation ends soon, the model is as it was, and so are the files of its checkpoints."""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.influence import (
    ArnoldiInfluenceFunction,
    NaiveInfluenceFunction,
    SimilarityInfluence,
    TracInCP,
    TracInCPFast,
    TracInCPFastRandProj,
)

SUM, EACH = nn.MSELoss(reduction="sum"), nn.MSELoss(reduction="none")
X, Y = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(12, 1)
DATA = TensorDataset(X, Y)
QUERIES = torch.utils.data.DataLoader(TensorDataset(X[:6], Y[:6]), 1)


class Counted(nn.Module):
    """Counts its passes; `at_pass` is called in one of them."""

    def __init__(self, at_pass: Callable[[], None], number: int) -> None:
        super().__init__()
        self.words, self.head = nn.Linear(3, 2), nn.Linear(2, 1)
        self.words.bias.requires_grad_(False)
        self.at_pass, self.number, self.passes = at_pass, number, 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        if self.passes == self.number:
            self.at_pass()
        return self.head(torch.tanh(self.words(x)))


def tracin(net: nn.Module, files: list[str]) -> Any:
    return TracInCP(net, DATA, files, loss_fn=EACH, batch_size=1)


def fast(net: nn.Module, files: list[str]) -> Any:
    return TracInCPFast(net, "head", DATA, files, loss_fn=SUM, batch_size=1)


#: what is computed -> (call, passes that it takes at least)
CALLS: dict[str, tuple[Callable[[nn.Module, list[str]], Any], int]] = {
    "TracInCP": (lambda net, files: tracin(net, files).influence(QUERIES), 36),
    "TracInCP, self-influence": (lambda net, files: tracin(net, files).self_influence(), 24),
    "TracInCP, vectors": (lambda net, files: tracin(net, files).compute_intermediate_quantities(QUERIES), 12),
    "TracInCPFast": (lambda net, files: fast(net, files).influence(QUERIES, k=2), 36),
    "TracInCPFastRandProj": (
        lambda net, files: TracInCPFastRandProj(net, "head", DATA, files, loss_fn=SUM, batch_size=1), 24,
    ),
    "NaiveInfluenceFunction": (
        lambda net, files: NaiveInfluenceFunction(net, DATA, files[0], loss_fn=EACH, batch_size=1).self_influence(), 24,
    ),
    "ArnoldiInfluenceFunction": (
        lambda net, files: ArnoldiInfluenceFunction(
            net, DATA, files[0], loss_fn=EACH, batch_size=1, arnoldi_dim=4, arnoldi_tol=0.0, hessian_inverse_tol=-9.0
        ),
        36,
    ),
    "SimilarityInfluence": (
        lambda net, files: SimilarityInfluence(net, "words", X, str(Path(files[0]).parent), batch_size=1).influence(X),
        13,
    ),
}  # fmt: skip


def twice() -> None:
    """Two Ctrl-C: the second does not wait."""
    _thread.interrupt_main()
    signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))  # the handler of the first has run by now
    _thread.interrupt_main()


@pytest.mark.parametrize("interrupt", [_thread.interrupt_main, twice], ids=["once", "twice"])
@pytest.mark.parametrize("moment", ["first", "middle", "last"])
@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_it_and_leaves_model_and_files(name, moment, interrupt, tmp_path):
    call, passes = CALLS[name]
    number = {"first": 1, "middle": passes // 2, "last": passes}[moment]
    net = Counted(interrupt, number).train()
    files = [str(tmp_path / f"checkpoint-{n}.safetensors") for n in (1, 2)]
    for file in files:
        save_file({key: torch.randn_like(value) for key, value in net.state_dict().items()}, file)
    before, values = fingerprint(net), {k: v.clone() for k, v in net.state_dict().items()}
    written = {path: path.read_bytes() for path in tmp_path.iterdir()}
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        call(net, files)
    assert net.passes <= number + 3, "it went on after the interrupt"  # a batch may take several passes
    assert fingerprint(net) == before
    assert all(torch.equal(value, values[key]) for key, value in net.state_dict().items())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == written
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if name != "SimilarityInfluence":
        assert torch.equal(torch.get_rng_state(), state)


def test_the_passes_are_as_many_as_they_are_said_to_be(tmp_path):
    for name, (call, passes) in CALLS.items():
        net = Counted(lambda: None, 0)
        folder = tmp_path / name
        folder.mkdir()
        files = [str(folder / f"checkpoint-{n}.safetensors") for n in (1, 2)]
        for file in files:
            save_file(net.state_dict(), file)
        call(net, files)
        assert net.passes >= passes, name
