"""Matrices as they travel in a page: what a browser unpacks is what was measured, rounded as promised."""

import base64
import json
import re
import zlib
from dataclasses import replace

import numpy as np
import pytest

from tests.viz.samples import TOKENS, L, answered, matrices
from xai_nlp.core.arrays import Array
from xai_nlp.viz.page.html import page
from xai_nlp.viz.page.quantize import LEVELS, levels_for, quantize, quantized_stack, script_data


def planes(stream, peaks, levels, shape):
    """What the script does: bytes to whole numbers, their squares times the peak."""
    q = np.frombuffer(zlib.decompress(base64.b64decode(stream)), np.int8).reshape(len(peaks), *shape).astype(float)
    return np.sign(q) * (q / levels) ** 2 * np.array(peaks)[:, None, None]


@pytest.mark.parametrize("levels", LEVELS)
def test_no_number_is_off_by_more_than_promised(levels):
    numbers = np.linspace(-2.0, 2.0, 100_001)
    q = quantize(numbers, 2.0, levels).astype(float)
    off = np.abs(np.sign(q) * (q / levels) ** 2 * 2.0 - numbers)
    assert off.max() <= 2.0 / levels
    small = np.abs(numbers) < 0.002  # a thousandth of the peak keeps its size, which even steps would lose
    assert off[small].max() <= 0.1 * 2.0 / levels


def test_each_layer_holds_its_sum_and_its_heads():
    stack = matrices()
    scores = stack.scores.numpy().astype(float)
    data = quantized_stack(stack, 127)
    for layer, peaks, stream in zip(scores, data["peaks"], data["streams"], strict=True):
        expected = np.concatenate([layer.sum(0, keepdims=True), layer])
        result = planes(stream, peaks, 127, (L, L))
        assert (np.abs(result - expected).max((1, 2)) <= np.abs(expected).max((1, 2)) / 127 + 1e-6).all()
    (result,) = planes(data["total"]["stream"], [data["total"]["peak"]], 127, (L, L))
    expected = scores.sum((0, 1))  # summed before it was rounded, so it is off no more than a single head
    assert np.abs(result - expected).max() <= np.abs(expected).max() / 127 + 1e-6


def test_weights_are_averaged_and_a_single_head_stands_alone():
    stack = replace(matrices(), row_stochastic=True, scores=Array(np.abs(matrices().scores.numpy())))
    data = quantized_stack(stack, 127)
    mean = planes(data["streams"][0], data["peaks"][0], 127, (L, L))[0]
    expected = stack.scores.numpy()[0].mean(0)
    assert np.abs(mean - expected).max() <= expected.max() / 127 + 1e-6
    assert data["total"] is None
    assert len(quantized_stack(matrices(heads=1), 127)["peaks"][0]) == 1


def test_nothing_but_zeros_can_travel():
    data = quantized_stack(replace(matrices(), scores=Array(np.zeros((2, 3, L, L)))), 127)
    assert not planes(data["streams"][0], data["peaks"][0], 127, (L, L)).any()


def test_noise_gets_fewer_levels_than_peaks():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((4, 4, 400, 400)).astype(np.float32)
    assert levels_for(matrices()) == LEVELS[0]
    assert levels_for(replace(matrices(4, 4, 2), scores=Array(noise**9))) == LEVELS[0]
    assert levels_for(replace(matrices(4, 12, 2), scores=Array(np.tile(noise, (1, 3, 1, 1))))) < LEVELS[0]


def test_what_the_script_is_told_of_the_text():
    item = answered()
    data = script_data(item, item.words())
    assert data["tokens"] == TOKENS
    assert data["words"][7] == "Lovelace"
    assert data["groups"] == [1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1]
    assert data["answer"] == (6, 8)  # “Ada Love lace”
    love = script_data(answered(answer=(1, (4, 8))), item.words())
    assert love["answer"] == (7, 7)  # “Love”, which “lace” touches
    assert data["names"] == ("Question", "Context")
    np.testing.assert_allclose(data["layers"], item.layers.numpy(), rtol=1e-3)
    evil = "</script><b>"
    html = page([replace(item, tokens=(evil,) * L)])
    text = re.search(r'class="numbers" data-map="0">(.*?)</script>', html, re.S).group(1)
    assert not set("<>&") & set(text)
    assert json.loads(text)["tokens"][0] == evil
