"""How the metrics are asked of random networks: arguments for ours and for Captum's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as captum_attr
import captum.metrics as captum
import torch
from torch import Tensor

import xai_nlp.attr
import xai_nlp.metrics as ours
from tests.attr.drawn import Case

BOTH = (ours, captum)
ATTR = {ours: xai_nlp.attr, captum: captum_attr}


def each(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    return tuple(map(change, value)) if isinstance(value, tuple) else change(value)


def noise(inputs: Any) -> Any:
    """The inputs with noise on them."""
    return each(inputs, lambda t: t - 0.3 * torch.randn_like(t))


def removed(inputs: Any, baselines: Any) -> Any:
    """The inputs with about half of their entries at the baseline."""
    pairs = zip(*((value if isinstance(value, tuple) else (value,)) for value in (inputs, baselines)), strict=True)
    mixed = tuple(torch.where(torch.rand_like(t) < 0.5, t, torch.as_tensor(t0, dtype=t.dtype)) for t, t0 in pairs)
    return mixed if isinstance(inputs, tuple) else mixed[0]


def with_differences(inputs: Any, baselines: Any = None) -> tuple[Any, Any]:
    """Perturbations and perturbed inputs, without the decorator."""
    changed = noise(inputs)
    if isinstance(inputs, tuple):
        return tuple(t - z for t, z in zip(inputs, changed, strict=True)), changed
    return inputs - changed, changed


def infidelity_of(lib: Any, case: Case) -> Tensor:
    """A case's own draws decide, so that both libraries are asked the same."""
    way = case.draw.choice(["noise", "removed", "by hand"])
    decorate = lib.infidelity_perturb_func_decorator
    perturb = {"noise": decorate(False)(noise), "removed": decorate()(removed), "by hand": with_differences}[way]
    baselines = case.baselines
    if way == "removed" and baselines is None:
        baselines = case.shaped([0.5] * len(case.tensors))
    elif way == "noise":
        baselines = None
    inputs = case.inputs
    torch.manual_seed(case.seed)
    scores = each(inputs, torch.randn_like)
    return lib.infidelity(
        case.net, perturb, inputs, scores, baselines, case.extra, case.target,
        n_perturb_samples=case.draw.randint(1, 6),
        max_examples_per_batch=case.draw.choice([None, case.batch, 2 * case.batch]),
        normalize=case.flag(),
    )  # fmt: skip


def sensitivity_of(lib: Any, case: Case) -> Tensor:
    """Of gradients, integrated gradients or ablation; arguments with a row for each example among them."""
    name = case.draw.choice(["Saliency", "IntegratedGradients", "FeatureAblation", "InputXGradient"])
    how: dict[str, Any] = {"target": case.target, "additional_forward_args": case.extra}
    if name in ("IntegratedGradients", "FeatureAblation"):
        how["baselines"] = case.baselines
    if name == "IntegratedGradients":
        how |= case.steps()
    if name == "FeatureAblation" and not case.mask_of_each:
        how["feature_mask"] = case.mask
    if case.draw.random() < 0.5:
        how["perturb_func"] = case.draw.choice(
            [noise, lambda t, radius: each(t, lambda x: x + radius * torch.randn_like(x))]
        )
    torch.manual_seed(case.seed)
    return lib.sensitivity_max(
        getattr(ATTR[lib], name)(case.net).attribute, case.inputs,
        perturb_radius=case.draw.choice([0.02, 0.5]), n_perturb_samples=case.draw.randint(1, 6),
        norm_ord=case.draw.choice(["fro", 1, float("inf")]),
        max_examples_per_batch=case.draw.choice([None, case.batch, 2 * case.batch]), **how,
    )  # fmt: skip
