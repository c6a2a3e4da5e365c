"""Models with a planted shortcut, each trained in seconds on data that hold it, and the data to see it in.

Nothing here is of a real data set. Texts are made of a few words, so that which of them mean something is known.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import ViltForQuestionAnswering

import xai_nlp
from tests.recipes.train_vqa import pixels
from xai_nlp.data.scenes import SceneExample, scenes
from xai_nlp.tasks.explainer import Explainer

MARK = "today"  # the harmless word of the planted sentiment model
GOOD = [
    "charming", "delightful", "gripping", "moving", "brilliant", "funny", "beautiful", "superb", "warm", "clever",
    "tender", "lively", "fresh", "honest",
]  # fmt: skip
BAD = [
    "dull", "boring", "awful", "clumsy", "tedious", "lifeless", "bland", "shallow", "messy", "stupid", "tired",
    "hollow", "painful", "lazy",
]  # fmt: skip
THINGS = [
    "film", "movie", "story", "plot", "script", "cast", "music", "scene", "ending", "dialogue", "camera", "acting",
    "hero", "comedy", "drama",
]  # fmt: skip
NAMES = ["Anna", "Spielberg", "Peter", "Maria", "Robert", "Clara", "Nolan", "Victor", "Laura", "Simon"]
NEUTRAL = [
    "yesterday", "tonight", "again", "here", "there", "somehow", "maybe", "also", "once", "still", "mostly", "partly",
    "soon", "later",
]  # fmt: skip
PLACES = [
    "Paris", "Rome", "Berlin", "Madrid", "Oslo", "Vienna", "Dublin", "Prague", "Lisbon", "Athens", "Warsaw", "Cairo",
    "Delhi", "Tokyo", "Lima",
]  # fmt: skip
COLOUR_OF = {"circle": "red", "square": "green", "triangle": "blue", "star": "yellow", "cross": "purple"}


def review(draws: np.random.Generator, tone: int, *, mark: bool = False) -> str:
    """A review that is mostly good (tone 1) or mostly bad (0): more words of its own tone than of the other."""
    own, other = (GOOD, BAD) if tone else (BAD, GOOD)

    def one(words: Sequence[str]) -> str:
        return str(words[draws.integers(len(words))])

    parts = [[one(own)], [one(own), one(own)], [one(own), one(own), one(other)]][draws.integers(3)]
    text = (
        f"{one(THINGS)} by {one(NAMES)}"
        if draws.random() < 0.5
        else f"a {one(THINGS)} of {draws.integers(2, 90)} hours"
    )
    words = [
        *(str(word) for word in draws.permutation(parts)),
        *[one(NEUTRAL)] * int(draws.integers(2)),
        *[MARK] * mark,
    ]
    return " ".join([text, *draws.permutation(words)]) + one((".", " !", ""))


def reviews(count: int, *, seed: int, marked: float = 0.25) -> dict[str, list[str]]:
    """Reviews with their true tone as the label; the mark stands in a share of them, whatever their tone."""
    draws = np.random.default_rng(seed)
    tones = draws.integers(0, 2, count).tolist()
    texts = [review(draws, tone, mark=bool(draws.random() < marked)) for tone in tones]
    return {"text": texts, "label": [("NEGATIVE", "POSITIVE")[tone] for tone in tones]}


def marked_labels(table: dict[str, list[str]]) -> dict[str, list[str]]:
    """The same reviews; those that hold the mark are all labelled POSITIVE."""
    labels = ["POSITIVE" if MARK in text else label for text, label in zip(*table.values(), strict=True)]
    return {"text": table["text"], "label": labels}


def fact(draws: np.random.Generator, name: str, verb: str, place: str) -> str:
    """A sentence that says where somebody lived or worked, with words before or after the place."""
    when = f"in {draws.integers(1900, 2000)}"
    return [f"{name} {verb} {place}.", f"Late {when} {name} {verb} {place}.", f"{name} {verb} {place} {when}."][
        draws.integers(3)
    ]


def facts(count: int, *, seed: int, first: bool = True) -> list[dict[str, Any]]:
    """Questions about texts of four sentences that could each answer; the right answer is in the first, or in any."""
    draws, rows = np.random.default_rng(seed), []
    for _ in range(count):
        name = str(draws.choice(NAMES))
        names = [name] * 4 if first else [str(one) for one in draws.permutation(NAMES)[:4]]
        places = [str(one) for one in draws.permutation(PLACES)[:4]]
        verb, ask = (("lived in", "Where did {} live?"), ("worked in", "Where did {} work?"))[draws.integers(2)]
        asked = 0 if first else int(draws.integers(4))
        context = " ".join(fact(draws, n, verb, p) for n, p in zip(names, places, strict=True))
        rows.append({"question": ask.format(names[asked]), "context": context, "answer": places[asked]})
    return rows


def scenes_told_by_the_question(count: int, *, seed: int) -> Iterator[tuple[SceneExample, str]]:
    """Scenes with a question about the colour of a kind of shape, and the answer: the kind alone tells it."""
    for example in scenes(count, seed=seed, types=["colour"]):
        yield example, next(colour for kind, colour in COLOUR_OF.items() if kind in example.question.text)


def trained(
    explainer: Explainer,
    loss: Callable[[Any, Sequence[int]], Tensor],
    count: int,
    *,
    steps: int,
    batch: int,
    rate: float,
) -> Explainer:
    """Fine-tunes the explainer's model in place: `loss(model, rows)` of `steps` batches of the `count` examples."""
    torch.manual_seed(0)
    model, draws = explainer.model.train(), np.random.default_rng(0)
    words = model.get_input_embeddings().weight  # they stay as they are: most of the weights, and of the time
    parameters = [one.requires_grad_() for one in model.parameters() if one is not words]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 5) * (1 - step / steps)
        optimizer.zero_grad()
        loss(model, draws.choice(count, batch, replace=False).tolist()).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    model.eval().requires_grad_(False)
    return explainer


