"""Concepts in texts: does a classifier's output rise or fall as texts become more like some examples?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xai_nlp.concept.classifier import Classifier
from xai_nlp.concept.concept import Concept
from xai_nlp.concept.significance import ConceptSignificance
from xai_nlp.concept.tcav import TCAV
from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.models.tokenization import Text, TokenWindow
from xai_nlp.tasks import run
from xai_nlp.tasks.api import load
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.labels import LabelChoice
from xai_nlp.tasks.options import ExplainOptions

if TYPE_CHECKING:
    import pandas

TASK = "text-classification"
FEWEST = 2  # texts of a concept
RANDOM_SETS = 10  # at most
SHOWN = 20  # rows that are printed


@dataclass(frozen=True)
class ConceptScores(Sequence[ConceptSignificance]):
    """The scores of concepts at layers, concept by concept in each layer.

    rows: one for each concept and layer. target: the number that is read. texts: how many texts were read for it.
    """

    rows: tuple[ConceptSignificance, ...]
    target: str
    texts: int

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ConceptSignificance]:
        return iter(self.rows)

    def __repr__(self) -> str:
        width = max((len(one.concept) for one in self.rows[:SHOWN]), default=0)
        width = max(len("concept"), min(width, 40))
        lines = [
            f"ConceptScores of {self.target} in {self.texts} texts",
            f"{'concept':<{width}}  layer  sign count  magnitude  p, corrected",
        ]
        lines += [
            f"{one.concept[:width]:<{width}}  {one.layer!s:>5}  {one.sign_count:10.2f}  {one.magnitude:+9.3f}  "
            f"{one.adjusted_p_value:12.3f}"
            for one in self.rows[:SHOWN]
        ]
        return "\n".join([*lines, *([f"… {len(self) - SHOWN} more"] if len(self) > SHOWN else [])])

    def to_pandas(self) -> pandas.DataFrame:
        """A row for each concept and layer: the fields of `concept.ConceptSignificance`."""
        import pandas

        names = [one.name for one in fields(ConceptSignificance)]
        return pandas.DataFrame([asdict(one) for one in self.rows], columns=names)


def concepts(
    model: Any,
    concepts: Mapping[str, Sequence[Text]],
    texts: Sequence[Text],
    *,
    layer: int | Sequence[int] | None = None,
    target: LabelChoice | Sequence[LabelChoice] = None,
    random: Sequence[Text] | None = None,
    classifier: Classifier | str = "fastcav",
    pooling: str = "mean",
    permutations: int = 500,
    statistic: str = "magnitude",
    correction: str = "holm",
    seed: int = 0,
    save_path: str | os.PathLike[str] | None = None,
    **options: Any,
) -> ConceptScores:
    """Which concepts move a text classifier's output, at which layers, and is it more than chance?

    model: anything that `load` takes, or what it gave.
    concepts: name -> texts that show the concept, at least two; a dozen or more tell more. Pairs are tuples.
    texts: the texts whose output is read.
    layer: the number of a layer, counted from 0, or several; None is all.
    target: a label's name or index, a contrast "A-B", or one for each text; None is the label that each text gets.
    random: texts without the concepts, from where their texts might come too; None takes `texts`.
    classifier: finds the concepts' directions: "fastcav", "sgd" or a `concept.Classifier`.
    pooling: how tokens become one vector of a text: "mean", or "first" (BERT's [CLS]).
    permutations, statistic, correction, seed: of the test, see `concept.TCAV.significance`.
    save_path: a folder that keeps the activations for the next call; None keeps nothing.
    options: those of `load`.

    Scores: the share of the texts whose output rises along the concept's direction (sign count), the mean slope along
    it (magnitude, in logits), and p, corrected for all concepts and layers. See `concept.ConceptSignificance`.
    Raises InvalidInput for texts that are too few, UnknownName for a label or layer that does not exist, Unsupported
    for a model that does not classify texts.
    Source: Kim et al. 2018 (arXiv:1711.11279).

    >>> praise = ["wonderful and moving", "a great joy", "superb acting", "a lovely, warm film"]
    >>> films = ["a long film", "the plot is dull", "two sisters talk", "it is set in rome", "a bad joke", "fine music"]
    >>> found = concepts("sentiment", {"praise": praise}, films, layer=1, target="POSITIVE", permutations=50)
    >>> found[0].concept, found[0].layer, found[0].sign_count, found[0].magnitude > 0
    ('praise', 1, 1.0, True)
    """
    explainer = model if isinstance(model, Explainer) else load(model, **options)
    if isinstance(model, Explainer) and options:
        raise InvalidInput(f"{' and '.join(options)}: the model is loaded already; give it to xai_nlp.load instead.")
    if explainer.task.name != TASK:
        raise Unsupported(
            f"{explainer!r} does {explainer.task.title.lower()}; concepts are scored for a text classifier. "
            "xai_nlp.concept.TCAV takes any torch model."
        )
    _check_texts(concepts, texts, random)
    layers = _layers(explainer, layer)
    with frozen_model(explainer.model, evaluate=True):
        inputs, targets = _inputs(explainer, texts, target)
        of_concepts = [Concept(i, name, _batches(explainer, some)) for i, (name, some) in enumerate(concepts.items())]
        sets = _random_sets(texts if random is None else random, min(map(len, concepts.values())), seed)
        at_random = [Concept(-1 - i, f"random {i}", _batches(explainer, some)) for i, some in enumerate(sets)]
        tcav = TCAV(
            LabelReader(explainer),
            list(layers),
            explainer.name.replace("/", "-"),
            classifier,
            save_path=None if save_path is None else os.fspath(save_path),
            pooling=pooling,
        )
        test = dict(permutations=permutations, statistic=statistic, correction=correction, seed=seed)
        found = tcav.significance(inputs, of_concepts, at_random, **test)  # type: ignore[arg-type]
    number = {str(point): k for point, k in layers.items()}
    rows = tuple(replace(one, layer=number[str(one.layer)]) for one in found)
    read = targets[0] if len(set(targets)) == 1 else "the label that each text has as its target"
    return ConceptScores(rows, read, len(texts))


class LabelReader(nn.Module):
    """A text classifier that gives one number for each row: its logits times the weights of a target."""

    def __init__(self, explainer: Explainer) -> None:
        super().__init__()
        self.model, self.config = explainer.model, explainer.model.config
        self.training = False
        self._read = explainer.read

    def forward(self, weights: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """The numbers (R,), for weights (R, C); the logits (R, C) without them."""
        logits = self._read(self.model(**inputs))
        return logits if weights is None else (logits * weights).sum(1)


def _inputs(
    explainer: Explainer, texts: Sequence[Text], target: LabelChoice | Sequence[LabelChoice]
) -> tuple[dict[str, Tensor], list[str]]:
    """The texts as the model takes them, with the weights of their targets; and the targets in words."""
    request = explainer.request({"text": list(texts)}, {"target": target})
    windows = explainer.encode(request)
    targets = explainer.targets(request, windows, run.predict(explainer, windows, request.options.batching))
    if any(len(one.specs) != 1 for one in targets):
        raise InvalidInput(f"the target is one label for each text; got {target!r}.")
    inputs = explainer.batch(windows).inputs
    weights = torch.zeros(len(windows), *targets[0].weights[0].shape[1:])
    for one in targets:
        for window, of_window in zip(one.windows, one.weights, strict=True):
            weights[window] = of_window[0]
    return {**inputs, "weights": weights}, [str(one.specs[0]) for one in targets]


def _batches(explainer: Explainer, texts: Sequence[Text]) -> list[Mapping[str, Tensor]]:
    """Texts in batches, as the model takes them."""
    windows: list[TokenWindow] = explainer.encode_texts(list(texts), ExplainOptions())
    groups = explainer.divide(windows, matrices=False)
    return [explainer.batch([windows[i] for i in group]).inputs for group in groups]


def _random_sets(texts: Sequence[Text], size: int, seed: int) -> list[list[Text]]:
    """The texts in some random sets, of about the size of the smallest concept."""
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    count = max(1, min(RANDOM_SETS, len(texts) // size))
    return [[texts[i] for i in order[k::count]] for k in range(count)]


def _layers(explainer: Explainer, layer: int | Sequence[int] | None) -> dict[Any, int]:
    """The hook point of each layer, and its number. Raises UnknownName for one that does not exist."""
    numbers = range(len(explainer.adapter.layers)) if layer is None else [layer] if isinstance(layer, int) else layer
    if not numbers:
        raise InvalidInput("layer names no layer; give a number, a list of them, or None for all.")
    return {explainer.layer(k): k for k in numbers}


def _check_texts(concepts: Mapping[str, Sequence[Text]], texts: Sequence[Text], random: Sequence[Text] | None) -> None:
    """Raises InvalidInput where texts are no list, or too few."""
    if not isinstance(concepts, Mapping) or not concepts:
        raise InvalidInput(
            f'concepts is a dict from names to texts, {{"negation": ["not good", …]}}; got {concepts!r}.'
        )
    named = {f"the concept {name!r}": some for name, some in concepts.items()}
    named["texts"] = texts
    if random is not None:
        named["random"] = random
    for name, some in named.items():
        if isinstance(some, str) or not isinstance(some, Sequence):
            raise InvalidInput(f"{name} must be a list of texts; got {type(some).__name__}.")
        if len(some) < FEWEST:
            raise InvalidInput(f"{name} needs at least {FEWEST} texts; got {len(some)}.")
