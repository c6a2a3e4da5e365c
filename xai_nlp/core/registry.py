"""The table of methods: a class registers under its name, and every surface finds it there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from types import NoneType
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from torch import Tensor

from xai_nlp.core.fields import OptionField
from xai_nlp.core.problem import Problem, Tensors
from xai_nlp.core.reductions import REDUCTIONS
from xai_nlp.core.subject import Subject
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.scope import HookPoint


@dataclass(frozen=True)
class Scores:
    """What a method returns: a score for every entry of every site.

    sequences: scores of positions (B, T, positions), from a method whose sites are not the inputs. "text": the tokens
    of the text; "image": the positions of an image that has a sequence of its own; "joint": a layer's sequence; "map":
    the places of a map over the image, whose scores add up to nothing. Places are in reading order.
    """

    tensors: Tensors  # (B, T, *S) each, or broadcastable where entries share one score
    value: Tensor | None = None  # (B, T) f(x), if the method computed it
    baseline_value: Tensor | None = None  # (B, T) f(x₀), if the method computed it
    steps: Tensor | None = None  # (B,) points of the path that were evaluated
    sequences: Mapping[str, Tensor] = field(default_factory=dict)
    points: tuple[HookPoint, ...] = ()  # the attention matrix of each tensor, where matrices were scored
    residuals: Tensor | None = None  # (B, T, tensors) of each matrix, where its scores have to add up
    baseline: str = ""  # what the method compared with, where it is not the input's baseline

    def with_ends(self, problem: Problem, *, needs_baseline: bool = True) -> Scores:
        """With f(x), and f(x₀) if there is a baseline: as the method computed them, or looked up."""
        scores = self
        if needs_baseline and scores.value is scores.baseline_value is None:
            value, baseline_value = problem.ends()
            return replace(scores, value=value, baseline_value=baseline_value)
        if scores.value is None:
            scores = replace(scores, value=problem.values(problem.x, problem.everyone))
        if scores.baseline_value is None and needs_baseline:
            scores = replace(scores, baseline_value=problem.values(problem.baseline, problem.everyone))
        return scores


@dataclass(frozen=True)
class Sweep:
    """Scores of the inputs, of layers and of attention matrices, from one sweep of the path."""

    inputs: Scores
    layers: tuple[Tensor, ...]  # (B, T, *S) each
    attention: Tensors  # (B, T, H, Q, K) each
    points: tuple[HookPoint, ...]  # the attention matrix of each tensor of `attention`


class Method:
    """An attribution method: options as fields of a frozen dataclass, and one function of a Problem.

    complete: Σ scores = f(x) − f(x₀), but for a residual that is reported. The contract tests hold it to that.
    needs_baseline: it compares the input with a baseline; without, no pass is made for one.
    reduction: how a token's entries become one number (a key of `core.reductions.REDUCTIONS`).
    unit: scores are in the unit of f ("f") or in none ("").
    supports_layers: it scores layers while the inputs move; else a layer is entered and its own tensors move.
    operates_on: "inputs", "attention" (the matrices are scored) or "layer" (a layer of the method's choice is scored).
    row_stochastic: its matrices are shares that add up over keys, not contributions to the target.
    needs_gradients: it goes backward through the model; without, it only compares values.
    looks_at_x_first: its first pass is at x, so that this can be the pass that predicts.
    """

    name: ClassVar[str] = ""
    complete: ClassVar[bool] = False
    needs_baseline: ClassVar[bool] = True
    reduction: ClassVar[str] = "sum"
    unit: ClassVar[str] = "f"
    supports_layers: ClassVar[bool] = True
    operates_on: ClassVar[str] = "inputs"
    row_stochastic: ClassVar[bool] = False
    needs_gradients: ClassVar[bool] = True

    @property
    def looks_at_x_first(self) -> bool:
        return False

    def problem(self, subject: Subject) -> Problem:
        """The problem that this method works on."""
        if self.operates_on == "attention":
            return subject.problem(observe=subject.attention)
        if subject.layer is None:
            return subject.problem()
        if self.supports_layers:
            return subject.problem(observe=[subject.layer])
        return subject.at(subject.layer).problem()

    def scores(self, problem: Problem) -> Scores:
        """A score for every entry of every site of a problem."""
        raise NotImplementedError

    def attribute(self, subject: Subject) -> Scores:
        """The scores of a subject: of its inputs, of its layer, or of its attention matrices."""
        problem = self.problem(subject)
        scores = self.scores(problem).with_ends(problem, needs_baseline=self.needs_baseline)
        if subject.layer is None:
            return scores
        along = REDUCTIONS[self.reduction](_channels_last(scores.tensors[0]).double())
        return replace(scores, sequences={"joint": along})

    def sweep(self, subject: Subject, layers: Sequence[HookPoint], attention: Sequence[HookPoint]) -> Sweep:
        """What flows through layers and attention matrices, in the sweep that scores the inputs.

        Raises InvalidInput for a method that follows no path.
        """
        raise InvalidInput(
            "layers=True and attention=True show what flows through them while the embeddings move, which goes with "
            f"method='integrated_gradients' or 'conductance'; got {self.name!r}."
        )


def _channels_last(scores: Tensor) -> Tensor:
    """Scores of a layer, those of a convolution (B, T, C, *places) as (B, T, places, C)."""
    return scores.flatten(3).transpose(2, 3) if scores.ndim > 4 else scores


METHODS: dict[str, type[Method]] = {}
BOUNDS = {"seed": (0, 2**63 - 1)}  # of options that mean the same in every method
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
    if not isinstance(name, str) or name not in METHODS:
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
    cls: type = type(find_method(name))
    return _options_of(cls)


@cache
def _options_of(cls: type) -> tuple[OptionField, ...]:
    hints = get_type_hints(cls)
    options = []
    for one in fields(cls):
        hint = hints[one.name]
        members = (hint,) if get_origin(hint) is Literal else get_args(hint) or (hint,)
        kinds = [kind for kind in members if kind is not NoneType]
        words = tuple(word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind))
        plain = [kind for kind in kinds if kind in (str, int, float, bool)]
        if any(get_origin(kind) is Mapping for kind in (hint, *kinds)):
            options.append(OptionField(name=one.name, type=dict, help=_described(cls, one.name)))
        elif (words or plain) and one.default is not MISSING:
            kind = plain[0] if plain else str
            text = _described(cls, one.name)
            least, most = BOUNDS.get(one.name, (None, None))
            option = OptionField(name=one.name, type=kind, help=text, default=one.default, choices=words)
            options.append(replace(option, least=least, most=most))
    return tuple(options)


def method_cost(name: str) -> str:
    """What a method costs, in passes of the model, as its docstring says. Raises UnknownName.

    >>> from xai_nlp.methods import METHODS
    >>> method_cost("occlusion")
    'one forward pass for each feature.'
    """
    return _described(type(find_method(name)), "Cost")


def _described(cls: type, option: str) -> str:
    """What the docstring of a class, or of a base class, says of an option."""
    for base in cls.__mro__:
        match = re.search(
            rf"^    {option}: (.+?)(?=\n\s*\n|\n    \w+: |\Z)", base.__dict__.get("__doc__") or "", re.S | re.M
        )
        if match:
            return " ".join(match[1].split())
    return ""
