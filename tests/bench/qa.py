"""Question answering: embeddings, all layers and attention matrices, ours against Captum's BERT tutorial, in one run.

Captum is called as its tutorial does: one LayerConductance for each layer, its attention, start and end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import captum.attr as captum
import torch
from rich.console import Console
from rich.table import Table
from transformers import BertConfig, BertForQuestionAnswering

import xai_nlp
from tests.bench.measure import gemm_rate, largest_difference, paired, peak_memory
from xai_nlp.core.batching import Batching
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.scope import tensors_at
from xai_nlp.methods.path import Conductance, IntegratedGradientsMethod

START, END = 20, 23  # the tokens of the answer
PAD = 0


def model_of(layers: int = 12, width: int = 768, *, eager: bool = False) -> Any:
    """BERT-base size with random weights; sdpa as transformers loads it, or eager, as Captum needs for attention."""
    torch.manual_seed(0)
    config = BertConfig(
        num_hidden_layers=layers, hidden_size=width, num_attention_heads=12, intermediate_size=4 * width
    )
    config._attn_implementation = "eager" if eager else "sdpa"
    return BertForQuestionAnswering(config).eval()


def ids_of(tokens: int) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(1000, 30000, (1, tokens))


def subject_of(model: Any, ids: torch.Tensor, rows: int | None = None, *, words: bool = False) -> Subject:
    """The subject of the tutorial: words move from [PAD] but for the first and the last; start and end are read.

    words: the word embeddings move; else their sum with positions and types.
    """
    points = xai_nlp.points(model)
    point = points.word if words else points.embeddings
    assert point is not None
    reference = torch.full_like(ids, PAD)
    reference[:, [0, -1]] = ids[:, [0, -1]]
    with torch.no_grad():
        x, x0 = (tensors_at([point], partial(model, input_ids=one))[0] for one in (ids, reference))

    def read(forward: Callable[[], Any], owner: torch.Tensor) -> torch.Tensor:
        out = forward()
        return torch.stack([out.start_logits[:, START], out.end_logits[:, END]], 1)

    return Subject(
        forward=lambda arguments, owner: model(input_ids=ids[owner]),
        read=read,
        inputs={"text": MovableInput(x=x, baseline=x0, point=point)},
        examples=1,
        points=points,
        attention_root=model,
        batching=Batching(limit=rows),
    )


def ours_embeddings(model: Any, ids: torch.Tensor, steps: int, rows: int | None = None) -> torch.Tensor:
    """Start and end, integrated gradients of the embeddings: (2, L, D)."""
    with frozen_model(model):
        problem = subject_of(model, ids, rows).problem()
        return IntegratedGradientsMethod(steps=steps).scores(problem).tensors[0][0]


def captum_embeddings(model: Any, ids: torch.Tensor, steps: int, rows: int | None = None) -> torch.Tensor:
    reference = torch.full_like(ids, PAD)
    reference[:, [0, -1]] = ids[:, [0, -1]]
    scores = []
    for which, place in (("start_logits", START), ("end_logits", END)):
        forward = lambda ids, which=which, place=place: getattr(model(input_ids=ids), which)[:, place]  # noqa: E731
        method = captum.LayerIntegratedGradients(forward, model.bert.embeddings)
        scores.append(method.attribute(ids, reference, n_steps=steps, internal_batch_size=rows)[0].detach())
    return torch.stack(scores)


def ours_everything(
    model: Any, ids: torch.Tensor, steps: int, rows: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Start and end, conductance of every layer's output (2, layers, L, D) and attention (2, layers, H, L, L)."""
    with frozen_model(model):
        subject = subject_of(model, ids, rows, words=True)
        assert subject.points is not None
        problem = subject.problem(observe=[*subject.points.layers, *subject.attention])
        tensors = Conductance(steps=steps, rule="gauss_legendre").scores(problem).tensors
    layers = len(tensors) // 2
    return torch.stack(tensors[:layers], 2)[0], torch.stack(tensors[layers:], 2)[0]


