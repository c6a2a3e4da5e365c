"""A metric of a model's outputs under several attacks, beside that of the original inputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from torch import Tensor

from xai_nlp.attr.base import check_count
from xai_nlp.attr.stats import Max, Mean, Min, Stat, Summarizer
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.core.forward import as_tuple
from xai_nlp.robust.trials import Trial, TrialModel

ORIGINAL = "Original"
Result = TypeVar("Result")  # of the metric


class NameTaken(CaptumAssertion, RuntimeError):
    """An attack with the name of one that is there."""


class Attack(NamedTuple):
    """An attack of a comparator."""

    attack: Callable[..., Any]
    num_attempts: int
    apply_before_preproc: bool
    attack_kwargs: dict[str, Any]
    additional_arg_names: list[str]


def mean_over_examples(value: Any) -> Any:
    """The mean over the first axis of a tensor, or of each tensor of a tuple; numbers as they are."""
    if isinstance(value, Tensor):
        return (value if value.is_floating_point() or value.is_complex() else value.float()).mean(dim=0)
    return tuple(map(mean_over_examples, value)) if isinstance(value, tuple) else value


class AttackComparator(Generic[Result]):
    """Compares what attacks do to a metric of a model's outputs.

    forward_func: the model, or any function of the (preprocessed) inputs.
    metric: a function of the outputs, and of the keywords of `evaluate`, that returns a number, a tensor, or a tuple or
        NamedTuple of them.
    preproc_fn: makes inputs of the model from inputs of any type.

    >>> comparator = AttackComparator(lambda x: x, lambda outputs, labels: (outputs.argmax(1) == labels).float())
    >>> comparator.add_attack(lambda inputs: inputs.flip(1), "flipped")
    >>> result = comparator.evaluate(torch.tensor([[3.0, 1.0]]), labels=torch.tensor([0]))
    >>> result["Original"], result["flipped"]
    (tensor([1.]), {'mean': tensor([0.])})
    """

    def __init__(
        self,
        forward_func: Callable[..., Any],
        metric: Callable[..., Result],
        preproc_fn: Callable[..., Any] | None = None,
    ) -> None:
        self.forward_func = forward_func
        self.metric = metric
        self.preproc_fn = preproc_fn
        self.attacks: dict[str, Attack] = {}
        self.summary_results: dict[str, Summarizer] = {}
        self.metric_aggregator: Callable[[Any], Any] = mean_over_examples
        self.batch_stats: list[Callable[[], Stat]] = [Mean, Min, Max]
        self.aggregate_stats: list[Callable[[], Stat]] = [Mean]
        self.out_format: Callable[..., Any] | None = None

    def add_attack(
        self,
        attack: Callable[..., Any],
        name: str | None = None,
        num_attempts: int = 1,
        apply_before_preproc: bool = True,
        attack_kwargs: dict[str, Any] | None = None,
        additional_attack_arg_names: list[str] | None = None,
    ) -> None:
        """Add an attack to compare.

        attack: a function or `Perturbation` of the inputs. One with a `layer` changes the tensors there; the model gets
            the inputs as they are.
        name: its name in the results; by default that of its class.
        num_attempts: attacks for each batch, for those that are random; results then have their mean, min and max.
        apply_before_preproc: attack the inputs before preprocessing.
        attack_kwargs: further arguments of the attack.
        additional_attack_arg_names: keywords of `evaluate` that the attack takes too, such as the labels.
        Raises NameTaken for the name of an attack that is there, CaptumAssertion for less than one attempt.
        """
        name = type(attack).__name__ if name is None else name
        check_count("num_attempts", num_attempts)
        if name in self.attacks:
            raise NameTaken(f"there is an attack {name!r} already; give another `name`.")
        self.attacks[name] = Attack(
            attack, num_attempts, apply_before_preproc, attack_kwargs or {}, additional_attack_arg_names or []
        )

    def evaluate(
        self, inputs: Any, additional_forward_args: object | None = None, perturbations_per_eval: int = 1, **kwargs: Any
    ) -> dict[str, Any]:
        """The metric of the original inputs, under "Original", and of each attack, under its name.

        An attack has a dictionary: "mean", and with several attempts "max" and "min" too, over the attempts.

        inputs: an example of any type, a batch (B, …), or a tuple of batches.
        additional_forward_args: further arguments of the forward function, a tuple if there are several.
        perturbations_per_eval: attacked copies in each forward pass.
        kwargs: arguments of the metric, and of the attacks that name them.

        Warns of an argument that an attack names and that is not given.
        """
        check_count("perturbations_per_eval", perturbations_per_eval)
        extra = () if additional_forward_args is None else as_tuple(additional_forward_args)
        model = TrialModel(self.forward_func, self.preproc_fn, extra)
        summarizers = {ORIGINAL: Summarizer([Mean()])}
        for name, attack in self.attacks.items():
            stats = self.batch_stats if attack.num_attempts > 1 else [Mean]
            summarizers[name] = Summarizer([stat() for stat in stats])
        for trial, output in model.outputs(self._trials(model, inputs, kwargs), perturbations_per_eval):
            value: Any = self.metric(output, **kwargs)
            if self.out_format is None and hasattr(value, "_fields"):
                self.out_format = type(value)
            summarizers[trial.label].update(value)
        results = {name: self._by_stat(summarizer) for name, summarizer in summarizers.items()}
        results[ORIGINAL] = results[ORIGINAL]["mean"]
        self._add_to_summary(results)
        return results

    def summary(self) -> dict[str, dict[str, Any]]:
        """The mean over all calls of `evaluate` since the last `reset`, each call's examples averaged first.

        Keys are "Original" and the names of the attacks; those with several attempts have one each for the mean, the
        smallest and the largest of them: "name Mean Attempt", "name Min Attempt", "name Max Attempt".
        """
        return {name: self._by_stat(summarizer) for name, summarizer in self.summary_results.items()}

    def reset(self) -> None:
        """Forget the calls of `evaluate` so far."""
        self.summary_results = {}

    def _trials(self, model: TrialModel, inputs: Any, known: dict[str, Any]) -> Iterator[Trial]:
        preprocessed = model.preprocessed(inputs)
        yield Trial(ORIGINAL, preprocessed, preprocessed)
        for name, attack in self.attacks.items():
            for missing in [one for one in attack.additional_arg_names if one not in known]:
                warnings.warn(f"the attack {name!r} names the argument {missing!r}, which is not given.", stacklevel=4)
            options = {one: known[one] for one in attack.additional_arg_names if one in known} | attack.attack_kwargs
            for _ in range(attack.num_attempts):
                yield model.trial(name, attack.attack, attack.apply_before_preproc, inputs, preprocessed, **options)

    def _by_stat(self, summarizer: Summarizer) -> dict[str, Any]:
        """The statistics by name; each in the form that the metric has."""
        summary = summarizer.summary
        if not isinstance(summary, list):
            return dict(summary or {})
        values = {stat: [one[stat] for one in summary] for stat in summary[0]}
        return {stat: self.out_format(*each) if self.out_format else tuple(each) for stat, each in values.items()}

    def _add_to_summary(self, results: dict[str, Any]) -> None:
        values = {ORIGINAL: results[ORIGINAL]}
        for name in self.attacks:
            by_stat = results[name]
            for stat, value in by_stat.items():
                values[name if len(by_stat) == 1 else f"{name} {stat.title()} Attempt"] = value
        for key, value in values.items():
            own = self.summary_results.setdefault(key, Summarizer([stat() for stat in self.aggregate_stats]))
            own.update(self.metric_aggregator(value))
