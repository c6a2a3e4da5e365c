"""Zero-shot classification: a model of natural language inference chooses among labels that it was never trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from typing_extensions import Unpack

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.offload import device_of
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import Text, TokenWindow, segments_of, windows_of_examples
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.explainer import Explainer, check_choice
from xai_nlp.tasks.options import ExplainKeywords, Request
from xai_nlp.tasks.task import EVERY, SCORE_UNITS, Task

TEMPLATE = "This example is {}."


class ZeroShotClassificationExplainer(Explainer):
    """Explains which words of a text, and of a label's hypothesis, made a model of inference choose the label.

    The model is any `AutoModelForSequenceClassification` with a label that begins with "entail". It reads the text with
    one hypothesis for each label, as the pipeline of transformers does. The number of a label is the entailment logit
    of its pair. With `multi_label` its probability is that of entailment against contradiction.
    """

    task_name: ClassVar[str] = "zero-shot-classification"
    mean_of_windows: ClassVar[bool] = True
    divided_segment: ClassVar[int | None] = 0  # the text; a window holds all of the hypothesis

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        super().__init__(loaded, task)
        names = [str(self.model.config.id2label[i]) for i in range(self.model.config.num_labels)]
        entails = [i for i, name in enumerate(names) if name.lower().startswith("entail")]
        if not entails or len(names) < 2:
            raise Unsupported(
                f'zero-shot classification needs a model of inference, with a label "entailment"; {self.name} has '
                f"{', '.join(map(repr, names))}."
            )
        self.entailment = entails[0]
        self.contradiction = len(names) - 1 if self.entailment == 0 else 0  # as the pipeline takes it

    def explain(
        self,
        text: str | Sequence[str],
        labels: str | Sequence[str] | Sequence[Sequence[str]],
        *,
        target: str | None = None,
        template: str = TEMPLATE,
        multi_label: bool = False,
        **options: Unpack[ExplainKeywords],
    ) -> Explanation | Explanations:
        """One signed score for each token of the text and of the label's hypothesis: how much it drove the label.

        text: a string, or a list of them.
        labels: a list of labels, or a line of them with commas; a list of lists gives each text its own.
        target: one of the labels; None is the best one; "all" gives one explanation for each label.
        template: the hypothesis, with {} in the place of the label.
        multi_label: several labels may be true. Probabilities are those of entailment against contradiction, and `unit`
            may be "probability" or "log-probability". Otherwise they add up to 1 over the labels, and the unit is
            "logit".
        options: those of `tasks.options.ExplainOptions` and of the method. A long text is explained as the mean over
            its windows.

        Raises InvalidInput for a template without {} and for labels that are empty or stand twice, UnknownName for a
        target that is no label.
        """
        own = {"target": target, "template": template, "multi_label": multi_label}
        return self._explain({"text": text, "labels": labels}, {**own, **options})

    def request(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
        request = super().request(inputs, options)
        template = request.own.get("template") or TEMPLATE
        if _hypothesis(template, "one") == _hypothesis(template, "other"):
            raise InvalidInput(f"the template needs {{}} in the place of the label; got {template!r}.")
        for e, example in enumerate(request.examples):
            labels = example["labels"]
            if not labels or len(set(labels)) < len(labels):
                raise InvalidInput(f"labels are one or more, each once; got {', '.join(map(repr, labels)) or 'none'}.")
            segments_of(example["text"], f"text {e}" if len(request.examples) > 1 else "the text")
        return request

    def gives_several(self, request: Request) -> bool:
        return bool(request.own.get("target") == EVERY)

    def texts(self, request: Request) -> list[Text]:
        """The pairs of text and hypothesis, label by label: those of the first example first."""
        template = request.own.get("template") or TEMPLATE
        return [
            (example["text"], _hypothesis(template, label))
            for example in request.examples
            for label in example["labels"]
        ]

    def read(self, output: Any) -> Tensor:
        """The logits of contradiction and of entailment: (R, 2)."""
        return output.logits[:, [self.contradiction, self.entailment]]

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        pairs = self.texts(request)
        members = windows_of_examples(windows, len(pairs))
        logits = torch.stack([torch.stack([outputs[w] for w in of_pair]).double().mean(0).cpu() for of_pair in members])
        weights = torch.tensor([[0.0, 1.0]], device=device_of(self.model))
        results, start = [], 0
        for e, example in enumerate(request.examples):
            labels = example["labels"]
            places = range(start, start + len(labels))
            start += len(labels)
            multi_label = bool(request.own.get("multi_label")) or len(labels) == 1
            probabilities = _probabilities(logits[list(places)], multi_label)
            unit = self._unit(request, multi_label)
            for k in _chosen(request.own.get("target"), labels, probabilities):
                of_pair = members[places[k]]
                results.append(
                    ExampleTarget(
                        segments=segments_of(pairs[places[k]]),
                        windows=tuple(of_pair),
                        specs=(TargetSpec(kind="label", label=labels[k], position=k, unit=unit),),
                        weights=(weights,) * len(of_pair),
                        link=unit,
                        outputs=dict(zip(labels, probabilities.tolist(), strict=True)),
                        example=e,
                    )
                )
        return results

    def _unit(self, request: Request, multi_label: bool) -> str:
        unit = request.options.unit or self.unit
        check_choice("unit", unit, SCORE_UNITS)
        if unit != "logit" and not multi_label:
            raise InvalidInput(
                f"the {unit} of one of several labels depends on the pairs of all labels, and one pair is explained; "
                "use unit='logit', or multi_label=True."
            )
        return unit


def _hypothesis(template: str, label: str) -> str:
    """The template about a label. Raises InvalidInput for one that cannot be filled in."""
    try:
        return template.format(label)
    except (IndexError, KeyError, ValueError, AttributeError):
        raise InvalidInput(f"the template holds one {{}}, and no other braces; got {template!r}.") from None


def _probabilities(logits: Tensor, multi_label: bool) -> Tensor:
    """Each label's probability (K,), of the logits (K, 2) of contradiction and of entailment."""
    return logits.softmax(1)[:, 1] if multi_label else logits[:, 1].softmax(0)


def _chosen(target: str | None, labels: Sequence[str], probabilities: Tensor) -> list[int]:
    """The labels that are explained, by their places."""
    if target == EVERY and EVERY not in labels:
        return list(range(len(labels)))
    if target is None:
        return [int(probabilities.argmax())]
    if target not in labels:
        raise UnknownName("label", target, labels, f"{EVERY!r} explains each of them.")
    return [labels.index(target)]