def captum_everything(
    model: Any, ids: torch.Tensor, steps: int, rows: int | None = None, only: Sequence[int] | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    words = model.bert.embeddings.word_embeddings
    reference = torch.full_like(ids, PAD)
    reference[:, [0, -1]] = ids[:, [0, -1]]
    x, x0 = words(ids).detach(), words(reference).detach()
    outputs, matrices = [], []
    blocks = [block for k, block in enumerate(model.bert.encoder.layer) if only is None or k in only]
    for which, place in (("start_logits", START), ("end_logits", END)):
        forward = lambda z, which=which, place=place: getattr(model(inputs_embeds=z), which)[:, place]  # noqa: E731
        options = {"n_steps": steps, "internal_batch_size": rows}
        of_layers = [captum.LayerConductance(forward, b).attribute(x, x0, **options)[0].detach() for b in blocks]
        of_attention = [
            captum.LayerConductance(forward, b.attention.self).attribute(x, x0, **options)[1][0].detach()
            for b in blocks
        ]
        outputs.append(torch.stack(of_layers))
        matrices.append(torch.stack(of_attention))
    return torch.stack(outputs), torch.stack(matrices)


WORK: dict[str, tuple[Callable[..., Any], bool]] = {
    "ours embeddings": (ours_embeddings, False),
    "captum embeddings": (captum_embeddings, False),
    "ours everything": (ours_everything, False),
    "captum everything": (captum_everything, True),
}


def memory(task: str) -> Callable[[], Any]:
    """What a process of its own runs to have its memory measured: "work|tokens|steps|rows"."""
    name, tokens, steps, rows = task.split("|")
    work, eager = WORK[name]
    model, ids = model_of(eager=eager), ids_of(int(tokens))
    only = {"only": [11]} if name == "captum everything" else {}
    return partial(work, model, ids, int(steps), int(rows) or None, **only)


def flops(tokens: int, layers: int, width: int, rows: int, backward: int) -> float:
    """Multiply-adds × 2 of `rows` forward passes and `backward` passes back to the inputs each, weights' left out."""
    one = layers * (2 * tokens * 12 * width**2 + 4 * tokens**2 * width)
    return rows * one * (1 + backward)


def run(given: argparse.Namespace) -> None:
    out, steps, tokens = Console(width=150), given.steps, given.tokens
    rate = gemm_rate()
    out.print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, GEMM {rate:.0f} GFLOP/s, float32")
    out.print(f"BERT-base size, random; start and end; {tokens} tokens where not said")
    lazy, eager, ids = model_of(), model_of(eager=True), ids_of(tokens)
    for length in given.embedding_lengths:
        out.print(embeddings(lazy, length, given.embedding_steps, given.rounds, rate))
    pair = paired(lambda: ours_everything(lazy, ids, steps), lambda: captum_everything(eager, ids, steps), 1)
    mib = [peak_memory(memory, f"{who} everything|{tokens}|{steps}|10") for who in ("ours", "captum")]
    worst = [largest_difference(a, b) for a, b in zip(pair.result, pair.reference, strict=True)]
    worked = flops(tokens, 12, 768, steps + 1, 2)
    out.print(
        f"all 12 layers and attention matrices, {steps} steps: ours {pair.ours:.2f} s, captum {pair.theirs:.2f} s, "
        f"{pair.ratio:.1f} × (goal 15), largest differences {worst[0]:.0e} (layers), {worst[1]:.0e} (attention); "
        f"{worked / pair.ours / 1e9 / rate:.0%} of GEMM rate; at rows=10 {mib[0]:.0f} MiB for all against {mib[1]:.0f} "
        "MiB for one layer"
    )
    table = Table("tokens", "layers", "ours, everything s", "captum s (a layer × layers)", "ratio", "of GEMM", box=None)
    for length in given.lengths:
        table.add_row(*measured(length, 12, steps, rate))
    for layers in (3, 6):
        table.add_row(*measured(tokens, layers, steps, rate))
    out.print(table)


def embeddings(model: Any, tokens: int, steps: int, rounds: int, rate: float) -> str:
    """Start and end from one forward pass, against two calls."""
    ids = ids_of(tokens)
    pair = paired(lambda: ours_embeddings(model, ids, steps), lambda: captum_embeddings(model, ids, steps), rounds)
    mib = [peak_memory(memory, f"{who} embeddings|{tokens}|20|10") for who in ("ours", "captum")]
    worked = flops(tokens, 12, 768, steps, 2)
    return (
        f"embeddings, {tokens} tokens, {steps} steps: ours {pair.ours:.2f} s, captum {pair.theirs:.2f} s, "
        f"{pair.ratio:.2f} × (goal 1.8), largest difference {largest_difference(pair.result, pair.reference):.0e}; "
        f"{worked / pair.ours / 1e9 / rate:.0%} of GEMM rate; at rows=10 {mib[0]:.0f} against {mib[1]:.0f} MiB"
    )


def measured(tokens: int, layers: int, steps: int, rate: float) -> tuple[str, ...]:
    """Everything at this length; Captum's last layer is timed, and taken as often as there are layers."""
    lazy, eager, ids = model_of(layers), model_of(layers, eager=True), ids_of(tokens)
    seconds = []
    for work in (partial(ours_everything, lazy), partial(captum_everything, eager, only=[layers - 1])):
        begin = time.perf_counter()
        work(ids=ids, steps=steps)
        seconds.append(time.perf_counter() - begin)
    worked, theirs = flops(tokens, layers, 768, steps + 1, 2), layers * seconds[1]
    return (
        str(tokens), str(layers), f"{seconds[0]:.2f}", f"{theirs:.1f}", f"{theirs / seconds[0]:.1f} ×",
        f"{worked / seconds[0] / 1e9 / rate:.0%}",
    )  # fmt: skip


def add_to(commands: Any) -> None:
    parser = commands.add_parser("qa", help=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--embedding-lengths", type=int, nargs="*", default=[64, 384])
    parser.add_argument("--embedding-steps", type=int, default=50)
    parser.add_argument("--lengths", type=int, nargs="*", default=[64, 128, 256, 384])
    parser.set_defaults(run=run)
