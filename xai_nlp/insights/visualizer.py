"""`AttributionVisualizer`: models of any kind, and what their features brought, by Captum Insights' names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, nn

from xai_nlp.core.result import Explanation, Explanations, TargetSpec
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.insights.calculation import Batch, Calculation, OutputScore, Ready, Sample, net_contributions
from xai_nlp.insights.config import METHODS, defaults, offered
from xai_nlp.insights.features import BaseFeature, FeatureOutput
from xai_nlp.insights.settings import AS_PREDICTED, Settings, form_of
from xai_nlp.insights.to_explanation import Told, explanation

if TYPE_CHECKING:
    from xai_nlp.insights.widget import Insights

FIRST = "Integrated Gradients"
LOOKED = 1_000  # examples, before those that were found have to do


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


class _Explained(NamedTuple):
    output: VisualizationOutput
    drawn: Explanation


class AttributionVisualizer:
    """Explains examples of a data set for one or several models, and shows them: `render()` in a notebook.

    models: modules whose inputs are the features in order; features: what each input tensor is.
    classes: names of the classes; dataset: batches, of which as many are read as are needed.
    score_func: makes scores of classes out of the output, such as a softmax; the output itself is explained.
    use_label_for_attr: False where the output is one number, from which the class is read.
    Source: the class of this name in Captum 0.7 (captum.insights), which later versions no longer have.

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
        self.models = list(models) if isinstance(models, (list, tuple)) else [models]
        self.features = list(features) if isinstance(features, (list, tuple)) else [features]
        self.classes = list(classes)
        self.dataset = dataset
        self.calculation = Calculation(self.classes, self.features, score_func, use_label_for_attr)
        self.settings = Settings(method=FIRST, arguments=defaults(FIRST), examples=num_examples)
        self._samples = _samples(dataset)
        self._read: list[Sample] = []  # to begin again when the data is at its end
        self._place = 0
        self._shown: list[Sample] = []

    # Captum's names -------------------------------------------------------------------------------------------------

    def visualize(self) -> list[list[VisualizationOutput]]:
        """The next examples that the settings keep: for each, one output a model."""
        return [[one.output for one in example] for example in self._next()]

    def render(self, debug: bool = True) -> None:
        """Show the widget in a notebook. Raises Unsupported without anywidget. `debug` changes nothing."""
        self._widget()._ipython_display_()

    def serve(
        self, blocking: bool = False, debug: bool = False, port: int | None = None, bind_all: bool = False
    ) -> int:
        """Show the same on a page of its own, and give its port.

        blocking: come back only when it is interrupted. bind_all: for other machines too, who need the token that the
        address printed has. `debug` changes nothing.
        """
        from xai_nlp.insights.serve import serve

        return serve(self, port=port, everywhere=bind_all, blocking=blocking)

    # What the widget asks -------------------------------------------------------------------------------------------

    def choices(self) -> dict[str, Any]:
        """What can be chosen."""
        return {
            "methods": {name: form_of(one.arguments) for name, one in METHODS.items()},
            "targets": [AS_PREDICTED, *self.classes],
            "classes": self.classes,
            "judged": True,
        }

    def fetch(self) -> Explanations:
        """The next examples, explained as the settings say."""
        return Explanations(one.drawn for example in self._next() for one in example)

    def again(self) -> Explanations:
        """The examples shown last, explained as the settings say now; the next ones where none were."""
        if not self._shown:
            return self.fetch()
        return Explanations(one.drawn for sample in self._shown for one in self._explained(sample, keep=True))

    # How it comes about ---------------------------------------------------------------------------------------------

    def _widget(self) -> Insights:
        from xai_nlp.insights.widget import Insights

        return Insights(self)

    def _next(self) -> list[list[_Explained]]:
        """As many examples as the settings ask for; fewer where one round through the data finds fewer."""
        found, self._shown = [], []
        for sample in self._round():
            if explained := self._explained(sample):
                found.append(explained)
                self._shown.append(sample)
            if len(found) == self.settings.examples:
                break
        return found

    def _round(self) -> Iterator[Sample]:
        """What was not read yet, then what was, from the beginning; nothing twice, and at most LOOKED."""
        given = 0
        for sample in self._samples:
            self._read.append(sample)
            given += 1
            yield sample
            if given == LOOKED:
                return
        if not self._read:
            raise InvalidInput("the data set gives no example.")
        while given < len(self._read):
            given, self._place = given + 1, self._place % len(self._read) + 1
            yield self._read[self._place - 1]

    def _explained(self, sample: Sample, keep: bool = False) -> list[_Explained]:
        """The example for each model that the settings keep it for; `keep`: for every model."""
        ready = self.calculation.ready(sample)
        found = []
        for index, model in enumerate(self.models):
            output = self.calculation.output(model, ready.inputs, sample)
            predicted = self.calculation.predicted(output)
            right = None if sample.label is None else predicted[0].index == sample.label
            if keep or self.settings.keeps(predicted[0].label, right):
                found.append(self._one(sample, ready, index, output, predicted))
        return found

    def _one(
        self, sample: Sample, ready: Ready, index: int, output: Tensor, predicted: list[OutputScore]
    ) -> _Explained:
        settings, model = self.settings, self.models[index]
        asked = settings.target
        if asked not in (AS_PREDICTED, *self.classes):
            raise UnknownName("class", asked, self.classes)
        target = predicted[0].index if asked == AS_PREDICTED else self.classes.index(asked)
        method = offered(settings.method)
        scores = self.calculation.attributed(model, ready, sample, target, settings.method, dict(settings.arguments))
        shares = net_contributions(scores)
        pairs = zip(self.features, scores, sample.inputs, shares, strict=True)
        actual = None if sample.label is None else OutputScore(100.0, sample.label, self.classes[sample.label])
        needs_baseline = settings.method not in ("Saliency", "Input X Gradient", "Guided Backprop", "Deconvolution")
        start = self.calculation.output(model, ready.baselines, sample) if needs_baseline else None
        told = Told(
            target=TargetSpec(kind="label", label=self.classes[target], position=target, unit="output"),
            value=_at(output, target),
            baseline_value=0.0 if start is None else _at(start, target),
            outputs={one.label: one.score for one in predicted},
            method=settings.method,
            options={
                **settings.arguments,
                "contributions": dict(zip(map(_name, self.features), shares, strict=True)),
            },
            complete=method.complete,
            needs_baseline=needs_baseline,
            model=_names(self.models)[index],
            gold=(actual.label,) if actual else (),
        )
        return _Explained(
            VisualizationOutput(
                [feature.visualize(score, data, share) for feature, score, data, share in pairs],
                actual, predicted, target, index,
            ),
            explanation(self.features, scores, sample.inputs, told),
        )  # fmt: skip


def _samples(dataset: Iterable[Batch]) -> Iterator[Sample]:
    try:
        for batch in dataset:
            yield from batch.examples()
    except RuntimeError as error:  # a generator that calls `next` until nothing is left, as Captum's tutorials do
        if not isinstance(error.__cause__, StopIteration):
            raise


def _name(feature: BaseFeature) -> str:
    return feature.name


def _at(output: Tensor, target: int) -> float:
    flat = output.flatten()
    return float(flat[target] if flat.numel() > 1 else flat[0])


def _names(models: list[nn.Module]) -> list[str]:
    """What models are called: their class, with a number where two are of the same."""
    kinds = [type(model).__name__ for model in models]
    return [kind if kinds.count(kind) == 1 else f"{kind} {n}" for n, kind in enumerate(kinds, start=1)]
