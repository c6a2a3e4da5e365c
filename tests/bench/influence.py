"""Influence: ours against Captum 0.9 in one run, and how well wrong labels are found among 10 % flipped ones.

Networks are small enough for Captum's gradients, which are matrices of each example: an encoder of 4 layers 256 wide
with 32 tokens, and a convolutional net. `influence` has the form of a package of the bench of Captum's packages. Where
Arnoldi ends early, Captum leaves a vector of the basis out: values differ there.
"""

from __future__ import annotations

import argparse
import copy
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import captum.influence as captum
import torch
from captum.influence._core.arnoldi_influence_function import ArnoldiInfluenceFunction
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset
from transformers import BertConfig, BertForSequenceClassification

import xai_nlp
import xai_nlp.influence as ours
from tests.bench.measure import largest_difference, paired
from xai_nlp.core.training_influence import METHODS
from xai_nlp.data.table import read_table
from xai_nlp.influence.nearest_neighbors import DotProductNeighbors

Work = Callable[[], Any]
Bind = Callable[[Any, str], Work]  # a package, and whose it is ("ours" or "captum"): what is timed


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        config = BertConfig(
            hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024, vocab_size=8000
        )
        self.model = BertForSequenceClassification(config).eval()

    def forward(self, ids: Tensor) -> Tensor:
        return self.model(input_ids=ids).logits


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 64, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Rows(Dataset[Tensor]):
    """Inputs without labels, as similarity takes them."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __getitem__(self, i: int) -> Tensor:
        return self.rows[i]

    def __len__(self) -> int:
        return len(self.rows)


def influence(*_: Any) -> dict[str, Bind]:
    """Scores of 4 inputs from 32 texts, or of 16 from 128 images, at two checkpoints; Hessians of the last layer."""
    torch.manual_seed(0)
    text = Encoder(), torch.randint(1, 8000, (32, 32)), torch.randint(0, 2, (32,)), 4
    image = convolutional(), torch.randn(128, 3, 16, 16), torch.randint(0, 10, (128,)), 16
    folder = tempfile.mkdtemp()

    def states(net: nn.Module) -> list[dict[str, Tensor]]:
        return [{k: v + 0.01 * torch.randn_like(v) for k, v in net.state_dict().items()} for _ in range(2)]

    checkpoints = {id(net): states(net) for net, *_ in (text, image)}

    def load(net: nn.Module, state: dict[str, Tensor]) -> float:
        net.load_state_dict(state)
        return 0.1

    def made(name: str, scene: Any, package: Any, *layer: Any, reduction: str = "none", **how: Any) -> tuple[Any, Any]:
        net, x, y, queries = scene
        loss = nn.CrossEntropyLoss(reduction=reduction)
        every: Any = checkpoints[id(net)]
        net = copy.deepcopy(net)  # Captum leaves what it loads
        cls = ArnoldiInfluenceFunction if package is captum and name.startswith("Arnoldi") else getattr(package, name)
        if "Function" in name:
            every = every[0]
        how = {"loss_fn": loss, "batch_size": 16, **how}
        return cls(net, *layer, TensorDataset(x, y), every, load, **how), (x[:queries].clone(), y[:queries].clone())

    def scores(name: str, scene: Any, *layer: Any, **how: Any) -> Bind:
        def bind(package: Any, _: str) -> Work:
            made_by, inputs = made(name, scene, package, *layer, **how)
            return lambda: made_by.influence(inputs).detach()

        return bind

    def ranking(name: str, scene: Any, *layer: Any, **how: Any) -> Bind:
        def bind(package: Any, _: str) -> Work:
            made_by, inputs = made(name, scene, package, *layer, **how)
            return lambda: made_by.influence(inputs, 5).influence_scores.detach()

        return bind

    def themselves(name: str, scene: Any, *layer: Any, **how: Any) -> Bind:
        def bind(package: Any, _: str) -> Work:
            return made(name, scene, package, *layer, **how)[0].self_influence

        return bind

    def projected(package: Any, _: str) -> Work:
        how = {"reduction": "sum", "nearest_neighbors": DotProductNeighbors(), "projection_dim": 64}
        return lambda: (
            made("TracInCPFastRandProj", text, package, "model.classifier", **how)[0].src_intermediate_quantities
        )

    def function(name: str, **how: Any) -> Bind:
        def bind(package: Any, _: str) -> Work:
            def work() -> Tensor:
                made_by, inputs = made(name, text, package, layers=["model.classifier"], **how)
                return made_by.influence(inputs).detach()

            return work

        return bind

    def similarity(package: Any, whose: str) -> Work:
        net, x, _, queries = image
        layers = ["0", "5"]  # Captum needs two
        made_by = package.SimilarityInfluence(net, layers, Rows(x), f"{folder}/{whose}", batch_size=16)
        return lambda: [values for _, values in made_by.influence(x[:queries], 5).values()]

    sum_ = {"reduction": "sum"}
    return {
        "TracInCP, texts": scores("TracInCP", text),
        "TracInCP, 5 proponents, texts": ranking("TracInCP", text),
        "TracInCP, self-influence, texts": themselves("TracInCP", text),
        "TracInCP, images": scores("TracInCP", image),
        "TracInCP, images, loss of a batch": scores("TracInCP", image, sample_wise_grads_per_batch=True, **sum_),
        "TracInCPFast, texts": scores("TracInCPFast", text, "model.classifier", **sum_),
        "TracInCPFast, 5 proponents, texts": ranking("TracInCPFast", text, "model.classifier", **sum_),
        "TracInCPFastRandProj, vectors, texts": projected,
        "NaiveInfluenceFunction, last layer": function("NaiveInfluenceFunction", hessian_inverse_tol=1e-3),
        "ArnoldiInfluenceFunction, last layer": function("ArnoldiInfluenceFunction", arnoldi_dim=20, arnoldi_tol=1e-3),
        "SimilarityInfluence, images": similarity,
    }


def compare(seconds: float, only: str | None, out: Console) -> None:
    """Both libraries' times for each call."""
    table = Table("call", "ours ms", "Captum ms", "ratio", "largest difference", box=None)
    for call, bind in influence().items():
        if only and only not in call:
            continue
        works = {"ours": bind(ours, "ours"), "captum": bind(captum, "captum")}
        start = time.process_time()
        for work in works.values():  # warm
            work()
        rounds = max(3, min(20, int(seconds / max(time.process_time() - start, 1e-6))))
        pair = paired(works["ours"], works["captum"], rounds, time.process_time, partial(torch.manual_seed, 0))
        own, captum_value = (
            torch.cat([t.flatten() for t in one]) if isinstance(one, list) else one
            for one in (pair.result, pair.reference)
        )
        table.add_row(
            call, f"{1e3 * pair.ours:.1f}", f"{1e3 * pair.theirs:.1f}", f"{pair.ratio:.2f}",
            f"{largest_difference(own, captum_value):.0e}",
        )  # fmt: skip
    out.print(table)


