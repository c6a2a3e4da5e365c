"""Attention in a terminal: a number for each head, the strongest pairs, harmless names."""

import io
from dataclasses import replace

import numpy as np
from rich.console import Console

from tests.viz.samples import L, answered, matrices
from xai_nlp.core.arrays import Array
from xai_nlp.viz.terminal.heads import render_attention


def printed(item):
    console = Console(width=100, file=io.StringIO())
    console.print(render_attention(item))
    return console.file.getvalue()


def test_each_head_has_its_sum_and_the_strongest_pair_its_place():
    stack = np.zeros((2, 3, L, L))
    stack[1, 2, 7, 1], stack[0, 0, 1, 2] = 2.0, -0.5
    text = printed(answered(attention={"self": replace(matrices(), scores=Array(stack), residuals=(0.25, -0.5))}))
    lines = [line.split() for line in text.splitlines()]
    assert ["h0", "h1", "h2"] in lines
    assert ["layer", "0", "−0.50", "0", "0"] in lines or ["layer", "0", "−.50", "0", "0"] in lines
    assert ["layer", "1", "0", "0", "2.00"] in lines
    assert ["+2.00", "Love", "←", "Who", "layer", "1,", "head", "2"] in lines
    assert "left unexplained in the worst layer: 0.50" in text


def test_weights_and_single_heads():
    one = replace(matrices(1, 1), scores=Array(np.eye(L)[None, None]), row_stochastic=True, unit="")
    text = printed(answered(attention={"cross": one}))
    assert "cross: what each head carries (attention conductance)" in text
    assert "how peaked each head is" in text
    assert "all" in text


def test_names_are_harmless():
    evil = ("a\x1b[2Jb",) * L
    assert "\x1b" not in printed(answered(attention={"self": matrices(queries=evil, keys=evil)}))
