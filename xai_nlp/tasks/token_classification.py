"""Token classification: which words of a text made the model read an entity as it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import SPECIAL, Explanation, TargetSpec
from xai_nlp.core.spans import Span, as_span
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.entities import AGGREGATIONS, OUTSIDE, Entity, EntityGrouping
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import TokenWindow, segments_of, windows_of_examples
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import EVERY, SCORE_UNITS, Task


class TokenClassificationExplainer(Explainer):
    """Explains any `AutoModelForTokenClassification`: named entities, parts of speech.

    An entity is joined from its tokens as the pipeline of transformers does it. Its number is the mean over its tokens
    of the output of their label, B- and I- labels of its type.
    """

    task_name: ClassVar[str] = "token-classification"
    token_axis: ClassVar[int | None] = 0

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        config = self.model.config
        self.labels = tuple(str(config.id2label[i]) for i in range(config.num_labels))
        self.types = tuple(dict.fromkeys(_type_of(label) for label in self.labels))
        self.grouping = EntityGrouping(self.model, self.tokenizer)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}: {', '.join(self.types[:6])}>"

    def explain(
        self,
        text: str | Sequence[str],
        *,
        entity: str | Span | None = None,
        target: str | None = None,
        rather_than: str | None = None,
        aggregation: str = "simple",
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token: how much it drove the type of one entity.

        text: a string, or a list of them.
        entity: a stretch of the text, or its characters (start, end); None is the entity that the model is surest of;
            "all" gives one explanation for each entity, from the same passes.
        target: a type, such as "PER"; None is the one that the model reads. rather_than: another type; then the
            difference is explained, why this type and not that one.
        aggregation: "simple", "first", "average" or "max": how tokens become entities, as in the pipeline.
        options: those of `tasks.options.ExplainOptions` and of the method.

        Raises UnknownName for a type that does not exist, InvalidInput for a text without an entity, and for an entity
        that the text does not hold.
        """
        own = {"entity": entity, "target": target, "rather_than": rather_than, "aggregation": aggregation}
        return self._explain({"text": text}, {**own, **options})

    def gives_several(self, request: Request) -> bool:
        return bool(request.own.get("entity") == EVERY)

    def read(self, output: Any) -> Tensor:
        """The logits of every token: (R, L, C)."""
        return self.output_field(output, "logits", ("rows", "tokens", "labels"))

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        own, unit = request.own, request.options.unit or self.unit
        check_choice("unit", unit, SCORE_UNITS)
        aggregation = own.get("aggregation") or "simple"
        check_choice("aggregation", aggregation, AGGREGATIONS)
        members = windows_of_examples(windows, len(request.examples))
        results = []
        for e, of_text in enumerate(members):
            text = request.examples[e]["text"]
            own_windows = [windows[w] for w in of_text]
            logits = [outputs[w][: len(windows[w])].cpu() for w in of_text]
            read = self.grouping.entities(text, own_windows, logits, aggregation)
            name = f"text {e}" if len(members) > 1 else "the text"
            for one in _chosen(own.get("entity"), text, read, own_windows, name):
                listed = [[text[slice(*other.span)], other.type, other.probability] for other in read]
                target = self._target(text, one, own_windows[one.window], logits[one.window], own, unit)
                results.append(replace(target, windows=(of_text[one.window],), notes={"entities": listed}))
        return results

    def _target(
        self, text: str, entity: Entity, window: TokenWindow, logits: Tensor, own: Mapping[str, Any], unit: str
    ) -> ExampleTarget:
        """One entity: the mean of its type's output over its tokens, less that of the contrast."""
        tokens = _tokens_of(window, entity.span)
        probabilities = self._type_probabilities(logits[tokens])
        entities = {name: share for name, share in probabilities.items() if name != OUTSIDE}
        label = own.get("target") or entity.type or max(entities, key=entities.__getitem__)
        contrast = own.get("rather_than")
        if label == contrast:
            raise InvalidInput(f"the contrast compares {label!r} with itself.")
        weights = torch.zeros(1, *logits.shape)
        for name, sign in ((label, 1.0), (contrast, -1.0)):
            if name is not None:
                weights[0, tokens, self._labels_of(name, logits[tokens])] += sign / len(tokens)
        part = text[slice(*entity.span)]
        return ExampleTarget(
            segments=segments_of(text),
            windows=(),
            specs=(TargetSpec(kind="entity", label=label, contrast=contrast, answer=part, unit=unit),),
            weights=(weights.to(device_of(self.model)),),
            link=unit,
            outputs=probabilities,
            answer=(0, entity.span),
        )

    def _type_probabilities(self, logits: Tensor) -> dict[str, float]:
        """Each type's probability, the mean over the tokens of an entity (n, C)."""
        mean = logits.double().softmax(-1).mean(0).tolist()
        shares = dict.fromkeys(self.types, 0.0)
        for label, share in zip(self.labels, mean, strict=True):
            shares[_type_of(label)] += share
        return shares

    def _labels_of(self, type: str, logits: Tensor) -> list[int]:
        """The label of that type that the model gives most to, for each token of an entity (n, C)."""
        if type not in self.types:
            raise UnknownName("entity type", type, self.types)
        members = [i for i, label in enumerate(self.labels) if _type_of(label) == type]
        return [members[k] for k in logits[:, members].argmax(1).tolist()]


def _chosen(
    entity: Any, text: str, read: Sequence[Entity], windows: Sequence[TokenWindow], name: str
) -> Sequence[Entity]:
    """The entities to explain, of those that the model reads. Raises InvalidInput if there is none."""
    if entity is None or entity == EVERY:
        if not read:
            raise InvalidInput(f"the model reads no entity in {name}; name a stretch of it: entity='…'.")
        return read if entity == EVERY else [max(read, key=lambda one: one.probability)]
    if isinstance(entity, str):
        start = text.find(entity) if entity.strip() else -1
        span = (start, start + len(entity))
    else:
        span = as_span(entity, "an entity")
    if not 0 <= span[0] < span[1] <= len(text):
        raise InvalidInput(f"{name} does not hold the entity {entity!r}; give it letter for letter.")
    for w, window in enumerate(windows):
        if _tokens_of(window, span) and window.offsets[:, 1].max() >= span[1]:
            return [next((one for one in read if one.span == span), Entity("", span, 0.0, w))]
    raise InvalidInput(f"the tokenizer finds no token in {text[slice(*span)]!r}; name another stretch.")


def _tokens_of(window: TokenWindow, span: Span) -> list[int]:
    """The tokens of a window that share characters with a stretch of the text."""
    touched = (window.segment != SPECIAL) & (window.offsets[:, 0] < span[1]) & (window.offsets[:, 1] > span[0])
    return touched.nonzero()[0].tolist()


def _type_of(label: str) -> str:
    """The type of a label in the B-, I- scheme.

    >>> _type_of("B-PER"), _type_of("I-PER"), _type_of("NOUN")
    ('PER', 'PER', 'NOUN')
    """
    return label[2:] if label.startswith(("B-", "I-")) else label
