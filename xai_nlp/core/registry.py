"""The table of methods: a class registers under its name, and every surface finds it there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from types import NoneType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from torch import Tensor

from xai_nlp.core.fields import OptionField
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.errors import UnknownName


@dataclass(frozen=True)
class Scores:
    """What a method returns: a score for every entry of every site, and what it learnt on the way."""

    tensors: Tensors  # (B, T, *S) each, or broadcastable where entries share one score
    value: Tensor | None = None  # (B, T) f(x), if the method came by
    baseline_value: Tensor | None = None  # (B, T) f(x₀), if the method came by
    steps: Tensor | None = None  # (B,) points of the path that were evaluated
    tokens: Tensor | None = None  # (B, T, L), from a method that scores matrices: what it makes of each token
    seen: Tensor | None = None  # (B, T, P), and of each position of an image that has a sequence of its own


class Method:
    """What every method is: options as fields of a frozen dataclass, one function of a Problem.

    complete: Σ scores = f(x) − f(x₀), but for a residual that is reported. The contract tests hold it to that.
    compares: it needs a baseline.
    reduction: how a token's entries become one number (a key of `core.reduce.REDUCTIONS`).
    unit: scores are in the unit of f ("f") or in none ("").
    supports_layers: it can score sites inside the model, not only the inputs.
    operates_on: what its problem is about: the "inputs"; the "attention" matrices as sites; the matrices as inputs
        ("moved attention"); matrices and what they weigh ("attended values"); or one "layer".
    row_stochastic: its matrices are shares that add up over keys, not contributions to the target.
    """

    name: ClassVar[str] = ""
    complete: ClassVar[bool] = False
    needs_baseline: ClassVar[bool] = True
    reduction: ClassVar[str] = "sum"
    unit: ClassVar[str] = "f"
    supports_layers: ClassVar[bool] = True
    operates_on: ClassVar[str] = "inputs"
    row_stochastic: ClassVar[bool] = False

    def scores(self, problem: Problem) -> Scores:
        raise NotImplementedError


METHODS: dict[str, type[Method]] = {}
Registered = TypeVar("Registered", bound=type[Method])


def method(name: str) -> Callable[[Registered], Registered]:
    """Put a method into the table under `name`."""

    def register(cls: Registered) -> Registered:
        assert name not in METHODS, f"two methods named {name!r}"
        cls.name = name
        METHODS[name] = cls
        return cls

    return register


def find_method(name: str, options: dict[str, Any] | None = None) -> Method:
    """The method of that name with these options. Raises UnknownName for a name or an option that does not exist."""
    if name not in METHODS:
        raise UnknownName("method", name, METHODS, "List them with `xai-nlp methods`.")
    known = getattr(METHODS[name], "__dataclass_fields__", {})
    for option in options or {}:
        if option not in known:
            raise UnknownName(f"option of {name}", option, known)
    return METHODS[name](**(options or {}))


def method_options(name: str) -> tuple[OptionField, ...]:
    """The options of a method, from its dataclass fields. Raises UnknownName.

    >>> from xai_nlp.methods import METHODS
    >>> [option.name for option in method_options("shapley")]
    ['samples', 'seed']
    """
    cls = type(find_method(name))
    hints = get_type_hints(cls)
    options = []
    for field in fields(cls):  # type: ignore[arg-type]
        members = get_args(hints[field.name]) if get_origin(hints[field.name]) is not Literal else (hints[field.name],)
        kinds = [kind for kind in members or (hints[field.name],) if kind is not NoneType]
        words = tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
        plain = [kind for kind in kinds if kind in (str, int, float, bool)]
        if (words or plain) and field.default is not MISSING:
            kind = plain[0] if plain else str
            text = _described(cls, field.name)
            options.append(OptionField(name=field.name, type=kind, help=text, default=field.default, choices=words))
    return tuple(options)


def _described(cls: type, option: str) -> str:
    """What the docstring of a class, or of a base class, says of an option."""
    for base in cls.__mro__:
        match = re.search(
            rf"^    {option}: (.+?)(?=\n\s*\n|\n    \w+: |\Z)", base.__dict__.get("__doc__") or "", re.S | re.M
        )
        if match:
            return " ".join(match[1].split())
    return ""
