"""Trains the small ViLT that answers questions about drawn scenes: `python -m tests.recipes.train_vqa`.

Scenes are drawn once; every step draws question types by --weights, and answers within a type evenly. A checkpoint is
kept in --work, outside the repository, and gone on from with new scenes; --out gets a HuggingFace folder in float16.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast, ViltConfig, ViltForQuestionAnswering

from xai_nlp.data.scenes import ANSWERS, SIZE, TYPES, random_scene, scenes

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
MEAN = STD = 0.5
LONGEST = 20  # tokens of a question
HELD_OUT = 2**40  # seeds from here on are never trained on


def tokenizer_of(words: list[str]) -> PreTrainedTokenizerFast:
    """Whole words, lower case, punctuation apart."""
    vocabulary = {word: i for i, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(t, vocabulary[t]) for t in ("[CLS]", "[SEP]")]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **names)


def vocabulary() -> list[str]:
    """Every word of every wording, and every answer."""
    split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    texts = {example.question.text for example in scenes(4000, seed=HELD_OUT - 1)} | set(ANSWERS)
    return sorted({word for text in texts for word, _ in split(text)})


def config_of(words: int, width: int, layers: int, patch: int) -> ViltConfig:
    labels = dict(enumerate(ANSWERS))
    return ViltConfig(
        vocab_size=len(SPECIAL) + words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=max(2, width // 48),
        intermediate_size=4 * width,
        max_position_embeddings=LONGEST,
        image_size=SIZE,
        patch_size=patch,
        max_image_length=-1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=labels,
        label2id={name: i for i, name in labels.items()},
    )


class Drawn:
    """Scenes drawn once, with every question that each allows, by type and answer."""

    def __init__(self, count: int, tokenizer: Any, *, seed: int = 1, weights: dict[str, float] | None = None) -> None:
        draws = np.random.default_rng(seed)
        self.images = np.empty((count, SIZE, SIZE, 3), dtype=np.uint8)
        self.by_answer: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        known: dict[str, int] = {}
        for i in range(count):
            scene = random_scene(draws)
            self.images[i] = np.asarray(scene.image())
            for name, (answers, ask) in TYPES.items():
                if name == "beside" and len(scene.shapes) == 2 and i % 5:
                    continue  # of two shapes it is the other one: nothing to learn there
                for question in ask(scene.shapes):
                    if question.answer in answers:
                        for wording in question.text.split("|"):
                            text = known.setdefault(wording, len(known))
                            self.by_answer[name, question.answer].append((i, text))
        self.texts = list(known)
        rows = tokenizer(self.texts, padding="max_length", max_length=LONGEST)
        self.ids, self.masks = torch.tensor(rows["input_ids"]), torch.tensor(rows["attention_mask"])
        self.entries = {key: np.array(found) for key, found in self.by_answer.items()}
        shares = np.array([(weights or {}).get(name, 1.0) for name in TYPES])
        self.shares = shares / shares.sum()
        self.types = {name: [a for a in answers if (name, a) in self.entries] for name, (answers, _) in TYPES.items()}

    def batch(self, size: int, draws: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
        """Inputs of the model, and the numbers of the answers."""
        names, places, answers = list(self.types), [], []
        for _ in range(size):
            name = names[draws.choice(len(names), p=self.shares)]
            answer = self.types[name][draws.integers(len(self.types[name]))]
            entries = self.entries[name, answer]
            places.append(entries[draws.integers(len(entries))])
            answers.append(ANSWERS.index(answer))
        image, text = np.array(places).T
        ids, masks = self.ids[text], self.masks[text]
        longest = int(masks.sum(1).max())
        inputs = {"input_ids": ids[:, :longest], "attention_mask": masks[:, :longest], **pixels(self.images[image])}
        return inputs, torch.tensor(answers)


def pixels(images: np.ndarray) -> dict[str, Tensor]:
    """(B, H, W, 3) bytes as ViLT's image processor gives them."""
    values = (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - MEAN) / STD
    return {"pixel_values": values, "pixel_mask": torch.ones(len(images), SIZE, SIZE, dtype=torch.long)}


def measured(model: nn.Module, tokenizer: Any, count: int, seed: int = HELD_OUT) -> dict[str, float]:
    """Accuracy in percent on held-out examples, overall and by type."""
    right: dict[str, list[bool]] = defaultdict(list)
    examples = list(scenes(count, seed=seed))
    for at in range(0, count, 100):
        part = examples[at : at + 100]
        rows = tokenizer([e.question.text for e in part], padding=True, return_tensors="pt")
        images = np.stack([np.asarray(e.scene.image()) for e in part])
        with torch.no_grad():
            logits = model(**{k: rows[k] for k in ("input_ids", "attention_mask")}, **pixels(images)).logits
        for example, best in zip(part, logits.argmax(-1).tolist(), strict=True):
            right[example.question.type].append(ANSWERS[best] == example.question.answer)
    everything = [r for of_type in right.values() for r in of_type]
    return {
        "overall": 100 * float(np.mean(everything)),
        **{k: 100 * float(np.mean(v)) for k, v in sorted(right.items())},
    }


