"""Explanations of the same targets under weights that are drawn anew: the tests of `metrics.randomization`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from xai_nlp.core.registry import Method, find_method
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.metrics.randomization import EfficientRandomizationTest, RandomizationTest, emprt, layers_of, mprt
from xai_nlp.models.tokenization import TokenWindow
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.options import Request
from xai_nlp.tasks.progress import PassCounter
from xai_nlp.tasks.removals import feature_scores
from xai_nlp.tasks.run import attribute, describe

if TYPE_CHECKING:
    from xai_nlp.tasks.explainer import Explainer


def scores_of_targets(
    explainer: Explainer,
    request: Request,
    method: Method,
    windows: Sequence[TokenWindow],
    targets: Sequence[ExampleTarget],
    passes: PassCounter | None = None,
) -> list[list[float]]:
    """The `feature_scores` of each number of each target, under the weights that the model has now.

    request, windows, targets: of a call of `tasks.run.explain`; what is explained stays fixed. passes: counts them.
    """
    one_method = replace(request, methods=(method,), options=replace(request.options, layers=False, attention=False))
    with frozen_model(explainer.model, evaluate=True):
        passes = passes or PassCounter(sum(len(target.windows) for target in targets))
        attributions = attribute(explainer, method, one_method, windows, targets, passes)
    return [
        feature_scores(describe(explainer, one_method, [{}], method, target, t, of_target, {}))
        for target, of_target in zip(targets, attributions, strict=True)
        for t in range(len(target.specs))
    ]


def blocks_of(explainer: Explainer) -> dict[str, list[nn.Module]]:
    """The modules of a model in the order in which inputs go through them: embeddings, each layer, the head.

    What stands before the layers counts as embeddings, what stands behind them as head. Each module with parameters is
    a layer of its own where the layers are not known.
    """
    blocks = list(dict.fromkeys(point.module for point in explainer.points.layers))
    if not blocks:
        return layers_of(explainer.model)
    inside = {module for block in blocks for module in block.modules()}
    modules = list(explainer.model.modules())
    first = next(i for i, module in enumerate(modules) if module in inside)
    before, behind = (
        [module for module in part if module._parameters and module not in inside]
        for part in (modules[:first], modules[first:])
    )
    layers = {f"layer {k}": list(block.modules()) for k, block in enumerate(blocks)}
    return {name: group for name, group in {"embeddings": before, **layers, "head": behind}.items() if group}


def weight_randomization(
    explainer: Explainer,
    request: Request,
    windows: Sequence[TokenWindow],
    targets: Sequence[ExampleTarget],
    method: Method,
    *,
    samples: int = 10,
    noise: float = 0.15,
    order: str = "bottom_up",
    absolute: bool = False,
    seed: int = 0,
) -> RandomizationTest:
    """sMPRT of a method on targets: `metrics.mprt` of its scores, smoothed over noisy embeddings and pixels.

    request, windows, targets: of a call of `tasks.run.explain`.
    samples, noise: of `smoothgrad`, with the same draws for all weights; noise 0 is MPRT. A method that scores
        attention, not the inputs, is not smoothed.
    order: of `metrics.randomization.randomized`, over the blocks of the model. absolute: compare sizes.
    Costs (blocks + 2) · samples explanations.
    Raises InvalidInput for a model without floating-point weights, UnknownName for another order.
    """
    smooth = method
    if noise and method.operates_on == "inputs":
        options = dict(vars(method))
        smooth = find_method(
            "smoothgrad",
            {"of": method.name, "of_options": options, "samples": samples, "noise": noise, "seed": seed},
        )
    return mprt(
        explainer.model,
        lambda: scores_of_targets(explainer, request, smooth, windows, targets),
        layers=blocks_of(explainer),
        order=order,
        absolute=absolute,
        seed=seed,
    )


def complexity_rise(
    explainer: Explainer,
    request: Request,
    windows: Sequence[TokenWindow],
    targets: Sequence[ExampleTarget],
    method: Method,
    *,
    bins: int = 10,
    absolute: bool = False,
    seeds: Sequence[int] = (0,),
) -> EfficientRandomizationTest:
    """eMPRT of a method on targets: `metrics.emprt` of its scores of words and regions.

    bins: fewer than for images by default, since texts have few words. Costs 1 + seeds explanations.
    """
    return emprt(
        explainer.model,
        lambda: scores_of_targets(explainer, request, method, windows, targets),
        bins=bins,
        absolute=absolute,
        seeds=seeds,
    )
