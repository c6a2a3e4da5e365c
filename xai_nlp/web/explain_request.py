"""A request to explain. Its fields come from the task table, so that a registered task needs no edit here."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model, model_validator

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.core.registry import method_options
from xai_nlp.data.table import Record
from xai_nlp.errors import InvalidInput, UnknownName, XaiError
from xai_nlp.methods import find_method
from xai_nlp.tasks.options import ExplainOptions
from xai_nlp.tasks.table import TASKS
from xai_nlp.tasks.task import Task
from xai_nlp.web.forms import OMITTED, parse_options
from xai_nlp.web.image_check import IMAGE_KINDS, check_image
from xai_nlp.web.limits import LIMITS, Limits

Short = Annotated[str, Field(max_length=LIMITS.words)]
Long = Annotated[str, Field(max_length=LIMITS.letters)]
Encoded = Annotated[str, Field(max_length=2 * LIMITS.image, description="The image's bytes as base64.")]
Whole = Annotated[int, Field(ge=-LIMITS.number, le=LIMITS.number)]
Number = Annotated[float, Field(ge=-LIMITS.number, le=LIMITS.number)]
Several = Annotated[list[Short], Field(min_length=1, max_length=LIMITS.methods)]
Items = Annotated[list[Short], Field(max_length=LIMITS.words)]
TYPES: dict[Any, Any] = {
    "text": Short, "long text": Long, "image": Encoded, "list": Short | Items,
    str: Short, int: Whole, float: Number, bool: bool
}  # fmt: skip


class ExplainRequest(BaseModel):
    """One thing to explain: a model, the inputs of its task, and options.

    Which inputs are needed goes by the model's task; an input or option of another task is refused. `request_schema`
    adds the fields of the tasks. `options` holds options of the method, such as {"steps": 64}.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: Short
    options: dict[Short, JsonValue] = Field(default={}, description="Options of the method, by name.")

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, data: Any) -> Any:
        """Raises UnknownName for a field that no task has."""
        if isinstance(data, Mapping):
            for name in data:
                if name not in cls.model_fields:
                    raise UnknownName("field", str(name)[:100], cls.model_fields)
        return data

    @property
    def values(self) -> dict[str, Any]:
        """The inputs and options that are set, by name."""
        values = self.model_dump(exclude=set(ExplainRequest.model_fields))
        return {name: value for name, value in values.items() if value not in (None, "")}

    @property
    def methods(self) -> list[str]:
        """The methods, in order."""
        method = self.values.get("method", ExplainOptions.method)
        return [method] if isinstance(method, str) else list(method)

    @property
    def title(self) -> str:
        """The first text, shortened, or “an image”: the name of the entry in the history."""
        kinds = {one.name: one.kind for task in TASKS.values() for one in task.inputs}
        texts = (value for name, value in self.values.items() if kinds.get(name) in ("text", "long text"))
        text = " ".join(next(texts, "an image").split())
        return text if len(text) <= 80 else text[:79] + "…"

    @property
    def images(self) -> dict[str, str]:
        """The images, as base64."""
        return self._inputs(images=True)

    @property
    def summary(self) -> str:
        """The options that are set, in a few words, beside target and method: "baseline mask · layers · steps 64"."""
        inputs = {*self._inputs(images=False), *self._inputs(images=True), "method", "target"}
        options = {name: value for name, value in self.values.items() if name not in inputs} | self.options
        texts = [name if value is True else f"{name} {value}" for name, value in options.items()]
        return " · ".join(text.replace("_", " ") for text in texts)[: LIMITS.words]

    def without_images(self) -> ExplainRequest:
        """The request as it is remembered."""
        return self.model_copy(update=dict.fromkeys(self.images))

    def field_of(self, message: str) -> str:
        """The field that an error is about: the one whose value it repeats, else the first that it names; or "".

        A field of the method's options is called "options.steps".
        """
        options = {f"options.{name}": value for name, value in self.options.items()}
        for name, value in {**self.values, **options}.items():
            if isinstance(value, str) and repr(value) in message:
                return name
        names = {name.rpartition(".")[2]: name for name in (*type(self).model_fields, *options)}
        return next((names[word] for word in re.findall(r"\w+", message) if word in names), "")

    def _inputs(self, *, images: bool) -> dict[str, str]:
        """The texts that are set, or the images, by name."""
        names = {one.name for task in TASKS.values() for one in task.inputs if (one.kind == "image") is images}
        return {name: value for name, value in self.values.items() if name in names}

    def keywords(self, task: Task, *, of_rows: bool = False) -> dict[str, Any]:
        """The keywords of `Explainer.explain`, checked before anything is computed.

        of_rows: the inputs come from rows of a data set, not from this request.
        Raises InvalidInput for a missing input, an input or option of another task, and a value out of bounds;
        UnknownName for a method, an option of a method or a choice that does not exist.
        """
        title, values = task.title.lower(), self.values
        inputs = {one.name: values.pop(one.name) for one in task.inputs if one.name in values}
        options = {one.name: one for one in task.every_option if one.name not in OMITTED}
        for name, value in values.items():
            if name not in options:
                raise InvalidInput(f"{name} does not belong to {title}; leave it out.")
            cells = str(value).partition(":")[2]  # of "grid:8"
            if cells.isdecimal() and int(cells[:9]) > LIMITS.cells:
                raise InvalidInput(f"{name} has at most {LIMITS.cells} cells along a side here; got {value!r}.")
        if of_rows and inputs:
            raise InvalidInput(f"{' and '.join(inputs)}: leave it out; the rows hold the inputs.")
        for name in () if of_rows else task.required:
            value = inputs.get(name, "")
            if not (value.strip() if isinstance(value, str) else value):
                raise InvalidInput(f"{name} is empty: {title} needs {' and '.join(task.required)}.")
        keywords = inputs | parse_options("option", options.values(), values)
        keywords |= {name: image_bytes(data) for name, data in self.images.items()}
        return {**keywords, "method": self.methods, **self._method_options()}

    def _method_options(self) -> dict[str, Any]:
        """The options of the one method, as its fields take them."""
        if len(set(self.methods)) < len(self.methods):
            raise InvalidInput("a method is named twice; name each once.")
        if self.options and len(self.methods) > 1:
            raise InvalidInput("options belong to one method; explain each method by a request of its own to set them.")
        options: dict[str, Any] = {}
        for method in self.methods:
            options = parse_options(f"option of {method}", method_options(method), self.options)
            for name, value in options.items():
                _check_size(name, value)
            find_method(method, options)
        return options


