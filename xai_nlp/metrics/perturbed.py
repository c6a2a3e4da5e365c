"""Perturbed copies of examples: how many at once, their arguments, and what is no perturbation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from xai_nlp.attr.base import check_count
from xai_nlp.attr.noise import repeat_argument
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.core.forward import as_tuple
from xai_nlp.core.problem import Tensors


def copies_at_once(samples: int, most: int | None, examples: int) -> Iterator[int]:
    """How many copies of each example are perturbed in each turn, `samples` in all and at least one.

    most: examples in each turn; None takes all copies at once.

    >>> list(copies_at_once(10, 8, 2))
    [4, 4, 2]
    """
    check_count("n_perturb_samples", samples)
    if most is not None:
        check_count("max_examples_per_batch", most)
    size = samples if most is None else min(max(most // examples, 1), samples)
    for start in range(0, samples, size):
        yield min(size, samples - start)


def repeat_arguments(arguments: dict[str, Any], inputs: Tensors, copies: int) -> dict[str, Any]:
    """Arguments of an `attribute` method for so many copies of each example."""
    return {name: repeat_argument(name, value, inputs, copies) for name, value in arguments.items()}


def check_perturbed(inputs: Tensors, perturbed: Any, copies: int) -> Tensors:
    """The perturbed inputs as tensors: (B · copies, …) each.

    Raises CaptumAssertion for another number of tensors, another shape, and for token ids that became other numbers.
    """
    tensors = as_tuple(perturbed)
    if len(tensors) != len(inputs) or not all(isinstance(t, Tensor) for t in tensors):
        raise CaptumAssertion(f"perturb_func must return as many tensors as there are inputs, {len(inputs)}.")
    for x, z in zip(inputs, tensors, strict=True):
        if z.shape != (len(x) * copies, *x.shape[1:]):
            raise CaptumAssertion(
                f"perturb_func got {(len(x) * copies, *x.shape[1:])} and must return it; it returned {tuple(z.shape)}."
            )
        if z.is_floating_point() and not x.is_floating_point():
            raise CaptumAssertion(
                f"noise on {x.dtype} means nothing: token ids are names. Give `layer=` to perturb word embeddings, "
                "such as xai_nlp.points(model).word, or make the inputs floating-point if they are numbers."
            )
    return tensors


def uniform_entries(x: Tensor, seed: int, number: int) -> Tensor:
    """The `number`-th draw of numbers from 0 to 1 for the entries of one row of x (B, *S): (*S), in float64.

    It depends neither on other rows nor on padding behind them.
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    return torch.rand(x.shape[1:], generator=generator, dtype=torch.float64).to(x.device)
