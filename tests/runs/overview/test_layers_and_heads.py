"""Layers and heads, held to numpy over the explanations."""

import numpy as np
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation
from xai_nlp.core.arrays import Array, AttentionAttribution
from xai_nlp.runs.overview.layers_and_heads import LayersAndHeads
from xai_nlp.runs.overview.section import OverviewContext


def items(count=8, row_stochastic=False):
    draws, made = np.random.default_rng(0), []
    for _ in range(count):
        scores = draws.normal(size=(2, 3, 4, 4)) + np.arange(3)[None, :, None, None]
        if row_stochastic:
            scores = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        stack = AttentionAttribution(
            scores=Array(scores), layers=("layer 0", "layer 1"), method="attention_x_gradient", unit="logit",
            row_stochastic=row_stochastic,
        )  # fmt: skip
        flows = Array(draws.normal(size=(3, 4)))
        made.append(explanation("fine film", [1.0, 2.0], layers=flows, attention={"self": stack}))
    return made


def tables_of(made):
    context = OverviewContext()
    section = LayersAndHeads(context)
    section.add(chunk_of(made[:3], context))
    section.add(chunk_of(made[3:], context, first=3))
    return section.result()


def test_means_of_layers_and_heads():
    made = items()
    layers, heads = tables_of(made).tables
    flows = np.array([np.abs(item.layers.numpy().astype(float)).sum(1) for item in made])
    for k, line in enumerate(layers.lines):
        assert line[0] == f"layer {k}" and line[1] == pytest.approx(flows[:, k].mean(), rel=1e-6)
        assert line[2] == pytest.approx(tuple(stats.ttest_1samp(flows[:, k], 0).confidence_interval()), rel=1e-6)
        assert line[3] == 8 and line[4] == (int(flows[:, k].argmax()),)
    sizes = np.array([np.abs(item.attention["self"].scores.numpy().astype(float).sum((2, 3))) for item in made])
    assert len(heads.lines) == 6
    for layer, head, size, *_ in heads.lines:
        assert size == pytest.approx(sizes[:, int(layer[-1]), int(head[-1])].mean(), rel=1e-6)
    best = np.unravel_index(sizes.mean(0).argmax(), (2, 3))
    assert f"head {best[1]} of layer {best[0]} carries most" in tables_of(made).sentence


def test_weights_count_how_peaked_they_are():
    made = items(row_stochastic=True)
    _, heads = tables_of(made).tables
    peaks = np.array([item.attention["self"].scores.numpy().max(3).mean(2) for item in made])
    assert [line[2] for line in heads.lines] == pytest.approx(peaks.mean(0).ravel().tolist(), rel=1e-6)


def test_nothing_without_them():
    assert tables_of([explanation("fine", [1.0])] * 4) is None
