"""Functions with known answers, as Subjects."""

import torch

from xai_nlp.core.subject import MovableInput, Subject


def subject_of(f, x, x0, features=None):
    """The Subject of a function (R, M) -> (R, T); each entry of x is a feature if none are given."""
    features = torch.arange(x.shape[1])[None] if features is None else features
    return Subject(
        forward=lambda arguments, owner: f(arguments["x"] if "x" in arguments else x[owner]),
        read=lambda run, owner: run(),
        inputs={"x": MovableInput(x=(x,), baseline=(x0,), features=features)},
        examples=len(x),
    )


def additive(terms):
    """The sum of its inputs, at these and at zero."""
    x = torch.tensor(terms)
    return lambda z: z.sum(1, keepdim=True), x, torch.zeros_like(x)


def tangled(features, examples, seed=0):
    """Two numbers in which every feature meets every other, in float64."""
    draws = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(n, m, generator=draws).double() for n, m in ((features, 9), (9, 2)))
    x, x0 = (torch.randn(examples, features, generator=draws).double() for _ in range(2))
    return lambda z: (z @ first).sin() @ second, x, x0
