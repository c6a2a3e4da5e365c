"""Explanations against rationales: the words or regions that people marked, or that are known to hold the evidence."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any

import numpy as np

from xai_nlp.core.spans import Span
from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.metrics.agreement import FeatureScores

IOU = 0.5  # a predicted span matches one that shares at least so much with it

Mask = Sequence[bool] | np.ndarray


@dataclass(frozen=True)
class PrecisionRecall:
    """How many of the marked ones are right, how many of the right ones are marked, and their harmonic mean."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def _pair(first: Any, truth: Mask) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays (M,). Raises InvalidInput for different lengths, and for none."""
    a, b = np.asarray(first), np.asarray(truth, dtype=bool)
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise InvalidInput(f"there is one value, and one mark, for each token or region; got {a.shape} and {b.shape}.")
    return a, b


def top_features(scores: FeatureScores, count: int) -> np.ndarray:
    """Marks the `count` features with the highest scores, of equals the first: (M,) bool.

    ERASER takes as many as rationales of the data set have on average.

    >>> top_features([0.1, 0.7, -2.0, 0.7], 1).tolist()
    [False, True, False, False]
    """
    marks = np.zeros(len(scores), dtype=bool)
    marks[np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")[: max(count, 0)]] = True
    return marks


def token_f1(predicted: Mask, truth: Mask) -> PrecisionRecall:
    """Precision and recall of marked tokens: 0 to 1 each.

    Misleads: people mark what convinces them, and a model may decide by other words; a low value is no proof of an
    unfaithful explanation, and a high one none of a faithful one. It depends on how many are marked.

    predicted, truth: (M,) bool, such as `top_features` of an explanation, and the rationale.
    Raises InvalidInput for different lengths.
    Source: DeYoung et al. 2020, section 4.1 (arXiv:1911.03429).

    >>> token_f1([True, True, False], [False, True, True]).f1
    0.5
    """
    marked, right = _pair(predicted, truth)
    count, of_truth, both = (int(marks.sum()) for marks in (marked.astype(bool), right, marked.astype(bool) & right))
    return PrecisionRecall(both / count if count else 0.0, both / of_truth if of_truth else 0.0)


def runs(marks: Mask) -> list[Span]:
    """The stretches of marked tokens, each from its first to behind its last.

    >>> runs([True, True, False, True])
    [(0, 2), (3, 4)]
    """
    spans, start = [], 0
    for marked, group in groupby(np.asarray(marks, dtype=bool).tolist()):
        end = start + len(list(group))
        if marked:
            spans.append((start, end))
        start = end
    return spans


def iou_f1(predicted: Sequence[Span], truth: Sequence[Span], *, least: float = IOU) -> PrecisionRecall:
    """Precision and recall of spans; a predicted one is right if it shares `least` of its union with a true one.

    Range: 0 to 1 each. Recall counts right predictions, as the published code does, so that two that match one span
    count twice; it is cut at 1.
    Misleads: as `token_f1` does; and words of which none are neighbours are spans of their own.

    predicted, truth: spans of tokens, such as `runs`.
    Source: DeYoung et al. 2020, section 4.1 (arXiv:1911.03429).

    >>> iou_f1([(0, 4)], [(1, 4), (8, 9)])
    PrecisionRecall(precision=1.0, recall=0.5)
    """
    right = sum(max((_iou(span, true) for true in truth), default=0.0) >= least for span in predicted)
    return PrecisionRecall(right / len(predicted) if predicted else 0.0, min(1.0, right / len(truth)) if truth else 0.0)


def _iou(a: Span, b: Span) -> float:
    shared = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    union = a[1] - a[0] + b[1] - b[0] - shared
    return shared / union if union else 0.0


def auprc(scores: FeatureScores, truth: Mask) -> float:
    """The area under the curve of precision over recall, as ever more features count as marked: 0 to 1.

    Random scores reach about the share of features that are marked in truth. NaN if none is.
    Misleads: as `token_f1` does, but for the number that is marked. Signed scores put what speaks against last.

    scores: (M,). truth: (M,) bool.
    Raises InvalidInput for different lengths.
    Source: DeYoung et al. 2020, section 4.1 (arXiv:1911.03429); trapezoids, as its published code.

    >>> auprc([0.9, 0.1, 0.5], [True, False, True])
    1.0
    """
    from sklearn.metrics import auc, precision_recall_curve

    values, right = _pair(scores, truth)
    if not right.any():
        return float("nan")
    precision, recall, _ = precision_recall_curve(right, values.astype(np.float64))
    return float(auc(recall, precision))


def pointing_game(scores: FeatureScores, truth: Mask) -> bool:
    """Is the feature with the highest score, of equals the first, a marked one?

    Over many examples, the share of hits, beside the share of features that are marked: what a random pick reaches.
    Misleads: it sees one feature only, and large objects are easily hit.

    scores: (M,). truth: (M,) bool; `inside_boxes` gives it for the regions of an image.
    Raises InvalidInput for different lengths.
    Source: Zhang et al. 2018, section 4.1 (arXiv:1608.00507), without its tolerance of 15 pixels.

    >>> pointing_game([0.1, 0.7, -2.0], [False, True, True])
    True
    """
    values, right = _pair(scores, truth)
    return bool(right[values.argmax()])


def inside_boxes(regions: Sequence[Sequence[float]], boxes: Sequence[Sequence[float]]) -> np.ndarray:
    """Which regions have their middle in one of the boxes: (M,) bool.

    regions, boxes: (left, top, right, bottom) each, in one unit, such as `ImageAttribution.boxes`.

    >>> inside_boxes([(0, 0, 2, 2), (2, 0, 4, 2)], [(0, 0, 2.5, 3)]).tolist()
    [True, False]
    """
    places = np.asarray(regions, dtype=np.float64).reshape(-1, 4)
    x, y = (places[:, :2] + places[:, 2:]).T / 2
    inside = np.zeros(len(places), dtype=bool)
    for left, top, right, bottom in boxes:
        inside |= (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return inside


@dataclass(frozen=True)
class RationaleExample:
    """One document of an annotation in the format of ERASER, and which of its tokens people marked."""

    id: str  # of the annotation
    document: str  # id of the document
    label: str
    query: str  # the question or the claim; "" if there is none
    tokens: tuple[str, ...]
    marks: tuple[bool, ...]  # of each token

    @property
    def text(self) -> str:
        """The tokens with a space between them."""
        return " ".join(self.tokens)

    @property
    def spans(self) -> list[Span]:
        """The characters of each token in `text`: `Explanation.spans` makes scores of tokens from them."""
        ends = list(accumulate(len(token) + 1 for token in self.tokens))
        return [(end - len(token) - 1, end - 1) for token, end in zip(self.tokens, ends, strict=True)]


def read_eraser(folder: str | os.PathLike[str], split: str = "test") -> Iterator[RationaleExample]:
    """The examples of a data set in the format of ERASER: `test.jsonl` beside `docs.jsonl`, or a folder `docs`.

    Each annotation gives an example for each document in which people marked something. Several evidences of one
    document count together.

    split: the name of the file of annotations, such as "train", "val" or "test".
    Raises UnreadableFile for another format, and for a document that is not there.
    Source: DeYoung et al. 2020 (arXiv:1911.03429), http://www.eraserbenchmark.com.
    """
    root = Path(folder)
    path = root / f"{split}.jsonl"
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        documents = _documents(root)
        for line in lines:
            marked: dict[str, list[Span]] = {}
            for evidence in (one for group in line["evidences"] for one in group):
                spans = marked.setdefault(str(evidence["docid"]), [])
                spans.append((int(evidence["start_token"]), int(evidence["end_token"])))
            for document, spans in marked.items():
                tokens = tuple(documents[document].split())
                marks = np.zeros(len(tokens), dtype=bool)
                for start, end in spans:
                    marks[start:end] = True
                yield RationaleExample(
                    str(line["annotation_id"]), document, str(line["classification"]), line.get("query") or "", tokens,
                    tuple(marks.tolist()),
                )  # fmt: skip
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} is not in ERASER's format: {type(error).__name__} {error}.") from None


def _documents(root: Path) -> Mapping[str, str]:
    """The texts of the documents by their ids, from one file or from a folder of files."""
    file = root / "docs.jsonl"
    if file.is_file():
        lines = map(json.loads, filter(str.strip, file.read_text(encoding="utf-8").splitlines()))
        return {str(line["docid"]): line["document"] for line in lines}
    folder = root / "docs"
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}


