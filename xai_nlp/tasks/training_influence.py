"""Which training texts drove a classifier's prediction, and which of them have suspect labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from xai_nlp.core.training_influence import SuspectLabels, TrainingExample, TrainingInfluence
from xai_nlp.data.table import read_table
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.hooks.scope import ModulePoint, captured
from xai_nlp.influence import TracInCP, TracInCPFast, TracInWE
from xai_nlp.influence.checkpoints import Checkpoints, load_checkpoint
from xai_nlp.influence.data_influence import progress
from xai_nlp.influence.similarity import cosine_similarity
from xai_nlp.models.tokenization import Text, TokenWindow, pad_batch
from xai_nlp.tasks.options import Request

if TYPE_CHECKING:
    from xai_nlp.tasks.text_classification import TextClassificationExplainer

NEIGHBOURS = 10  # of a text, whose labels say whether its own is suspect


@dataclass(frozen=True)
class TrainingTexts:
    """Texts with their labels, as windows of tokens."""

    texts: Sequence[Text]
    windows: Sequence[TokenWindow]
    labels: Sequence[int]

    def part(self, indices: Sequence[int]) -> TrainingTexts:
        """Some of them, by their indices."""
        return TrainingTexts(
            [self.texts[i] for i in indices], [self.windows[i] for i in indices], [self.labels[i] for i in indices]
        )


class InfluenceOfTexts:
    """The influence of labelled texts on others, for a classifier.

    method: a key of METHODS. checkpoints: those of the training, as in `TracInCP`; None for the model as it is.
    """

    def __init__(
        self,
        explainer: TextClassificationExplainer,
        train: TrainingTexts,
        method: str,
        checkpoints: Checkpoints | None = None,
        batch_size: int = 16,
    ) -> None:
        if explainer.labels.kind != "single_label_classification":
            raise Unsupported(
                f"influence is of classifiers with one label for each text; {explainer.name} is for "
                f"{explainer.labels.kind.replace('_', ' ')}. Use xai_nlp.influence.TracInCP with a loss of your own."
            )
        self.explainer, self.train, self.method = explainer, train, method
        self.model: nn.Module = explainer.model
        self.loader = self._loader(train, batch_size)
        self.checkpoints: Checkpoints = [lambda model: 1.0] if checkpoints is None else checkpoints
        self.batch_size = batch_size

    def _loader(self, texts: TrainingTexts, batch_size: int) -> DataLoader[Any]:
        rows: Any = list(zip(texts.windows, texts.labels, strict=True))
        return DataLoader(rows, batch_size, collate_fn=self._batch)

    def _batch(self, rows: Sequence[tuple[TokenWindow, int]]) -> dict[str, Any]:
        windows, labels = zip(*rows, strict=True)
        inputs, _ = pad_batch(windows, self.explainer.pad, "cpu")
        return {**inputs, "labels": torch.tensor(labels)}

    @staticmethod
    def _load(model: nn.Module, checkpoint: Any) -> float:
        """Loads a checkpoint, and turns dropout off; the mode comes back with the weights."""
        rate = load_checkpoint(model, checkpoint)
        model.eval()
        return rate

    @property
    def tracin(self) -> TracInCP | TracInCPFast:
        """The class of TracIn of the method."""
        entropy = nn.CrossEntropyLoss(reduction="none")
        shared = (self.model, self.loader, self.checkpoints, self._load)
        if self.method == "word_embeddings":
            return TracInWE(*shared, loss_fn=entropy)
        if self.method == "last_layer":
            return TracInCPFast(self.model, self.last_layer, *shared[1:], loss_fn=nn.CrossEntropyLoss(reduction="sum"))
        return TracInCP(*shared, loss_fn=entropy)

    @property
    def last_layer(self) -> nn.Linear:
        """The layer that gives the labels' logits."""
        count = len(self.explainer.labels.names)
        found = [m for m in self.model.modules() if isinstance(m, nn.Linear) and m.out_features == count]
        if not found:
            raise Unsupported(f"{type(self.model).__name__} has no linear layer that gives the labels' logits.")
        return found[-1]

    def on(self, queries: TrainingTexts) -> Tensor:
        """The influence of each training text on each query: (B, N)."""
        loader = self._loader(queries, self.batch_size)
        if self.method == "similarity":
            return cosine_similarity(self._features(loader), self._features(self.loader))
        scores = self.tracin.influence(loader)
        assert isinstance(scores, Tensor)
        return scores

    def on_themselves(self) -> Tensor:
        """How suspect each training text's label is: (N,). Self-influence, or the labels of similar texts."""
        if self.method != "similarity":
            return self.tracin.self_influence()
        features = self._features(self.loader)
        similar = cosine_similarity(features, features).fill_diagonal_(-2)
        nearest, indices = similar.topk(min(NEIGHBOURS, len(similar) - 1), dim=1)
        nearest = nearest.clamp(min=0)  # a text that points the other way says nothing
        labels = torch.tensor(self.train.labels, device=similar.device)
        return (nearest * (labels[indices] != labels[:, None])).sum(1) / nearest.sum(1).clamp(min=1e-9)

    def split(self, queries: TrainingTexts, examples: TrainingTexts) -> tuple[Tensor, Tensor]:
        """The influence of each example on each query by the tokens of both: (A, B, S) and (A, B, T)."""
        tracin = self.tracin
        assert isinstance(tracin, TracInWE)
        first, second = (self._batch(list(zip(t.windows, t.labels, strict=True))) for t in (queries, examples))
        return tracin.split(first, second)

    def _features(self, loader: DataLoader[Any]) -> Tensor:
        """What enters the last layer, the mean over tokens where it is one vector for each: (N, D)."""
        point, parts = ModulePoint(self.last_layer, "input"), []
        with lent_weights(self.model), torch.no_grad():
            self.model.eval()
            for batch in progress(loader, False, self.method):
                inputs = {name: t.to(self.last_layer.weight.device) for name, t in batch.items() if name != "labels"}
                with captured([point], differentiable=None) as at:
                    self.model(**inputs)
                vectors = at[point]
                if vectors.ndim == 3:
                    weights = inputs["attention_mask"][:, :, None].to(vectors)
                    vectors = (vectors * weights).sum(1) / weights.sum(1)
                parts.append(vectors)
        return torch.cat(parts)


