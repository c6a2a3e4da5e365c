"""Options of the command line, made from the fields of the task table and of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.errors import UnknownName

Model = Annotated[str, typer.Option(help="An embedded model, a folder or a hub name.")]
#: Options of every command that explains: where the inputs come from, a method's options, and the form of the results.
SHARED: dict[str, tuple[Any, Any]] = {
    "data": (
        Annotated[
            Path | None,
            typer.Option(
                "--file", "--data", help="A file of inputs: lines of text, CSV, TSV, JSON or Parquet; - for stdin."
            ),
        ],
        None,
    ),
    "columns": (
        Annotated[
            list[str] | None,
            typer.Option("--column", metavar="NAME=COLUMN", help="The column of --data that holds an input, or gold."),
        ],
        None,
    ),
    "method_options": (
        Annotated[
            list[str] | None,
            typer.Option(
                "--option", "-o", metavar="NAME=VALUE", help="A method's option; `xai-nlp methods NAME` lists them."
            ),
        ],
        None,
    ),
    "seed": (Annotated[int, typer.Option(help="The seed of methods that draw random numbers.")], 0),
    "html": (Annotated[Path | None, typer.Option(help="Write a page.")], None),
    "json_to": (Annotated[Path | None, typer.Option("--json", help="Write JSON lines; - for stdout.")], None),
    "tokens": (Annotated[bool, typer.Option("--tokens", help="Show the model's tokens instead of words.")], False),
}
FOLDED = "More options"


def parameter(name: str, annotation: Any, default: Any) -> Parameter:
    """A parameter of a command's signature."""
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def shared_parameters(model: str) -> list[Parameter]:
    """The parameters of every command that explains; the model must be named if there is no embedded one."""
    shared = [parameter(name, annotation, default) for name, (annotation, default) in SHARED.items()]
    return [parameter("model", Model, model or Parameter.empty), *shared]


def input_parameters(field: InputField) -> list[Parameter]:
    """An input as a list of arguments or as an option. A long text can be given as a file, too."""
    flag = "--" + field.name.replace("_", "-")
    if field.positional:
        argument = typer.Argument(help=field.help, metavar=field.name.upper(), show_default=False)
        return [parameter(field.name, Annotated[list[str] | None, argument], None)]
    if field.kind == "image":
        option = typer.Option(flag, help=field.help, exists=True, dir_okay=False)
        return [parameter(field.name, Annotated[Path | None, option], None)]
    parameters = [parameter(field.name, Annotated[str | None, typer.Option(flag, help=field.help)], None)]
    if field.kind == "long text":
        option = typer.Option(f"{flag}-file", help=f"A file with the {field.name}; - for stdin.")
        parameters.append(parameter(f"{field.name}_file", Annotated[Path | None, option], None))
    return parameters


def option_parameter(field: OptionField) -> Parameter:
    """An option, by default the one of the Python function."""
    kind: Any = str if field.choices else field.type
    name = field.name.replace("_", "-")
    option = typer.Option(
        f"--{name}/--no-{name}" if field.default is True else f"--{name}",
        help=field.help,
        metavar="|".join(field.choices) or None,
        show_default=False if field.default in (None, False) else str(field.default),
        rich_help_panel=FOLDED if field.advanced else None,
    )
    if kind is bool:
        return parameter(field.name, Annotated[bool, option], bool(field.default))
    return parameter(field.name, Annotated[list[kind] | None if field.repeatable else kind | None, option], None)


def option_values(fields: Sequence[OptionField], values: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, as keywords of `explain`. Raises UnknownName for a word that is not a choice."""
    options = {}
    for field in fields:
        value = values[field.name]
        if field.repeatable and value:
            parsed = [field.parse(item) for item in value]
            options[field.name] = parsed[0] if len(parsed) == 1 else parsed
        elif value not in (None, []):
            options[field.name] = field.parse(value)
    return options


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

    texts, options = pairs(items, "--option NAME=VALUE"), {}
    for method in methods:
        fields = {field.name: field for field in method_options(method)}
        for name, text in texts.items():
            if name not in fields:
                raise UnknownName(f"option of {method}", name, fields, f"`xai-nlp methods {method}` explains them.")
            options[name] = fields[name].parse(text)
        if "seed" in fields and len(methods) == 1:
            options.setdefault("seed", seed)
    return options