@dataclass(frozen=True)
class RationaleScores:
    """Means over examples."""

    token: PrecisionRecall  # means of precision and of recall
    token_f1: float  # the mean of the examples' own F1, which ERASER reports
    iou: PrecisionRecall
    auprc: float  # over the examples in which something is marked
    pointing: float  # the share of examples whose top token is marked
    chance: float  # what a random pick reaches in `pointing`
    examples: int


def rationale_scores(
    scores: Sequence[FeatureScores], truth: Sequence[Mask], *, share: float | None = None
) -> RationaleScores:
    """All of these measures over examples, as ERASER averages them: precision and recall first, then F1 of the means.

    scores: of the tokens of each example (M,). truth: which of them are marked (M,).
    share: the share of an example's tokens that count as marked by the explanation, rounded up; None is the mean share
        in truth, over the examples, as in ERASER.
    Raises InvalidInput for no examples and for different lengths.
    """
    if not scores or len(scores) != len(truth):
        raise InvalidInput(
            f"there are scores and marks for each of one or more examples; got {len(scores)} and {len(truth)}."
        )
    pairs = [_pair(own, marks) for own, marks in zip(scores, truth, strict=True)]
    share = float(np.mean([right.mean() for _, right in pairs])) if share is None else share
    predicted = [top_features(values, int(np.ceil(share * len(values) - 1e-9))) for values, _ in pairs]
    tokens = [token_f1(marks, right) for marks, (_, right) in zip(predicted, pairs, strict=True)]
    spans = [iou_f1(runs(marks), runs(right)) for marks, (_, right) in zip(predicted, pairs, strict=True)]
    areas = [auprc(*pair) for pair in pairs if pair[1].any()]
    return RationaleScores(
        token=_means(tokens),
        token_f1=float(np.mean([one.f1 for one in tokens])),
        iou=_means(spans),
        auprc=float(np.mean(areas)) if areas else float("nan"),
        pointing=float(np.mean([pointing_game(*pair) for pair in pairs])),
        chance=float(np.mean([right.mean() for _, right in pairs])),
        examples=len(pairs),
    )


def _means(each: Sequence[PrecisionRecall]) -> PrecisionRecall:
    return PrecisionRecall(
        float(np.mean([one.precision for one in each])), float(np.mean([one.recall for one in each]))
    )
