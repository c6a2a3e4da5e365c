"""Descriptions of inputs and options, from which the command line, forms and schemas are generated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
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


@dataclass(frozen=True, kw_only=True)
class OptionField:
    """One option of a task, of every task, or of a method.

    choices: a closed list for text; for a number, words that may stand in its place ("auto").
    least, most: bounds of a number; None for none.
    """

    name: str
    type: type  # str, int, float, bool, or dict
    help: str
    default: Any = None
    choices: tuple[str, ...] = ()  # () allows any value
    repeatable: bool = False  # several values may be given
    advanced: bool = False  # forms fold it away
    least: float | None = None
    most: float | None = None

    def parse(self, value: Any) -> Any:
        """The value as this option's type; None and values of the right type pass unchanged.

        Raises InvalidInput for another type or a number out of bounds, UnknownName for a word that is not a choice.

        >>> OptionField(name="steps", type=int, help="", choices=("auto",)).parse("17")
        17
        >>> OptionField(name="of_options", type=dict, help="").parse('{"steps": 8}')
        {'steps': 8}
        """
        if value is None or (isinstance(value, str) and value in self.choices):
            return value
        if self.type is str and self.choices:
            raise UnknownName(self.name, value, self.choices)
        with suppress(TypeError, ValueError, OverflowError):
            converted = self._converted(value)
            if converted is not None:
                return converted
        kinds = {
            str: "text",
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            dict: 'written as JSON, such as {"steps": 8}',
        }
        words = f", or {' or '.join(map(repr, self.choices))}" if self.choices else ""
        bounds = "" if self.least is None else f" from {self.least:g}" + (f" to {self.most:g}" if self.most else " on")
        raise InvalidInput(f"{self.name} is {kinds[self.type]}{bounds}{words}; got {value!r}.")

    def _converted(self, value: Any) -> Any:
        """The value as this option's type; None, or an error of Python's, if it is of another or out of bounds."""
        if self.type is bool:
            return {"true": True, "false": False}.get(str(value).lower())
        if self.type is str:
            return value if isinstance(value, str) else None
        if self.type is dict:
            mapping = json.loads(value) if isinstance(value, str) else value
            return mapping if isinstance(mapping, Mapping) else None
        number = self.type(value)
        within_bounds = (self.least is None or self.least <= number) and (self.most is None or number <= self.most)
        return number if number == float(value) and within_bounds and not isinstance(value, bool) else None