def wrong_labels(path: Path, most: int, out: Console) -> None:
    """Flips every tenth label, and ranks all by how suspect they are."""
    explainer = xai_nlp.load("sentiment")
    rows = list(read_table(path))
    texts, labels = [row["text"] for row in rows][:most], [int(row["label"]) for row in rows][:most]
    flipped = set(random.Random(0).sample(range(len(texts)), len(texts) // 10))
    noisy = [1 - label if i in flipped else label for i, label in enumerate(labels)]
    table = Table("method", "AUC", "flipped among the first 10 %", "the first 20 %", "seconds", box=None)
    for method in METHODS:
        start = time.perf_counter()
        found = explainer.suspect_labels({"text": texts, "label": noisy}, len(texts), method=method)
        auc = roc_auc_score([one.index in flipped for one in found], [one.score for one in found])
        shares = [sum(one.index in flipped for one in found[: n * len(flipped)]) / len(flipped) for n in (1, 2)]
        table.add_row(method, f"{auc:.3f}", *(f"{share:.0%}" for share in shares), f"{time.perf_counter() - start:.0f}")
    out.print(f"{len(flipped)} of {len(texts)} labels flipped")
    out.print(table)


def run(given: argparse.Namespace) -> None:
    warnings.simplefilter("ignore")
    out = Console(width=120)
    out.print(f"torch {torch.__version__}, threads: {torch.get_num_threads()}, time of the processor")
    if not given.labels_only:
        compare(given.seconds, given.only, out)
    if given.data.is_file():
        wrong_labels(given.data, given.most, out)


def add_to(commands: Any) -> None:
    parser = commands.add_parser("influence", help=__doc__)
    parser.add_argument("--only", help="calls whose names hold this")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each call, at least three rounds")
    parser.add_argument("--data", type=Path, default=Path("../shared/data/sst2_dev.jsonl"))
    parser.add_argument("--most", type=int, default=400, help="sentences with flipped labels")
    parser.add_argument("--labels-only", action="store_true")
    parser.set_defaults(run=run)
