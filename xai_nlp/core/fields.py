"""Descriptions of inputs and options, from which the command line, forms and schemas are generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from xai_nlp.errors import InvalidInput, UnknownName

InputKind = Literal["text", "long text", "image"]


@dataclass(frozen=True, kw_only=True)
class InputField:
    """One input of a task."""

    name: str  # keyword of `explain`, option of the command, field of the form, key of a record
    kind: InputKind
    help: str
    columns: tuple[str, ...]  # what data sets call it, the likeliest first
    required: bool = True
    positional: bool = False  # an argument of the command instead of an option


@dataclass(frozen=True, kw_only=True)
class OptionField:
    """One option of a task, of every task, or of a method.

    choices: a closed list for text; for a number, words that may stand in its place ("auto").
    """

    name: str
    type: type  # str, int, float or bool
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()  # () allows any value
    repeatable: bool = False  # several values may be given
    advanced: bool = False  # forms fold it away

    def parse(self, value: Any) -> Any:
        """The value as this option's type; None and values of the right type pass unchanged.

        Raises InvalidInput for another type, UnknownName for a word that is not a choice.

        >>> OptionField(name="steps", type=int, help="", choices=("auto",)).parse("17")
        17
        """
        if value is None or (isinstance(value, str) and value in self.choices):
            return value
        if self.type is str:
            if self.choices:
                raise UnknownName(self.name, value, self.choices)
            if isinstance(value, str):
                return value
        elif self.type is bool:
            if isinstance(value, bool):
                return value
            if str(value).lower() in ("true", "false"):
                return str(value).lower() == "true"
        elif not isinstance(value, bool):
            try:
                number = self.type(value)
                if number == float(value):
                    return number
            except (TypeError, ValueError, OverflowError):
                pass
        kinds = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
        words = f", or {' or '.join(map(repr, self.choices))}" if self.choices else ""
        raise InvalidInput(f"{self.name} is {kinds[self.type]}{words}; got {value!r}.")
