"""Do explanations change when the model's weights do? An explanation that does not is not about what was learnt."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.lent_weights import lent_weights
from xai_nlp.metrics.agreement import rank_correlation

ORDERS = ("bottom_up", "top_down", "independent", "one_shot")
BINS = 100  # of the histogram that complexity is measured by

ScoresOfInputs = Sequence[Sequence[float] | np.ndarray]  # the scores (M,) of each of N inputs
Layers = Mapping[str, Sequence[nn.Module]]
Result = TypeVar("Result")


def layers_of(model: nn.Module) -> dict[str, list[nn.Module]]:
    """Each module that has parameters of its own, by its path, from the input's side to the output's.

    >>> list(layers_of(nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))))
    ['0', '2']
    """
    own = {name: module for name, module in model.named_modules() if module._parameters}
    return {name or "model": [module] for name, module in own.items()}


@torch.no_grad()
def randomize(modules: Sequence[nn.Module], generator: torch.Generator, done: set[int]) -> None:
    """Draw the floating-point parameters that modules have of their own anew; those in `done` stay.

    A tensor's numbers become normal ones with its own mean and standard deviation, so that activations keep their
    scale whatever the module is; constants (a fresh norm's) stay. Write into copies: `hooks.lent_weights`.
    """
    for module in modules:
        for parameter in module.parameters(recurse=False):
            if parameter.is_floating_point() and id(parameter) not in done:
                done.add(id(parameter))
                wide = parameter.detach().float()
                spread = float(wide.std(unbiased=False)) if wide.numel() else 0.0
                draws = torch.randn(wide.shape, generator=generator)
                parameter.copy_((wide.mean() + spread * draws.to(wide.device)).to(parameter))


def randomized(
    model: nn.Module,
    explain: Callable[[], Result],
    *,
    layers: Layers | None = None,
    order: str = "bottom_up",
    seed: int = 0,
) -> dict[str, Result]:
    """What `explain` returns as layer after layer of the model is drawn anew, by the layer's name.

    The model has its own weights back afterwards, also if `explain` raises.

    layers: names and their modules, from the input's side to the output's, each of which stands for the parameters of
        its own (`list(block.modules())` for all of a block's); None is `layers_of`.
    order: "bottom_up" and "top_down" leave drawn what was drawn before; "independent" draws one layer at a time;
        "one_shot" draws all at once.
    """
    if order not in ORDERS:
        raise UnknownName("order of randomisation", order, ORDERS)
    groups = dict(layers_of(model) if layers is None else layers)
    if order == "one_shot":
        groups = {"all": [module for modules in groups.values() for module in modules]}
    if not any(
        p.is_floating_point() for modules in groups.values() for m in modules for p in m.parameters(recurse=False)
    ):
        raise InvalidInput("there are no floating-point weights to draw anew: the model is quantised, or has none.")
    generator, results = torch.Generator().manual_seed(seed), {}
    names = list(reversed(groups)) if order == "top_down" else list(groups)
    together = [[name] for name in names] if order == "independent" else [names]
    for cascade in together:
        with lent_weights(model):
            done: set[int] = set()
            for name in cascade:
                randomize(groups[name], generator, done)
                results[name] = explain()
    return results


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomizationTest:
    """How alike explanations of the model and of its randomised copies are, for each layer and each of N inputs."""

    layers: tuple[str, ...]
    similarity: np.ndarray  # (layers, N) Spearman's ρ, from −1 to 1; NaN where scores have no order

    @property
    def mean(self) -> np.ndarray:
        """The mean over the layers: (N,). Near 0 the explanation depends on the weights."""
        return np.array([_known_mean(column) for column in self.similarity.T])

    @property
    def last(self) -> np.ndarray:
        """With the last layer drawn too, which is the whole model where draws add up: (N,)."""
        return self.similarity[-1]


def mprt(
    model: nn.Module,
    explain: Callable[[], ScoresOfInputs],
    *,
    layers: Layers | None = None,
    order: str = "bottom_up",
    absolute: bool = False,
    seed: int = 0,
) -> RandomizationTest:
    """Model parameter randomisation test: Spearman's ρ of explanations before and after weights are drawn anew.

    Range: −1 to 1; 0 is good, and 1 is an explanation that does not depend on the weights.
    Misleads: noise alone makes ρ small, so that a noisy method passes: `smprt`. ρ of few features is far from 0 by
    chance. A method may keep the sign or the size of the input itself (input × gradient), and look unchanged with
    reason. Top-down, the lower layers keep part of what the model computes; the source recommends bottom-up.

    model: its weights are lent copies meanwhile, and come back also on failure.
    explain: explains the same N inputs and targets under the weights that the model has when it is called; the targets
        are fixed beforehand, not predicted anew. The scores of each input (M,).
    layers, order, seed: of `randomized`. absolute: compare sizes.

    Raises UnknownName for another order, InvalidInput for a model without floating-point weights.
    Source: Adebayo et al. 2018 (arXiv:1810.03292), orders of Hedström et al. 2024 (arXiv:2405.02383). They draw from
    the initial distribution; we from a normal one of each tensor's own mean and spread.

    >>> net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    >>> constant = mprt(net, lambda: [[3.0, 1.0, 2.0]])
    >>> constant.layers, constant.mean
    (('0', '2'), array([1.]))
    """
    before = _copied(explain())
    after = randomized(model, lambda: _copied(explain()), layers=layers, order=order, seed=seed)
    similarities = [
        [_similarity(a, b, absolute=absolute) for a, b in zip(before, of_layer, strict=True)]
        for of_layer in after.values()
    ]
    return RandomizationTest(layers=tuple(after), similarity=np.array(similarities))


def smprt(
    model: nn.Module,
    explain: Callable[[int], ScoresOfInputs],
    *,
    samples: int = 10,
    layers: Layers | None = None,
    order: str = "bottom_up",
    absolute: bool = False,
    seed: int = 0,
) -> RandomizationTest:
    """Smooth MPRT: the same test of explanations that are means over noisy inputs, so that noise does not pass it.

    Range and arguments are those of `mprt`; it costs `samples` times as much.
    Misleads: with few samples noise is left; with much of it the inputs are unlike natural ones.

    explain: takes the number of the sample. Each number is one draw of noise, which is the same for all weights; the
        last one should be the input itself, as in the published code. Or explain by a method that smooths
        ("smoothgrad" with `of`), and call `mprt`.
    samples: how many.
    Raises InvalidInput for no samples.
    Source: Hedström et al. 2024, eq. 4 (arXiv:2405.02383).
    """
    if samples < 1:
        raise InvalidInput(f"samples is at least 1; got {samples}.")

    def smooth() -> ScoresOfInputs:
        draws = [_copied(explain(sample)) for sample in range(samples)]
        return [np.mean(of_input, 0) for of_input in zip(*draws, strict=True)]

    return mprt(model, smooth, layers=layers, order=order, absolute=absolute, seed=seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class EfficientRandomizationTest:
    """The complexity of explanations of the model, and of its copy whose weights are all drawn anew: (N,) each."""

    complexity: np.ndarray  # nats
    randomized_complexity: np.ndarray  # nats, the mean over the seeds

    @property
    def rise(self) -> np.ndarray:
        """The relative rise: (N,). Above 0 is good; NaN where the explanation's own complexity is 0."""
        known = np.where(self.complexity > 0, self.complexity, np.nan)
        return (self.randomized_complexity - self.complexity) / known


def emprt(
    model: nn.Module,
    explain: Callable[[], ScoresOfInputs],
    *,
    bins: int = BINS,
    absolute: bool = False,
    seeds: Sequence[int] = (0,),
) -> EfficientRandomizationTest:
    """Efficient MPRT: by how much explanations get more complex when all weights are drawn anew at once.

    Complexity is the entropy of the histogram of an input's scores. Range of the rise: from −1 up; above 0 is good.
    Misleads: with few features, as in a short text, nearly each score has a bin of its own, so that the entropy is
    nearly its bound, log M, before and after; then use fewer bins, or `smprt`. A method that scores at random has no
    rise, but neither has one whose explanations are complex for a reason.

    model, explain: of `mprt`. bins: of equal width, from the lowest score to the highest, of each input. absolute: of
    sizes. seeds: of the draws; complexities are averaged over them.

    Raises InvalidInput for no seed, fewer than two bins, and a model without floating-point weights.
    Source: Hedström et al. 2024, eq. 5 (arXiv:2405.02383); histogram as in its published code.
    """
    if bins < 2 or not seeds:
        raise InvalidInput(f"bins is at least 2, and there is at least one seed; got {bins} and {list(seeds)}.")

    def complexities(explanations: ScoresOfInputs) -> list[float]:
        return [histogram_entropy(abs(s) if absolute else s, bins) for s in _copied(explanations)]

    before = complexities(explain())
    after = [
        complexities(explanations)
        for seed in seeds
        for explanations in randomized(model, explain, order="one_shot", seed=seed).values()
    ]
    return EfficientRandomizationTest(complexity=np.array(before), randomized_complexity=np.mean(after, 0))


def histogram_entropy(scores: Sequence[float] | np.ndarray, bins: int = BINS) -> float:
    """The entropy of the histogram of scores (M,), in nats: 0 where they are all equal, at most log M, NaN for NaN.

    >>> round(histogram_entropy([0.0, 0.0, 1.0, 1.0], bins=2), 4)
    0.6931
    """
    scores = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(scores).all():
        return float("nan")
    if np.ptp(scores) == 0:
        return 0.0
    shares = np.histogram(scores, bins=bins)[0] / scores.size
    return float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum())


_cache: WeakKeyDictionary[nn.Module, dict[Hashable, Any]] = WeakKeyDictionary()


def remembered(model: nn.Module, key: Hashable, compute: Callable[[], Result]) -> Result:
    """The result of `compute` for a model and a key, such as a method with its options; computed once.

    It is kept in memory for as long as the model is, and computed anew if the model's weights were written to.

    >>> net, calls = nn.Linear(2, 1), []
    >>> for _ in range(2):
    ...     n = remembered(net, "saliency", lambda: calls.append(1) or len(calls))
    >>> n, len(calls)
    (1, 1)
    """
    stamp = hash(tuple((p.data_ptr(), p._version) for p in model.parameters()))
    kept = _cache.setdefault(model, {})
    if (stamp, key) not in kept:
        kept[stamp, key] = compute()
    return kept[stamp, key]


def _copied(explanations: ScoresOfInputs) -> list[np.ndarray]:
    """Scores as arrays of their own."""
    return [np.array(s.tolist() if isinstance(s, Tensor) else s, dtype=np.float64) for s in explanations]


def _similarity(before: np.ndarray, after: np.ndarray, *, absolute: bool) -> float:
    """Spearman's ρ; NaN where weights that were drawn anew give scores that are no numbers."""
    return rank_correlation(before, after, absolute=absolute) if np.isfinite(after).all() else float("nan")


def _known_mean(numbers: np.ndarray) -> float:
    known = numbers[~np.isnan(numbers)]
    return float(known.mean()) if known.size else float("nan")
