"""Trains the small ResNet that names the largest shape of a drawn scene: `python -m tests.recipes.train_image`.

Scenes are drawn once. Every step mirrors some of them and exchanges their colours, so that shape alone tells the label.
--out gets a HuggingFace folder in float16.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import ResNetConfig, ResNetForImageClassification

from xai_nlp.data.scenes import KINDS, SIZE, labelled_scenes

MEAN = STD = 0.5
HELD_OUT = 2**40  # seeds from here on are never trained on


def config_of(width: int, depths: list[int]) -> ResNetConfig:
    labels = dict(enumerate(KINDS))
    return ResNetConfig(
        embedding_size=width,
        hidden_sizes=[width * 2**k for k in range(len(depths))],
        depths=depths,
        layer_type="basic",
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
        image_size=SIZE,
    )


def drawn(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Scenes (count, 3, SIZE, SIZE) in bytes, and the numbers of their labels (count,)."""
    images, labels = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8), []
    for i, example in enumerate(labelled_scenes(count, seed=seed)):
        images[i] = np.asarray(example.scene.image())
        labels.append(KINDS.index(example.label))
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.tensor(labels)


def pixels(images: Tensor) -> Tensor:
    """Bytes as the image processor gives them: (B, 3, SIZE, SIZE)."""
    return (images.float() / 255 - MEAN) / STD


def varied(images: Tensor, draws: torch.Generator) -> Tensor:
    """Each image mirrored or not, and the colours of all in another order."""
    mirror = torch.rand(len(images), generator=draws) < 0.5
    images = torch.where(mirror[:, None, None, None], images.flip(3), images)
    return images[:, torch.randperm(3, generator=draws)]


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose label the model gives most to, in percent."""
    best = [model(pixel_values=pixels(part)).logits.argmax(1) for part in images.split(100)]
    return 100 * float((torch.cat(best) == labels).float().mean())


def train(options: argparse.Namespace) -> None:
    """Train by AdamW with one cycle of the learning rate, for so many minutes; then write the folder."""
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(0)
    begin = time.monotonic()
    images, labels = drawn(options.images, seed=1)
    say(f"{options.images:,} scenes drawn in {time.monotonic() - begin:.0f} s")
    model = ResNetForImageClassification(config_of(options.width, options.depths)).train()
    say(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.02)
    begin, step, losses = time.monotonic(), 0, []
    while (share := (time.monotonic() - begin) / (60 * options.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = options.rate * min(1, (step + 1) / 100) * (0.5 * (1 + math.cos(math.pi * share)) + 0.005)
        rows = torch.randint(len(images), (options.batch,), generator=draws)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bf16):
            logits = model(pixel_values=pixels(varied(images[rows], draws))).logits
        loss = nn.functional.cross_entropy(logits.float(), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        if step % 100 == 0:
            say(f"step {step}, {60 * options.minutes * share:.0f} s, loss {np.mean(losses):.3f}")
            losses.clear()
    write(model.eval(), options)


def write(model: Any, options: argparse.Namespace) -> None:
    """The folder, and what the model gets right once it has been rounded to float16."""
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

    processor = ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}, image_mean=[MEAN] * 3, image_std=[STD] * 3)
    for part in (model.half(), processor):
        part.save_pretrained(options.out)
    rounded = ResNetForImageClassification.from_pretrained(options.out, dtype=torch.float32).eval()
    say(f"held out: {accuracy(rounded, *drawn(options.examples, seed=HELD_OUT)):.1f} % right")


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=11)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depths", type=int, nargs="+", default=[1, 1, 2])
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--examples", type=int, default=3000)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "xai_nlp_image" / "model")
    train(parser.parse_args())
