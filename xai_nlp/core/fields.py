"""Descriptions of inputs and options, from which the command line, forms and schemas are generated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from xai_nlp.errors import InvalidInput, UnknownName

InputKind = Literal["text", "long text", "image", "list"]  # a list of texts, or a line of them with commas


@dataclass(frozen=True, kw_only=True)
class InputField:
    """One input of a task."""

    name: str  # keyword of `explain`, option of the command, field of the form, key of a record
    kind: InputKind
    help: str
    columns: tuple[str, ...]  # what data sets call it, the likeliest first
    required: bool = True
    positional: bool = False  # an argument of the command instead of an option


def list_items(value: Any, name: str) -> list[str]:
    """The texts of one input of the kind "list": a list, or a line with commas. Raises InvalidInput for anything else.

    >>> list_items("sports, world news", "labels")
    ['sports', 'world news']
    """
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise InvalidInput(f"{name} is a list of texts, or a line of them with commas; got {str(value)[:60]!r}.")
    return [item.strip() for item in items if item.strip()]


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
        elif self.type is dict:
            try:
                mapping = json.loads(value) if isinstance(value, str) else value
                if isinstance(mapping, Mapping):
                    return mapping
            except ValueError:
                pass
        elif not isinstance(value, bool):
            try:
                number = self.type(value)
                if number == float(value) and self._within_bounds(number):
                    return number
            except (TypeError, ValueError, OverflowError):
                pass
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

    def _within_bounds(self, number: float) -> bool:
        return (self.least is None or self.least <= number) and (self.most is None or number <= self.most)