class FieldError(InvalidInput):
    """A request that cannot be fulfilled because of one of its fields."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@contextmanager
def field_errors(request: ExplainRequest) -> Iterator[None]:
    """Turns errors about a request into FieldErrors."""
    try:
        yield
    except XaiError as error:
        raise FieldError(str(error), request.field_of(str(error))) from error


def request_schema() -> type[ExplainRequest]:
    """ExplainRequest with the inputs and options of all tasks that are in the table now."""
    rows: dict[str, list[InputField | OptionField]] = {}
    for task in TASKS.values():
        of_task: list[InputField | OptionField] = [*task.inputs, *task.every_option]
        for one in of_task:
            if one.name not in OMITTED:
                rows.setdefault(one.name, []).append(one)
    fields: dict[str, Any] = {name: (_annotation(of_name) | None, None) for name, of_name in rows.items()}
    return create_model("ExplainRequest", __base__=ExplainRequest, __doc__=ExplainRequest.__doc__, **fields)


def _annotation(rows: list[InputField | OptionField]) -> Any:
    """The type of a field that these rows of the table share."""
    types = [TYPES[one.kind if isinstance(one, InputField) else one.type] for one in rows]
    options = [one for one in rows if isinstance(one, OptionField)]
    types += [Short] * any(one.choices for one in options) + [Several] * any(one.repeatable for one in options)
    return Annotated[reduce(or_, types), Field(description=" ".join(dict.fromkeys(one.help for one in rows)))]


def _check_size(name: str, value: Any) -> None:
    """Raises InvalidInput for a number that would keep the server busy for ever."""
    if isinstance(value, Mapping):  # options of a method that this one calls
        for inner, one in value.items():
            _check_size(f"{name}.{inner}", one)
    elif isinstance(value, (int, float)) and not abs(value) <= LIMITS.number:
        raise InvalidInput(f"{name} is at most {LIMITS.number:,} here; got {value}.")


def image_bytes(encoded: str, limits: Limits = LIMITS) -> bytes:
    """The bytes of an image in base64, after its kind and size were checked. Raises InvalidInput."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput("the image is not base64; send the file's bytes as base64.") from None
    if len(content) > limits.image:
        raise InvalidInput(f"the image has {len(content):,} bytes; at most {limits.image:,} are read.")
    check_image(content, IMAGE_KINDS, limits)
    return content


@dataclass(frozen=True)
class RowsRequest:
    """Rows of a data set that one job explains with the same options."""

    request: ExplainRequest  # without inputs
    rows: Sequence[Record]
    dataset: str  # its name

    @property
    def title(self) -> str:
        """The name of the entry in the history."""
        return f"{len(self.rows)} row{'s' * (len(self.rows) != 1)} of {self.dataset}"

    @property
    def images(self) -> dict[str, str]:
        """None: a data set of the page holds texts."""
        return {}

    def without_images(self) -> RowsRequest:
        """The request as it is remembered."""
        return self

    def field_of(self, message: str) -> str:
        """The field that an error is about."""
        return self.request.field_of(message)


def rows_schema() -> type[BaseModel]:
    """The body of a request for rows: the request without inputs, and the numbers of the rows."""
    numbers = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=LIMITS.rows_at_once)]
    forbid = ConfigDict(extra="forbid", strict=True)
    return create_model("RowsBody", __config__=forbid, request=(request_schema(), ...), numbers=(numbers, ...))