def optimizers_of(model: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon (Jordan et al. 2024) for the encoder's matrices, AdamW for all else; twice the matrices' rate pays."""
    of_encoder = {n for n, p in model.named_parameters() if p.ndim == 2 and ".encoder.layer." in n}
    matrices, rest = ([p for n, p in model.named_parameters() if (n in of_encoder) == here] for here in (True, False))
    found: list[torch.optim.Optimizer] = [
        torch.optim.Muon(matrices, lr=2 * rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    for optimizer in found:
        for group in optimizer.param_groups:
            group["initial_lr"] = group["lr"]
    return found


def train(given: argparse.Namespace) -> None:
    torch.manual_seed(0)
    words = vocabulary()
    tokenizer = tokenizer_of(words)
    if given.start is None:
        model = ViltForQuestionAnswering(config_of(len(words), given.width, given.layers, given.patch))
    else:
        model = ViltForQuestionAnswering.from_pretrained(given.start, dtype=torch.float32).train()
    optimizers = optimizers_of(model, given.lr)
    given.work.mkdir(parents=True, exist_ok=True)
    kept, step, spent = given.work / "checkpoint.pt", 0, 0.0
    if kept.exists():
        state = torch.load(kept, weights_only=True)
        model.load_state_dict(state["model"])
        for optimizer, kept_state in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept_state)
        step, spent = state["step"], state["spent"]
    say(f"{sum(p.numel() for p in model.parameters()):,} parameters, from step {step}")
    begin = time.monotonic()
    weights = {name: float(weight) for name, _, weight in (item.partition("=") for item in given.weights)}
    first = 1 + step + given.seed
    drawn, draws = Drawn(given.images, tokenizer, seed=first, weights=weights), np.random.default_rng(first)
    say(f"{given.images:,} scenes, {len(drawn.texts)} wordings, drawn in {time.monotonic() - begin:.0f} s")
    begin, running, saved = time.monotonic(), [], time.monotonic()
    while (elapsed := spent + time.monotonic() - begin) < 60 * given.minutes:
        share = elapsed / (60 * given.minutes)
        rate = min(1.0, (step + 1) / 400) * (0.5 * (1 + math.cos(math.pi * share)) + 0.01)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["initial_lr"]
        inputs, answers = drawn.batch(given.batch, draws)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=given.bf16):
            logits = model(**inputs).logits
        loss = nn.functional.cross_entropy(logits.float(), answers)
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        step += 1
        running.append((float(loss.detach()), float((logits.argmax(-1) == answers).float().mean())))
        if step % 100 == 0:
            lost, right = np.mean(running, 0)
            say(f"step {step}, {elapsed / 60:.1f} min, loss {lost:.3f}, right {100 * right:.1f} %")
            running = []
        if time.monotonic() - saved > 180:
            states = [optimizer.state_dict() for optimizer in optimizers]
            torch.save({"model": model.state_dict(), "optimizers": states, "step": step, "spent": elapsed}, kept)
            saved = time.monotonic()
    write(model.eval(), tokenizer, given)


def write(model: Any, tokenizer: Any, given: argparse.Namespace) -> None:
    """The folder, and what the model gets right once it has been rounded to float16."""
    from transformers.models.vilt.image_processing_pil_vilt import ViltImageProcessorPil

    processor = ViltImageProcessorPil(
        size={"shortest_edge": SIZE}, size_divisor=given.patch, image_mean=[MEAN] * 3, image_std=[STD] * 3
    )
    for part in (model.half(), tokenizer, processor):
        part.save_pretrained(given.out)
    rounded = ViltForQuestionAnswering.from_pretrained(given.out, dtype=torch.float32).eval()
    say(json.dumps(measured(rounded, tokenizer, given.examples), indent=1))


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--width", type=int, default=144)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--patch", type=int, default=12)
    parser.add_argument("--start", type=Path, help="a folder that an earlier run wrote, to begin from")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0, help="other scenes than an earlier run's")
    parser.add_argument("--examples", type=int, default=5000)
    parser.add_argument(
        "--weights", nargs="*", default=[], metavar="TYPE=N", help="question types drawn N times as often"
    )
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "xai_nlp_vqa")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()) / "xai_nlp_vqa" / "model")
    train(parser.parse_args())
