"""The settings of Insights: a method with its arguments, and which examples are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from xai_nlp.errors import InvalidInput, UnknownName

PREDICTIONS = ("all", "correct", "incorrect")
PREDICTED = "predicted"
MAX_EXAMPLES = 100  # at once


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is computed and shown.

    arguments: options of the method and of the task.
    prediction: all examples, or only those the model gets right, or wrong; classes: only those predicted so.
    target: the class explained, "predicted" for each example's own.
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prediction: str = "all"
    classes: tuple[str, ...] = ()
    target: str = PREDICTED
    examples: int = 4

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise UnknownName("filter of predictions", self.prediction, PREDICTIONS)
        if not 1 <= self.examples <= MAX_EXAMPLES:
            raise InvalidInput(f"from 1 to {MAX_EXAMPLES} examples are shown at once; got {self.examples}.")

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """These settings with the values of a form. Raises UnknownName for a setting that does not exist."""
        for name in values:
            if name not in self.__dataclass_fields__:
                raise UnknownName("setting", name, self.__dataclass_fields__)
        new: dict[str, Any] = {name: tuple(value) if name == "classes" else value for name, value in values.items()}
        if new.get("method", self.method) != self.method:
            new.setdefault("arguments", {})  # the options of another method do not exist here
        try:
            new["examples"] = int(new.get("examples", self.examples))
        except (TypeError, ValueError):
            raise InvalidInput(f"the number of examples is an integer; got {values['examples']!r}.") from None
        return replace(self, **new)

    def accept(self, predicted: str, right: bool | None) -> bool:
        """Is an example with this prediction shown? Without a right label it passes the filter of predictions."""
        if self.classes and predicted not in self.classes:
            return False
        return right is None or self.prediction == "all" or right == (self.prediction == "correct")

    def to_dict(self) -> dict[str, Any]:
        """The settings as the form shows them."""
        return asdict(self) | {"classes": list(self.classes)}
