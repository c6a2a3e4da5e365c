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
from xai_nlp.tasks.task import Task

Model = Annotated[str, typer.Option(help="An embedded model, a folder or a hub name.")]
Device = Annotated[str | None, typer.Option(help="Where the model runs: cpu, cuda, cuda:1; auto for an accelerator.")]
Dtype = Annotated[str | None, typer.Option(help="The model's numbers: float32, bfloat16, float16, float64.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only so many, from the beginning.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="[NAME=]COLUMN",
        help="The column that holds the first input; with a name, another input, or gold.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but errors on stderr, and no text beside files.")]
FOLDED = "More options"


def flag_of(name: str) -> str:
    """The option of the command line for a keyword of Python."""
    return f"--{name.replace('_', '-')}"


def parameter(name: str, kind: Any, info: Any, default: Any = None) -> Parameter:
    """A parameter of a command's signature."""
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info], default=default)


def input_parameters(task: Task, field: InputField) -> list[Parameter]:
    """The parameters of an input: the main one is the argument of the command, every other input is an option.

    A text that is the argument may be given by its option, too. A long text can come from a file.
    """
    flag, parameters = flag_of(field.name), []
    is_file = field.kind == "image"
    argument = typer.Argument(
        help=field.help, metavar=field.name.upper(), show_default=False, exists=is_file, dir_okay=not is_file
    )
    if is_file:
        option = typer.Option(flag, help=field.help, exists=True, dir_okay=False)
        several = field is task.main_input
        return [parameter(field.name, list[Path] | None if several else Path | None, argument if several else option)]
    if field is task.main_input:
        parameters.append(parameter(field.name, list[str] | None, argument))
        parameters.append(parameter(f"{field.name}_option", list[str] | None, typer.Option(flag, hidden=True)))
    else:
        parameters.append(parameter(field.name, str | None, typer.Option(flag, help=field.help)))
    if field.kind == "long text":
        option = typer.Option(f"{flag}-file", help=f"A file with the {field.name}; - for stdin.")
        parameters.append(parameter(f"{field.name}_file", Path | None, option))
    return parameters


def example_of(group: str, task: Task) -> str:
    """Command lines that explain an input of a task, and a file of them: one a paragraph, as help shows them."""
    example, words = next(iter(task.examples), {}), []
    for field in task.inputs:
        if not field.required:
            continue
        value = field.sample if field.kind == "image" else f'"{example.get(field.name, field.sample)}"'
        words.append(value if field is task.main_input else f"{flag_of(field.name)} {value}")
    command = f"xai-nlp {group} {task.command}"
    model = "" if task.embedded else " --model FOLDER"
    one = f"{command} {' '.join(sorted(words, key=lambda word: word.startswith('--')))}{model}"
    return f"Examples:\n\n{one}\n\n{command} --file rows.csv{model} --json rows.jsonl --html rows.html"


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
    """The inputs on the command line by name: a list where one is repeated, else one value.

    data: a file of inputs, beside which there are none on the command line.
    """
    inputs = {}
    for field in task.inputs:
        value, file = _value(field, values), values.get(f"{field.name}_file")
        if value and file:
            raise typer.BadParameter(f"give {_name(task, field)} or {flag_of(field.name)}-file, not both.")
        if file:
            value = read_text(file)
        if value not in (None, []):
            inputs[field.name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    missing = [_name(task, one) for one in task.inputs if one.required and one.name not in inputs]
    names = [_name(task, one) for one in task.inputs if one.name in inputs and one.kind != "list"]  # it serves all rows
    if data and names:
        raise typer.BadParameter(f"give {' and '.join(names)}, or --file, not both.")
    if missing and not data:
        raise typer.BadParameter(f"give {' and '.join(missing)}, or --file with a file of inputs (- for stdin).")
    return inputs


def _value(field: InputField, values: Mapping[str, Any]) -> Any:
    """An input's value: its option's, or that of the arguments and of the option of the same name."""
    option = values.get(f"{field.name}_option")
    return [*(values[field.name] or []), *option] if option else values[field.name]


def _name(task: Task, field: InputField) -> str:
    return field.name.upper() if field is task.main_input else flag_of(field.name)


def columns_of_options(task: Task, items: list[str] | None) -> dict[str, str]:
    """Input, or "gold", → column, from NAME=COLUMN; a bare COLUMN is that of the first input."""
    first = task.inputs[0].name
    return pairs([item if "=" in item else f"{first}={item}" for item in items or []], "--column NAME=COLUMN")


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
