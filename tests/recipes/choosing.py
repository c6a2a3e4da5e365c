"""The table of `tutorials/choosing_a_method.md`, from the registry: `python -m tests.recipes.choosing` writes it anew.

What a method says, costs and misleads by is in its docstring; what it needs is in its flags; which axioms it keeps is
tried, on the models of the contract tests and on a function that is written in two ways.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from tests.contract.test_methods import OVER, model_for, problem_of
from xai_nlp.core.problem import Problem
from xai_nlp.core.registry import Method
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods import METHODS, find_method

PAGE = Path(__file__).parents[2] / "tutorials" / "choosing_a_method.md"
BEGIN, END = "<!-- table: python -m tests.recipes.choosing -->\n", "<!-- end of table -->\n"
HEAD = ("method", "what it says", "needs", "cost", "adds up", "dummy", "linear", "invariant", "misleads")
NEEDS = {"inputs": "", "attention": "attention", "layer": "a layer"}


def said(cls: type[Method], field: str | None = None) -> str:
    """A field of the docstring, or its first sentence."""
    text = " ".join(re.sub(r"\n\s*(?=[A-Z][a-z]+: )", "\n\n", cls.__doc__ or "").split("\n\n")[0].split())
    if field is None:
        return text
    found = re.search(rf"^ *{field}: (.+?)(?=^ *[A-Z][a-z]+: |^ *$|\Z)", cls.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert found, f"{cls.__name__} does not say its {field.lower()}"
    return " ".join(found[1].split()).rstrip(".")


def scores(name: str, problem: Problem, model: nn.Module) -> tuple[Tensor, ...]:
    with frozen_model(model, evaluate=True):
        return (
            find_method(name, {"steps": 64} if "steps" in METHODS[name].__dataclass_fields__ else {})
            .scores(problem)
            .tensors
        )


def dummy(name: str) -> bool:
    """Does a feature that changes nothing score zero?"""
    model = model_for(name)
    with torch.no_grad():
        model.right.weight[:, :2] = 0
    return bool((scores(name, problem_of(model), model)[1][..., :2].abs() < 1e-9).all())


def linear(name: str) -> bool:
    """Are scores of a sum of two targets the sum of their scores?"""
    model = model_for(name)
    problem = problem_of(model, over=OVER[name])
    if OVER[name] == "inputs":  # through ReLU, which the models of the contract are without
        model = nn.Sequential(nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2)).double()
        problem = replace(problem, value=lambda z, owner: model(torch.cat(z, 1)))

    def value(z: tuple[Tensor, ...], owner: Tensor) -> Tensor:
        both = problem.value(z, owner)
        return torch.cat([both, both.sum(1, keepdim=True)], 1)

    found = scores(name, replace(problem, value=value), model)
    return all(torch.allclose(t[:, 0] + t[:, 1], t[:, 2], atol=1e-9) for t in found)


class Written(nn.Module):
    """The same function of four numbers, in one way or another (its first part: Sundararajan et al. 2017, fig. 7)."""

    def __init__(self, way: int) -> None:
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        a, b, c, d = x.unbind(-1)
        if self.way:
            return torch.relu(torch.relu(a - 1) - torch.relu(b)) + (c + torch.relu(-c)) * d + c * (c * d)
        return torch.relu(torch.relu(a) - 1 - torch.relu(b)) + torch.relu(c) * d + (c * c) * d


def invariant(name: str) -> bool:
    """Do scores depend on the function alone, not on how it is written?"""
    x = torch.tensor([[3.0, 1.0, 2.0, -1.0], [2.5, 0.5, -1.0, 3.0]], dtype=torch.float64)
    found = []
    for way in (0, 1):
        net = Written(way)
        problem = Problem(value=lambda z, owner, net=net: net(z[0])[:, None], x=(x,), baseline=(torch.zeros_like(x),))
        found.append(scores(name, problem, net)[0])
    return torch.allclose(*found, atol=1e-9)


def row(name: str) -> tuple[str, ...]:
    cls = METHODS[name]
    plain = cls.operates_on == "inputs"
    needs = [NEEDS[cls.operates_on], "a baseline" if cls.needs_baseline else ""]
    marks = [cls.complete, dummy(name) if plain else None, linear(name), invariant(name) if plain else None]
    return (
        f"`{name}`",
        said(cls),
        ", ".join(filter(None, needs)) or "nothing",
        said(cls, "Cost"),
        *("—" if mark is None else "yes" if mark else "no" for mark in marks),
        said(cls, "Misleads"),
    )


def table() -> str:
    """Markdown, one row a registered method."""
    rows = [HEAD, ("---",) * len(HEAD), *(row(name) for name in sorted(METHODS))]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n" for cells in rows)


def renewed(page: str) -> str:
    """The page with the table as it is now."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
