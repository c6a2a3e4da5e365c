"""What the reader chose: a method with its arguments, and which examples are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from xai_nlp.core.result import Explanations
from xai_nlp.errors import InvalidInput, UnknownName, XaiError

PREDICTIONS = ("all", "correct", "incorrect")
AS_PREDICTED = "predicted"
MOST = 100  # examples at once
#: What a method may raise on a model that it does not fit.
FAILURES = (XaiError, ValueError, TypeError, RuntimeError, AssertionError, LookupError)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is computed and shown.

    prediction: all examples, or only those the model gets right, or wrong; classes: only those predicted so.
    target: the class explained, "predicted" for each example's own.
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prediction: str = "all"
    classes: tuple[str, ...] = ()
    target: str = AS_PREDICTED
    examples: int = 4

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise UnknownName("filter of predictions", self.prediction, PREDICTIONS)
        if not 1 <= self.examples <= MOST:
            raise InvalidInput(f"from 1 to {MOST} examples are shown at once; got {self.examples}.")

    def changed(self, given: Mapping[str, Any]) -> Settings:
        """These settings with what a form gave. Raises UnknownName for a name that none of them has."""
        for name in given:
            if name not in self.__dataclass_fields__:
                raise UnknownName("setting", name, self.__dataclass_fields__)
        values: dict[str, Any] = {name: tuple(value) if name == "classes" else value for name, value in given.items()}
        if values.get("method", self.method) != self.method:
            values.setdefault("arguments", {})  # those of the method before mean nothing to this one
        try:
            values["examples"] = int(values.get("examples", self.examples))
        except (TypeError, ValueError):
            raise InvalidInput(f"the number of examples is a whole number; got {given['examples']!r}.") from None
        return replace(self, **values)

    def keeps(self, predicted: str, right: bool | None) -> bool:
        """Is an example with this prediction shown? Where nothing is known to be right, that filter keeps it."""
        if self.classes and predicted not in self.classes:
            return False
        return right is None or self.prediction == "all" or right == (self.prediction == "correct")


class Source(Protocol):
    """What Insights shows: models and their data."""

    settings: Settings

    def choices(self) -> dict[str, Any]:
        """What can be chosen: "methods" (name → arguments), "targets", "classes", "judged"."""

    def fetch(self) -> Explanations:
        """The next examples, explained as the settings say."""

    def again(self) -> Explanations:
        """The examples shown last, explained as the settings say now; the next ones where none were."""


def told(source: Source) -> dict[str, Any]:
    """The settings as the form shows them."""
    return {**vars(source.settings), "classes": list(source.settings.classes)}


def answer(source: Source, given: Mapping[str, Any]) -> Explanations:
    """What a form asks for, explained; the settings stay as they were if that fails.

    given: settings, and "more" for other examples than those shown. Raises any of FAILURES.
    """
    before = source.settings
    try:
        source.settings = before.changed({name: value for name, value in given.items() if name not in ("more", "time")})
        return source.fetch() if given.get("more") else source.again()
    except BaseException:
        source.settings = before
        raise


def form_of(arguments: Mapping[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """Arguments as a form draws them: named tuples of config as plain objects."""
    return {name: config._asdict() for name, config in arguments.items()}  # type: ignore[attr-defined]