def training_texts(explainer: TextClassificationExplainer, source: Any, column: Any) -> TrainingTexts:
    """Labelled texts of a table. Raises InvalidInput for a row without one label of the model."""
    request = explainer.request({"text": read_table(source)}, {"column": column})
    if not request.gold or any(len(gold) != 1 for gold in request.gold):
        row = next((i for i, gold in enumerate(request.gold) if len(gold) != 1), 0)
        raise InvalidInput(
            f"row {row} of the training data has no label. Name the column: column={{'text': …, 'gold': …}}."
        )
    labels = [explainer.labels.index(gold[0]) for gold in request.gold]
    return TrainingTexts(explainer.texts(request), _first_windows(explainer, request), labels)


def _first_windows(explainer: TextClassificationExplainer, request: Request) -> list[TokenWindow]:
    """The first window of each text, as training cuts them."""
    windows: dict[int, TokenWindow] = {}
    for window in explainer.encode(request):
        windows.setdefault(window.example, window)
    return [windows[i] for i in range(len(request.examples))]


def influence(
    explainer: TextClassificationExplainer,
    request: Request,
    predicted: Sequence[Mapping[str, float]],
    train: TrainingTexts,
    k: int,
    measure: InfluenceOfTexts,
) -> Iterator[TrainingInfluence]:
    """The proponents and opponents of each text of a request."""
    check_count(k, "proponents and opponents")
    choices = [example.get("target") for example in request.examples]
    labels = [
        explainer.labels.index(max(outputs, key=outputs.__getitem__) if choice is None else choice)
        for choice, outputs in zip(choices, predicted, strict=True)
    ]
    queries = TrainingTexts(explainer.texts(request), _first_windows(explainer, request), labels)
    for q, scores in enumerate(measure.on(queries)):
        query = queries.part([q])
        best = scores.topk(min(k, len(scores))).indices.tolist()
        worst = scores.topk(min(k, len(scores)), largest=False).indices.tolist()
        make = partial(_examples, train=train, query=query, scores=scores, explainer=explainer, measure=measure)
        yield TrainingInfluence(
            text=queries.texts[q],
            label=explainer.labels.names[labels[q]],
            method=measure.method,
            proponents=make(best),
            opponents=make(worst),
            scores=scores.cpu().double().numpy(),
            model=explainer.name,
            **(_places(queries.windows[q]) if measure.method == "word_embeddings" else {}),
        )


def check_count(k: Any, named: str) -> None:
    """Raises InvalidInput for a k that is no count."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InvalidInput(f"k is how many {named} to name, at least 1; got {k!r}.")


def suspect_labels(measure: InfluenceOfTexts, k: int) -> SuspectLabels:
    """The training texts whose labels are most suspect, the most suspect first."""
    check_count(k, "training texts")
    scores = measure.on_themselves()
    order = scores.topk(min(k, len(scores))).indices.tolist()
    train, names = measure.train, measure.explainer.labels.names
    examples = tuple(
        TrainingExample(index=i, text=train.texts[i], label=names[train.labels[i]], score=float(scores[i]))
        for i in order
    )
    return SuspectLabels(examples=examples, method=measure.method, total=len(scores), model=measure.explainer.name)


def _places(window: TokenWindow) -> dict[str, Any]:
    """The tokens of a window, where they stand: the fields of `TokenPlaces`."""
    offsets = tuple((int(start), int(end)) for start, end in window.offsets)
    return {"tokens": tuple(window.tokens), "offsets": offsets, "segment": tuple(window.segment.tolist())}


def _examples(
    indices: Sequence[int],
    *,
    train: TrainingTexts,
    query: TrainingTexts,
    scores: Tensor,
    explainer: TextClassificationExplainer,
    measure: InfluenceOfTexts,
) -> tuple[TrainingExample, ...]:
    """Training texts by their indices, for word embeddings with the parts of their tokens."""
    chosen = train.part(indices)
    parts: Sequence[dict[str, Any]] = [{} for _ in indices]
    if measure.method == "word_embeddings":
        by_query, by_example = measure.split(query, chosen)
        parts = [
            {
                **_places(window),
                "token_scores": tuple(by_example[0, i, : len(window)].tolist()),
                "query_token_scores": tuple(by_query[0, i].tolist()),
            }
            for i, window in enumerate(chosen.windows)
        ]
    return tuple(
        TrainingExample(
            index=i,
            text=chosen.texts[n],
            label=explainer.labels.names[chosen.labels[n]],
            score=float(scores[i]),
            **parts[n],
        )
        for n, i in enumerate(indices)
    )
