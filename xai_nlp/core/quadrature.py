"""Quadrature rules on [0, 1], and the table that names them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from numbers import Integral
from typing import NamedTuple

import numpy as np
import torch
from numpy.polynomial.legendre import leggauss, legroots, legvander
from torch import Tensor

from xai_nlp.errors import InvalidInput, UnknownName

MOST_STEPS = 2**24
MOST_GAUSS = 2**13
HALF_ANGLE = 1.13  # in radians, of the tangent map
PATTERSON = (3, 5, 9, 17, 33, 65)  # nodes, both ends among them


class Quadrature(NamedTuple):
    """∫₀¹ g(t) dt ≈ Σ weights · g(nodes)."""

    nodes: Tensor  # (N,) float64, ascending
    weights: Tensor  # (N,) float64


def _quadrature(nodes: np.ndarray, weights: np.ndarray) -> Quadrature:
    return Quadrature(torch.from_numpy(nodes), torch.from_numpy(weights))


_leggauss = cache(leggauss)


def gauss_legendre(steps: int) -> Quadrature:
    """The rule is exact for polynomials of degree 2·steps − 1. Raises InvalidInput above MOST_GAUSS steps.

    >>> rule = gauss_legendre(3)
    >>> round(float((rule.weights * rule.nodes**5).sum()) * 6, 12)         # ∫ t⁵ = 1/6
    1.0
    """
    if steps > MOST_GAUSS:  # its nodes are eigenvalues of a matrix of steps × steps
        raise InvalidInput(
            f"gauss_legendre takes at most {MOST_GAUSS:,} steps; got {steps:,}. Use the rule clenshaw_curtis for more."
        )
    nodes, weights = _leggauss(steps)
    return _quadrature((nodes + 1) / 2, weights / 2)


def _riemann(offset: float) -> Callable[[int], Quadrature]:
    return lambda steps: _quadrature((np.arange(steps) + offset) / steps, np.full(steps, 1 / steps))


def trapezoid(steps: int) -> Quadrature:
    """The trapezoid rule has `steps` nodes from 0 to 1, both ends among them. Raises InvalidInput below 2 steps."""
    if steps < 2:
        raise InvalidInput(f"the trapezoid rule needs at least 2 steps; got {steps}.")
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return _quadrature(np.linspace(0, 1, steps), weights)


def captum_trapezoid(steps: int) -> Quadrature:
    """Captum's `riemann_trapezoid`, for its faces only: its weights sum to (steps − 1)/steps instead of 1."""
    rule = trapezoid(steps)
    return rule._replace(weights=rule.weights * (steps - 1) / steps)


def clenshaw_curtis(steps: int) -> Quadrature:
    """The nodes are the extrema of a Chebyshev polynomial; `2n − 1` nodes contain those of `n`, both ends among them.

    Raises InvalidInput below 2 steps.
    Source: Clenshaw & Curtis 1960; weights as the cosine transform of ∫ T₂ₖ = 2/(1 − 4k²): Waldvogel 2006, sec. 2.
    """
    if steps < 2:
        raise InvalidInput(f"the Clenshaw–Curtis rule needs at least 2 steps; got {steps}.")
    nodes = np.sin(np.pi / 2 * np.arange(steps) / (steps - 1)) ** 2  # (1 − cos θ)/2, exact at both ends
    moments = np.zeros(steps)
    moments[::2] = 2 / (1 - np.arange(0, steps, 2) ** 2.0)
    weights = np.fft.ifft(np.concatenate([moments, moments[-2:0:-1]])).real[:steps]
    weights[1:-1] *= 2
    return _quadrature(nodes, weights / 2)


