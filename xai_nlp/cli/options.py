"""Inputs and options of the command line, made from the fields of the task table and of the methods, and read."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.errors import InvalidInput
from xai_nlp.tasks.table import Task

Model = Annotated[str, typer.Option(help="An embedded model, a folder or a hub name.")]
FOLDED = "More options"


def flag_of(name: str) -> str:
    """The option of the command line for a keyword of Python."""
    return f"--{name.replace('_', '-')}"


def parameter(name: str, kind: Any, info: Any, default: Any = None) -> Parameter:
    """A parameter of a command's signature."""
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info], default=default)


def input_parameters(field: InputField) -> list[Parameter]:
    """An input as a list of arguments or as an option. A long text can be given as a file, too."""
    flag = flag_of(field.name)
    if field.positional:
        argument = typer.Argument(help=field.help, metavar=field.name.upper(), show_default=False)
        return [parameter(field.name, list[str] | None, argument)]
    if field.kind == "image":
        return [parameter(field.name, Path | None, typer.Option(flag, help=field.help, exists=True, dir_okay=False))]
    parameters = [parameter(field.name, str | None, typer.Option(flag, help=field.help))]
    if field.kind == "long text":
        option = typer.Option(f"{flag}-file", help=f"A file with the {field.name}; - for stdin.")
        parameters.append(parameter(f"{field.name}_file", Path | None, option))
    return parameters


def option_parameter(field: OptionField) -> Parameter:
    """An option, by default the one of the Python function."""
    kind: Any = str if field.choices else field.type
    flag = flag_of(field.name)
    option = typer.Option(
        f"{flag}/--no-{flag[2:]}" if field.default is True else flag,
        help=field.help,
        metavar="|".join(field.choices) or None,
        show_default=False if field.default in (None, False) else str(field.default),
        rich_help_panel=FOLDED if field.advanced else None,
    )
    if kind is bool:
        return parameter(field.name, bool, option, bool(field.default))
    return parameter(field.name, list[kind] | None if field.repeatable else kind | None, option)


# Read -----------------------------------------------------------------------------------------------------------------


def read_text(file: Path) -> str:
    """A file's text, "-" for stdin. Raises InvalidInput if it is not UTF-8."""
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}.") from None


def inputs_of_arguments(task: Task, values: Mapping[str, Any], data: Path | None = None) -> dict[str, Any]:
    """The inputs on the command line by name: a list where an argument is repeated, else one value.

    data: a file of inputs, beside which there are none on the command line.
    """
    inputs = {}
    for field in task.inputs:
        value, file = values[field.name], values.get(f"{field.name}_file")
        if value and file:
            raise typer.BadParameter(f"give {_flag(field)} or {_flag(field)}-file, not both.")
        if file:
            value = read_text(file)
        if value not in (None, []):
            inputs[field.name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    missing = [_flag(one) for one in task.inputs if one.required and one.name not in inputs]
    if data and inputs:
        flags = [_flag(one) for one in task.inputs if one.name in inputs]
        raise typer.BadParameter(f"give {' and '.join(flags)}, or --data, not both.")
    if missing and not data:
        raise typer.BadParameter(f"give {' and '.join(missing)}, or --data with a file of inputs (- for stdin).")
    return inputs


def _flag(field: InputField) -> str:
    return field.name.upper() if field.positional else flag_of(field.name)


def option_values(fields: Sequence[OptionField], values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, as keywords of `explain`. Raises UnknownName for a word that is not a choice."""
    from xai_nlp.web.forms import parse_options

    given = {one.name: values[one.name] for one in fields if values[one.name] not in (None, [])}
    return parse_options("option", fields, given)


def pairs(items: list[str] | None, form: str) -> dict[str, str]:
    """Items of the form NAME=VALUE as a dict. `form` is shown where one has no =."""
    values = {}
    for item in items or []:
        name, sign, value = item.partition("=")
        if not sign:
            raise typer.BadParameter(f"write {form}; got {item!r}.")
        values[name] = value
    return values


def read_method_options(items: list[str] | None, methods: Sequence[str], seed: int) -> dict[str, Any]:
    """The options of a method from name=value; the seed too, if the method has one.

    Raises UnknownName for a method or an option that does not exist, InvalidInput for a value of another type.
    """
    from xai_nlp.core.registry import method_options
    from xai_nlp.web.forms import parse_options

    texts, options = pairs(items, "--option NAME=VALUE"), {}
    for method in methods:
        fields = method_options(method)
        remedy = f"`xai-nlp methods {method}` explains them."
        options = parse_options(f"option of {method}", fields, texts, remedy)
        if len(methods) == 1 and any(one.name == "seed" for one in fields):
            options.setdefault("seed", seed)
    return options
