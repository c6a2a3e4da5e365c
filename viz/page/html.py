"""Explanations as HTML: a fragment for a notebook, or a page of its own that needs no network.

The content policy of a page allows one stylesheet and one script, by hash: no inline style, no inline handler. Only
examples that a table links to have ids, so that two fragments in one notebook do not clash. The same input gives the
same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from xai_nlp.core.result import Explanation
from xai_nlp.viz.page.attention_tables import attention_tables
from xai_nlp.viz.page.report_summary import interval_text
from xai_nlp.viz.page.score_tables import balance_table, layers_table, parts_table
from xai_nlp.viz.page.view_model import view
from xai_nlp.viz.text import scale, trust_wording, wording
from xai_nlp.viz.text.number_format import percent, signed, unsigned, with_unit

PACKAGE = "xai_nlp.viz.page"
SCOPE = "xai-nlp"
SCRIPTS = ("show.js", "many.js", "grid.js", "numbers.js", "reader.js", "maps.js", "image.js", "enrich.js")
STYLES = ("look.css", "many.css", "maps.css", "image.css", "influence.css")
MOUNT = "\ndocument.querySelectorAll('.xai-nlp').forEach(enrich);\n"

# Lines that are a comment, and white space that begins a line: a page is smaller without them.
_COMMENT_OR_INDENT = re.compile(r"^\s*(//.*\n)?", re.MULTILINE)

# HTML cannot hold NUL or half of a surrogate pair. One character replaces one, so that offsets stay true.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def fragment(explanations: Sequence[Explanation]) -> str:
    """HTML for a place in another page, such as a notebook: styled under one class, readable without scripts."""
    return render("fragment.html", view(explanations), style=style(), script=script() + MOUNT)


def markup(explanations: Sequence[Explanation], *, level: int = 2) -> str:
    """An element of class SCOPE without style and script, for a host that has both and calls `enrich` on it.

    level: of the first heading.
    """
    return render("bare.html", view(explanations), level=level)


def page(explanations: Sequence[Explanation], *, title: str | None = None) -> str:
    """A complete HTML file that makes no network request, under a strict content policy."""
    return render("page.html", view(explanations), level=1, title=title, **sealed())


class Titled(Protocol):
    """A view with the title of its document."""

    @property
    def title(self) -> str: ...


@cache
def sealed(*styles: str) -> dict[str, str]:
    """Style, script and content policy of a file; the policy allows these two by hash and nothing else.

    styles: assets besides those of every page.
    """
    look, code = style() + "".join(map(asset, ("page.css", *styles))), script() + MOUNT
    policy = (
        f"default-src 'none'; style-src '{_sha256(look)}'; script-src '{_sha256(code)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"style": look, "script": code, "policy": policy}


def saved_data(explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
    """The explanations as JSON values, for the page's download, without attention matrices.

    Matrices can be a hundred times the rest; a file from `Explanation.save` has them.
    """
    return [json.loads(replace(item, attention={}).to_json()) for item in explanations]


def render(template: str, page: Titled, *, level: int = 2, title: str | None = None, **values: Any) -> str:
    """A template about explanations, filled in."""
    return filled(template, view=page, level=level, title=title or f"{page.title} · xai_nlp", **values)


def filled(template: str, **values: Any) -> str:
    """A template filled in; `style` and `script` are this package's files, which escaping would break."""
    trusted = {name: Markup(values.pop(name, "")) for name in ("style", "script")}
    return _UNWRITABLE.sub("\ufffd", _environment().get_template(template).render(**trusted, **values))


def _verbatim(text: str) -> Markup:
    """The text escaped so that a browser keeps every character: it would turn a bare carriage return into a newline."""
    return Markup(str(escape(text)).replace("\r", "&#13;"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    environment.filters |= {
        "verbatim": _verbatim, "percent": percent, "signed": signed, "unsigned": unsigned, "with_unit": with_unit,
        "saved_data": saved_data, "interval": lambda share: interval_text(share, percent),
    }  # fmt: skip
    environment.globals |= {
        "wording": wording, "trust_wording": trust_wording, "attention_tables": attention_tables,
        "balance_table": balance_table,
        "layers_table": layers_table, "parts_table": parts_table,
    }  # fmt: skip
    return environment


@cache
def style() -> str:
    """The stylesheet of everything under the class SCOPE."""
    return "\n" + scale.css(SCOPE) + "".join(map(asset, STYLES))


@cache
def script() -> str:
    """One ES module, which exports `enrich(root)` for the element that `markup` gives."""
    return "\n" + _COMMENT_OR_INDENT.sub("", "".join(map(asset, SCRIPTS)))


def asset(name: str) -> str:
    return (files(PACKAGE) / "assets" / name).read_text(encoding="utf-8")


def _sha256(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
