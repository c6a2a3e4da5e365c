"""Questions about images: words and patches of a ViLT-b32, ours against Captum's LayerIntegratedGradients, in one run.

Captum is called as its multimodal tutorial does: two layers at once, the words' embeddings and the patches'.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import cache
from typing import Any

import captum.attr as captum
import torch
from rich.console import Console
from torch import Tensor
from transformers import ViltConfig, ViltForQuestionAnswering

from tests.bench.measure import gemm_rate, largest_difference, paired, peak_memory
from tests.models.tiny_vision_language import tokenizer_of
from xai_nlp.models.loading import LoadedModel
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

SIDE, PATCH = 384, 32
QUESTION = "what colour is the star left of the blue circle ?"


@cache
def explainer() -> VisualQuestionAnsweringExplainer:
    """ViLT-b32's size and image size, random weights."""
    from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

    torch.manual_seed(0)
    names = {i: f"answer {i}" for i in range(50)}
    config = ViltConfig(id2label=names, label2id={v: k for k, v in names.items()})
    model = ViltForQuestionAnswering(config).eval()
    processor = ViltImageProcessorPil(size={"shortest_edge": SIDE}, size_divisor=PATCH)
    return VisualQuestionAnsweringExplainer(
        LoadedModel(model, tokenizer_of(), "vilt-b32 size", "visual-question-answering", processor)
    )


def image() -> Any:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 255, (SIDE, SIDE, 3), generator=generator, dtype=torch.uint8).numpy()


def ours(steps: int, rows: int | None = None) -> tuple[Tensor, Tensor]:
    """(words, patches)"""
    why = explainer().explain(image(), QUESTION, target="answer 3", steps=steps, rule="gauss_legendre", batch_size=rows)
    assert why.image is not None
    return torch.tensor(why.scores), torch.tensor(why.image.scores)


def theirs(steps: int, rows: int | None = None) -> tuple[Tensor, Tensor]:
    known = explainer()
    model: Any = known.model
    from xai_nlp.models.images import baseline_image, read_image

    picture = read_image(image())
    images = picture, baseline_image(picture, "grey")
    pixels, other = (known.family.image_inputs(image)["pixel_values"] for image in images)
    text = known.tokenizer(QUESTION, return_tensors="pt")
    start = text["input_ids"].clone()
    start[:, 1:-1] = known.tokenizer.pad_token_id

    def forward(ids: Tensor, pixels: Tensor, mask: Tensor) -> Tensor:
        logits: Tensor = model(input_ids=ids, pixel_values=pixels, attention_mask=mask).logits
        return logits

    embeddings = model.vilt.embeddings
    method = captum.LayerIntegratedGradients(forward, [embeddings.text_embeddings, embeddings.patch_embeddings])
    words, patches = method.attribute(
        (text["input_ids"], pixels),
        baselines=(start, other),
        target=3,
        additional_forward_args=(text["attention_mask"],),
        n_steps=steps,
        internal_batch_size=rows,
    )
    return words[0].sum(-1).detach(), patches[0].sum(0).flatten().detach()


def memory(name: str) -> Callable[[], Any]:
    """What a fresh process runs: "ours|32|8" or "captum|32|8"."""
    who, steps, rows = name.split("|")
    run = ours if who == "ours" else theirs
    explainer()
    return lambda: run(int(steps), int(rows))


def run(given: argparse.Namespace) -> None:
    out = Console(width=150)
    rate = gemm_rate()
    out.print(f"GEMM {rate:.0f} GFLOP/s")
    ours(2), theirs(2)
    pair = paired(lambda: ours(given.steps), lambda: theirs(given.steps), given.rounds)
    words, patches = (
        largest_difference(a.double(), b.double()) for a, b in zip(pair.result, pair.reference, strict=True)
    )
    out.print(
        f"ViLT-b32, {SIDE} × {SIDE}, {given.steps} steps: ours {pair.ours:.2f} s, captum {pair.theirs:.2f} s, "
        f"{pair.ratio:.2f} ×; largest difference of words {words:.1e}, of patches {patches:.1e}"
    )
    for rows in (4, 16):
        mib = [peak_memory(memory, f"{who}|{given.steps}|{rows}") for who in ("ours", "captum")]
        out.print(f"peak memory at {rows} rows: ours {mib[0]:.0f} MiB, captum {mib[1]:.0f} MiB")


def add_to(commands: Any) -> None:
    parser = commands.add_parser("vqa", help=__doc__)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.set_defaults(run=run)
