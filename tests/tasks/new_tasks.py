"""Tiny random models of the tasks that have no embedded model, and the promises that every task keeps."""

from typing import Any

import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.hooks.model_state import fingerprint


def explainer_of(name: str, task: str, dtype: torch.dtype | None = None, **config: Any) -> Any:
    """An explainer of a tiny model, in another dtype if one is named."""
    model, tokenizer = tiny(name, fresh=dtype is not None or bool(config), task=task)
    for key, value in config.items():
        setattr(model.config, key, value)
    return xai_nlp.load(model if dtype is None else model.to(dtype), tokenizer, task=task)


def check_promises(explainer: Any, texts: list[str], tolerance: float = 1e-6, steps: int = 64, **options: Any) -> None:
    """Scores add up in float64; neither the order of a list nor padding changes them; the model comes back.

    tolerance: a share of what is explained; more than rounding where activations have corners or norms are in float32.
    """
    before = fingerprint(explainer.model)
    together = explainer.explain(texts, steps=steps, **options)
    reversed_list = explainer.explain(texts[::-1], steps=steps, **options)
    for text, why, again in zip(texts, together, list(reversed_list)[::-1], strict=True):
        assert abs(why.residual) < tolerance * max(1, abs(why.explained))
        alone = explainer.explain([text], steps=steps, **options)[0]
        assert why.scores == pytest.approx(alone.scores, abs=1e-9 if tolerance == 1e-6 else 1e-5)
        assert why.scores == pytest.approx(again.scores, abs=1e-9 if tolerance == 1e-6 else 1e-5)
        assert why.target == alone.target == again.target
    assert fingerprint(explainer.model) == before
