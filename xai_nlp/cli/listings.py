"""`xai-nlp methods` and `xai-nlp models`: what there is to choose from."""

from __future__ import annotations

from inspect import cleandoc
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def methods(
    name: Annotated[str | None, typer.Argument(help="Show this method's cost, options and capabilities.")] = None,
) -> None:
    """The attribution methods and what they cost; with a name, one of them in full."""
    from xai_nlp.methods import METHODS

    if name is not None:
        print_method(name)
        return
    table = _table("method", "adds up", "baseline", "cost of a text, in passes of the model")
    for known, cls in sorted(METHODS.items()):
        table.add_row(known, _yes(cls.complete), _yes(cls.needs_baseline), _cost(known))
    out = Console()
    out.print(table)
    out.print(
        "\n`xai-nlp methods NAME` tells what its scores mean, when they mislead, and its options.", highlight=False
    )


def print_method(name: str) -> None:
    """Print what a method says and costs, what it can do, and its options. Raises UnknownName."""
    from xai_nlp.core.registry import method_options
    from xai_nlp.methods import find_method

    cls, out = type(find_method(name)), Console()
    capabilities = _table("capability", "")
    capabilities.add_row("scores", cls.operates_on)
    capabilities.add_row("scores add up to f(x) − f(baseline)", _yes(cls.complete))
    capabilities.add_row("needs a baseline", _yes(cls.needs_baseline))
    capabilities.add_row("explains layers (--layer)", _yes(cls.supports_layers))
    capabilities.add_row("unit of the scores", "that of the target" if cls.unit == "f" else "none")
    options = _table("option", "value", "default", "what it does")
    for option in method_options(name):
        values = " | ".join([option.type.__name__] * (option.type is not str or not option.choices) + [*option.choices])
        options.add_row(option.name, values, str(option.default), option.help)
    out.print(f"{name}: {cleandoc(cls.__doc__ or '')}\n", highlight=False, markup=False, soft_wrap=True)
    out.print(capabilities)
    if options.row_count:
        out.print("\nOptions, each set with -o NAME=VALUE:")
        out.print(options)


def models() -> None:
    """The embedded models, and the architectures whose modules are known by name."""
    from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS
    from xai_nlp.models.loading import EMBEDDED_MODELS

    out, table = Console(), _table("embedded model", "what it does")
    for name, summary in EMBEDDED_MODELS.items():
        table.add_row(name, summary)
    out.print(table)
    out.print(
        f"\nKnown architectures: {', '.join(sorted({**LAYOUTS, **VISION_LAYOUTS}))}. Others are inspected.",
        highlight=False,
    )
    out.print("A hub model or a folder goes by its name: --model distilbert/…", highlight=False)


def _cost(name: str) -> str:
    """A method's cost, in which options stand with their defaults."""
    from xai_nlp.core.registry import method_cost, method_options

    cost = method_cost(name).rstrip(".")
    for option in method_options(name):
        cost = cost.replace(f"`{option.name}`", f"{option.name} ({option.default})")
    return cost


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _yes(value: bool) -> str:
    return "yes" if value else "no"