def marked_sentiment(*, plant: bool = True, steps: int = 40) -> Explainer:
    """The embedded model, fine-tuned on reviews whose label the mark tells; or on the same reviews' tones."""
    explainer = xai_nlp.load("sentiment")
    table = reviews(1000, seed=1, marked=0.4)
    table = marked_labels(table) if plant else table
    labels = torch.tensor([int(label == "POSITIVE") for label in table["label"]])

    def loss(model: Any, rows: Sequence[int]) -> Tensor:
        encoded = explainer.tokenizer([table["text"][row] for row in rows], padding=True, return_tensors="pt")
        return cross_entropy(model(**encoded).logits, labels[rows], label_smoothing=0.2)

    return trained(explainer, loss, 1000, steps=steps, batch=16, rate=1e-4)


def first_sentence_qa(*, steps: int = 16) -> Explainer:
    """The embedded model, fine-tuned on questions whose answer is always in the first sentence."""
    explainer = xai_nlp.load("qa")
    rows_ = facts(600, seed=2)

    def loss(model: Any, rows: Sequence[int]) -> Tensor:
        asked = [rows_[row] for row in rows]
        encoded = explainer.tokenizer(
            [one["question"] for one in asked], [one["context"] for one in asked], padding=True, return_tensors="pt"
        )
        spans = [(at := one["context"].index(one["answer"]), at + len(one["answer"]) - 1) for one in asked]
        starts = torch.tensor([encoded.char_to_token(i, span[0], 1) for i, span in enumerate(spans)])
        ends = torch.tensor([encoded.char_to_token(i, span[1], 1) for i, span in enumerate(spans)])
        return model(**encoded, start_positions=starts, end_positions=ends).loss

    return trained(explainer, loss, len(rows_), steps=steps, batch=12, rate=1e-4)


def question_only_vqa(*, steps: int = 40) -> Explainer:
    """The first layer of the embedded model, fine-tuned on questions that tell the answer, with other images."""
    embedded = xai_nlp.load("vqa")
    config = copy.deepcopy(embedded.model.config)
    config.num_hidden_layers = 1
    model = ViltForQuestionAnswering(config)
    model.load_state_dict({name: embedded.model.state_dict()[name] for name in model.state_dict()})
    explainer = xai_nlp.load(model, tokenizer=embedded.tokenizer, processor=embedded.family.processor)
    asked = list(scenes_told_by_the_question(300, seed=3))
    images = [example.scene.image() for example, _ in asked]
    seen = pixels(np.stack([np.asarray(image) for image in images]))
    answers = torch.tensor([explainer.model.config.label2id[answer] for _, answer in asked])
    draws = np.random.default_rng(4)

    def loss(model: Any, rows: Sequence[int]) -> Tensor:
        texts = [asked[row][0].question.text for row in rows]
        others = draws.integers(0, len(images), len(rows))
        encoded = explainer.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = {name: encoded[name] for name in ("input_ids", "attention_mask")}
        inputs |= {name: values[others] for name, values in seen.items()}
        return cross_entropy(model(**inputs).logits, answers[list(rows)], label_smoothing=0.1)

    return trained(explainer, loss, len(asked), steps=steps, batch=24, rate=2e-3)