@cache
def _patterson_nodes(steps: int) -> np.ndarray:
    """The nodes on [−1, 1]. The new ones are the zeros of the polynomial E with ∫ G·E·p = 0 for all p of lower degree.

    G has its zeros at the nodes of the rule before.
    """
    if steps == 1:
        return np.zeros(1)
    before = _patterson_nodes(steps // 2)
    points, weights = _leggauss(2 * steps)
    polynomials = legvander(points, len(before) + 1)
    products = polynomials.T @ (polynomials * (weights * np.prod(2 * (points[:, None] - before), 1))[:, None])
    lower = np.linalg.solve(products[:-1, :-1], -products[:-1, -1])
    nodes = np.sort([*before, *legroots([*lower, 1])])
    return (nodes - nodes[::-1]) / 2


@cache
def _patterson_weights(steps: int) -> np.ndarray:
    moments = np.zeros(steps)
    moments[0] = 2  # of the Legendre polynomials
    return np.linalg.solve(legvander(_patterson_nodes(steps), steps - 1).T, moments)


def closed_patterson(steps: int) -> Quadrature:
    """Patterson's rule of `steps − 2` nodes, and both ends without a weight; `2n − 1` nodes contain those of `n`.

    From 5 nodes on exact for polynomials of degree (3·steps − 5)/2; Clenshaw–Curtis has degree steps − 1. Raises
    InvalidInput if `steps` is not 3, 5, 9, 17, 33 or 65.
    Source: Patterson 1968, The optimum addition of points to quadrature formulae, eq. 3.

    >>> rule = closed_patterson(9)
    >>> round(float((rule.weights * rule.nodes**11).sum()) * 12, 12)       # ∫ t¹¹ = 1/12
    1.0
    """
    if steps not in PATTERSON:
        raise InvalidInput(f"Patterson's rule has {', '.join(map(str, PATTERSON))} nodes with both ends; got {steps}.")
    nodes, weights = _patterson_nodes(steps - 2), _patterson_weights(steps - 2)
    return _quadrature(np.concatenate([[0], (nodes + 1) / 2, [1]]), np.concatenate([[0], weights / 2, [0]]))


def tangent(rule: Quadrature) -> Quadrature:
    """A rule in s as a rule in t = ½ + tan(θs)/(2 tan θ), s from −1 to 1: its nodes gather in the middle.

    Models normalise embeddings, so they see the direction of x₀ + t(x − x₀). Where x and x₀ are equally long and 2θ
    apart, it turns evenly in s, and fastest at t = ½. Exact for lines.
    Source: the tangent map, Bayliss & Turkel 1992; quadrature under a map, Hale & Trefethen 2008.
    """
    angles = HALF_ANGLE * (2 * rule.nodes - 1)
    nodes = (1 + angles.tan() / math.tan(HALF_ANGLE)) / 2
    weights = rule.weights / angles.cos() ** 2
    return Quadrature(nodes, weights / weights.sum())


@dataclass(frozen=True)
class PathRule:
    """A rule by its number of nodes, in a parameter s of the path: s is t itself, or goes through the tangent map."""

    in_s: Callable[[int], Quadrature]
    under_tangent: bool

    def __call__(self, steps: int) -> Quadrature:
        """The rule in t."""
        rule = self.in_s(steps)
        return tangent(rule) if self.under_tangent else rule


tangent_clenshaw_curtis = PathRule(clenshaw_curtis, under_tangent=True)


RULES: dict[str, Callable[[int], Quadrature]] = {
    "gauss_legendre": gauss_legendre,
    "clenshaw_curtis": clenshaw_curtis,
    "tangent_clenshaw_curtis": tangent_clenshaw_curtis,
    "trapezoid": trapezoid,
    "captum_trapezoid": captum_trapezoid,
    "left": _riemann(0),
    "middle": _riemann(0.5),
    "right": _riemann(1),
}


def quadrature(rule: str, steps: int) -> Quadrature:
    """The rule of this name with this number of nodes.

    Raises UnknownName for a name that is not in RULES, and InvalidInput if `steps` is not a whole number from 1 to
    MOST_STEPS.

    >>> quadrature("middle", 2).nodes.tolist()
    [0.25, 0.75]
    """
    if rule not in RULES:
        raise UnknownName("quadrature rule", rule, RULES)
    if not isinstance(steps, Integral) or steps < 1:
        raise InvalidInput(f"steps must be a whole number of at least 1, or 'auto'; got {steps!r}.")
    if steps > MOST_STEPS:
        raise InvalidInput(f"steps must be at most {MOST_STEPS:,}, since each is a pass; got {steps:,}.")
    return RULES[rule](int(steps))
