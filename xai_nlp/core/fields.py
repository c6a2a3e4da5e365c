"""Descriptions of inputs and options, from which the command line, forms and schemas are generated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
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
    sample: str = "a gripping, beautifully acted film"  # a value that examples show; of an image the name of a file


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
        if self.type is str and self.choices:
            raise UnknownName(self.name, value, self.choices)
        with suppress(TypeError, ValueError, OverflowError):
            converted = self._converted(value)
            if converted is not None:
                return converted
        raise self._refusal(value)

    def check(self, value: Any) -> Any:
        """The value as this option's type, where Python gave it: a text is no number. Raises as `parse` does.

        >>> OptionField(name="stride", type=int, help="", least=0).check("8")
        Traceback (most recent call last):
        xai_nlp.errors.InvalidInput: stride is a whole number from 0 on; got '8'.
        """
        if isinstance(value, str) and self.type is not str and value not in self.choices:
            raise self._refusal(value)
        return self.parse(value)

    def _refusal(self, value: Any) -> InvalidInput:
        kinds = {
            str: "text",
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            dict: 'written as JSON, such as {"steps": 8}',
        }
        words = f", or {' or '.join(map(repr, self.choices))}" if self.choices else ""
        bounds = "" if self.least is None else f" from {self.least:g}" + (f" to {self.most:g}" if self.most else " on")
        return InvalidInput(f"{self.name} is {kinds[self.type]}{bounds}{words}; got {value!r}.")

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
        if not isfinite(number):
            return None
        within_bounds = (self.least is None or self.least <= number) and (self.most is None or number <= self.most)
        return number if number == float(value) and within_bounds and not isinstance(value, bool) else None
