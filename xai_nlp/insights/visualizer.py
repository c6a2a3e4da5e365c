"""Captum Insights' names: examples of a data set, explained for models of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from torch import Tensor, nn

from xai_nlp._version import __version__
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import UnknownName
from xai_nlp.insights.calculation import (
    Batch,
    OutputScore,
    Sample,
    attribute,
    model_output,
    net_contributions,
    top_classes,
    transform,
)
from xai_nlp.insights.config import METHODS, arguments_of, find_captum_method, needs_baseline, parse_arguments
from xai_nlp.insights.features import BaseFeature, FeatureOutput, all_have_parts, explanation_parts, listed
from xai_nlp.insights.source import PREDICTED, Explained, Settings, Source
from xai_nlp.web.forms import form_fields

FIRST = "Integrated Gradients"


class VisualizationOutput(NamedTuple):
    """One example explained for one model.

    actual: the right class with a score of 100, or None; predicted: the classes with the highest scores, highest first;
    active_index: the class explained.
    """

    feature_outputs: list[FeatureOutput]
    actual: OutputScore | None
    predicted: list[OutputScore]
    active_index: int
    model_index: int


class AttributionVisualizer(Source[Sample]):
    """Explains examples of a data set for one or several models, and shows them: `render()` in a notebook.

    models: modules whose inputs are the features in order; features: what each input tensor is.
    classes: names of the classes; dataset: batches, of which as many are read as are needed.
    score_func: makes scores of classes out of the output, such as a softmax; the output itself is explained.
    use_label_for_attr: False where the output is one number, from which the class is read.
    Source: the class of this name in Captum 0.7 (captum.insights), which later versions no longer have.

    >>> import torch
    >>> from xai_nlp.insights import GeneralFeature
    >>> model = nn.Linear(2, 2)
    >>> with torch.no_grad(): _ = model.weight.copy_(torch.eye(2)), model.bias.zero_()
    >>> data = [Batch(torch.tensor([[3.0, 1.0]]), labels=torch.tensor([0]))]
    >>> shown = AttributionVisualizer(model, ["a", "b"], GeneralFeature("x", ["p", "q"]), data, num_examples=1)
    >>> [[one]] = shown.visualize()
    >>> one.predicted[0].label, one.feature_outputs[0].base
    ('a', ['p: 3.00', 'q: 1.00'])
    """

    def __init__(
        self,
        models: list[nn.Module] | nn.Module,
        classes: list[str],
        features: list[BaseFeature] | BaseFeature,
        dataset: Iterable[Batch],
        score_func: Callable[[Tensor], Tensor] | None = None,
        use_label_for_attr: bool = True,
        num_examples: int = 4,
    ) -> None:
        self.models = listed(models)
        self.features = listed(features)
        self.classes = list(classes)
        self.dataset = dataset
        self.score_func, self.use_label_for_attr = score_func, use_label_for_attr
        super().__init__(Settings(method=FIRST, examples=num_examples), _samples(dataset))

    # Captum's names -------------------------------------------------------------------------------------------------

    def visualize(self) -> list[list[VisualizationOutput]]:
        """The next examples that the settings accept: for each, one output a model."""
        return [[one.output for one in example] for example in self.next_results()]

    def render(self, debug: bool = True) -> None:
        """Show the widget in a notebook. Raises Unsupported without anywidget. `debug` changes nothing."""
        from xai_nlp.insights.widget import Insights

        Insights(self)._ipython_display_()

    def serve(
        self, blocking: bool = False, debug: bool = False, port: int | None = None, bind_all: bool = False
    ) -> int:
        """Show the same on a page of its own, print its address, and return its port.

        blocking: return only when it is interrupted. bind_all: for other machines too. `debug` changes nothing.
        """
        from xai_nlp.insights.page import serve

        return serve(self, port=port, blocking=blocking, bind_all=bind_all)

    # Source ---------------------------------------------------------------------------------------------------------

    def choices(self) -> dict[str, Any]:
        return {
            "methods": {name: form_fields(arguments_of(one)) for name, one in METHODS.items()},
            "options": [],
            "targets": [PREDICTED, *self.classes],
            "contrasts": [],
            "several": False,
            "inputs": [],
            "classes": self.classes,
            "judged": True,
        }

    def explain_example(self, example: Sample, *, filtered: bool) -> list[Explained]:
        transformed = transform(self.features, example)
        results = []
        for index, model in enumerate(self.models):
            output = model_output(model, transformed.inputs, transformed.extra)
            predicted = top_classes(self.score_func(output) if self.score_func else output, self.classes)
            right = None if example.label is None else predicted[0].index == example.label
            if not filtered or self.settings.accept(predicted[0].label, right):
                results.append(self._explain(example, transformed, index, output, predicted))
        return results

    def _explain(
        self, sample: Sample, transformed: Sample, index: int, output: Tensor, predicted: list[OutputScore]
    ) -> Explained:
        settings, model = self.settings, self.models[index]
        if settings.target not in (PREDICTED, *self.classes):
            raise UnknownName("class", settings.target, self.classes)
        target = predicted[0].index if settings.target == PREDICTED else self.classes.index(settings.target)
        method = find_captum_method(settings.method)
        options = parse_arguments(method, settings.arguments)
        scores = attribute(model, transformed, target if self.use_label_for_attr else None, method, options)
        shares = net_contributions(scores)
        features = [
            feature.visualize(score, data, share)
            for feature, score, data, share in zip(self.features, scores, sample.inputs, shares, strict=True)
        ]
        actual = None if sample.label is None else OutputScore(100.0, sample.label, self.classes[sample.label])
        baseline_value = 0.0
        if needs_baseline(method):
            baseline_value = _at(model_output(model, transformed.baselines, transformed.extra), target)
        parts, names = explanation_parts(self.features, scores, sample.inputs)
        contributions = {feature.name: share for feature, share in zip(self.features, shares, strict=True)}
        why = Explanation(
            **parts,
            unit="output",
            target=TargetSpec(kind="label", label=self.classes[target], position=target, unit="output"),
            value=_at(output, target),
            baseline_value=baseline_value,
            outputs={one.label: one.score for one in predicted},
            method=settings.method.lower().replace(" ", "_"),
            baseline="given" if needs_baseline(method) else "none",
            complete=method(model).has_convergence_delta() and all_have_parts(self.features),
            task="feature attribution",
            model=_names(self.models)[index],
            params={**options, "contributions": contributions, "names": names},
            gold=(actual.label,) if actual else (),
            versions={"xai_nlp": __version__},
        )
        return Explained(why, VisualizationOutput(features, actual, predicted, target, index))


def _samples(dataset: Iterable[Batch]) -> Iterator[Sample]:
    try:
        for batch in dataset:
            yield from batch.examples()
    except RuntimeError as error:  # a generator that calls `next` until nothing is left, as Captum's tutorials do
        if not isinstance(error.__cause__, StopIteration):
            raise


def _at(output: Tensor, target: int) -> float:
    flat = output.flatten()
    return float(flat[target] if flat.numel() > 1 else flat[0])


def _names(models: list[nn.Module]) -> list[str]:
    """What models are called: their class, with a number where two are of the same."""
    kinds = [type(model).__name__ for model in models]
    return [kind if kinds.count(kind) == 1 else f"{kind} {n}" for n, kind in enumerate(kinds, start=1)]
