"""Explanations as HTML: a fragment for a notebook, or a page of its own that needs no network.

No inline style, no inline handler, no id (but of examples that a table links to, made out of what they say): a page's
policy allows exactly one stylesheet and one script, by hash, and two fragments in one notebook cannot get in each
other's way. The same input gives the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from xai_nlp.core.result import Explanation
from xai_nlp.viz import scale
from xai_nlp.viz.view import view
from xai_nlp.viz.wording import NO_PROMISE

SCOPE = "xai-nlp"
SCRIPTS = ("show.js", "many.js", "grid.js", "numbers.js", "reader.js", "maps.js", "image.js", "enrich.js")
STYLES = ("look.css", "many.css", "maps.css", "image.css")
MOUNT = "\ndocument.querySelectorAll('.xai-nlp').forEach(enrich);\n"

# What HTML cannot hold: NUL, half of a surrogate pair. One character for one, so that offsets stay true.
_UNWRITABLE = re.compile("[\x00\ud800-\udfff]")


def fragment(explanations: Sequence[Explanation]) -> str:
    """HTML to put into another page, such as a notebook: styled under one class, readable where scripts are removed."""
    return _render("fragment.html", explanations, level=2, style=style(), script=script() + MOUNT)


def markup(explanations: Sequence[Explanation], *, level: int = 2) -> str:
    """An element of class SCOPE without style or script, for a host that has both: there, `enrich` it.

    level: of the first heading.
    """
    return _render("bare.html", explanations, level=level)


def page(explanations: Sequence[Explanation], *, title: str | None = None) -> str:
    """A complete HTML file: no network, nothing but itself, under a strict content policy."""
    return _render("page.html", explanations, level=1, title=title, **sealed())


def sealed(*styles: str) -> dict[str, str]:
    """The style, the script and the content policy of a file of its own, which allows these two by hash, and no more.

    styles: assets beside those that every page has.
    """
    look, code = style() + page_style() + "".join(map(_asset, styles)), script() + MOUNT
    policy = (
        f"default-src 'none'; style-src '{_sha256(look)}'; script-src '{_sha256(code)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return {"style": look, "script": code, "policy": policy}


def as_json(explanations: Sequence[Explanation]) -> str:
    """The explanations as JSON that may stand inside a script element: nothing in it can end the element.

    Attention matrices are left out, which can be a hundred times the rest: the page has them rounded, a file from
    `Explanation.save` in full.
    """
    plain = [replace(item, attention={}) for item in explanations]
    listed = json.dumps([json.loads(item.to_json()) for item in plain], separators=(",", ":"))
    # `json` has written all that is not ASCII as \uXXXX, U+2028 and U+2029 among it.
    return listed.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def _render(template: str, explanations: Sequence[Explanation], **values: object) -> str:
    shown = view(explanations)
    values["title"] = values.get("title") or f"{''.join(shown.question) or 'Nothing explained yet'} · xai_nlp"
    return written(template, view=shown, data=Markup(as_json(explanations)), no_promise=NO_PROMISE, **values)


def written(template: str, **values: object) -> str:
    """A template filled in; `style` and `script` are our own files, which escaping would break."""
    trusted = {name: Markup(values.pop(name, "")) for name in ("style", "script")}
    return _UNWRITABLE.sub("\ufffd", _environment().get_template(template).render(**trusted, **values))


def _verbatim(text: str) -> Markup:
    """Text escaped so that a browser gives back every character: a bare carriage return would become a newline."""
    return Markup(str(escape(text)).replace("\r", "&#13;"))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(lambda name: _read("templates", name)),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["verbatim"] = _verbatim
    environment.filters["trusted"] = Markup  # our own JSON, in which nothing can end its element
    return environment


@lru_cache(maxsize=1)
def style() -> str:
    """The style sheet of everything under the class SCOPE."""
    return "\n" + scale.css(SCOPE) + "".join(map(_asset, STYLES))


def page_style() -> str:
    """The style of a page that is all ours: its background, its margins."""
    return _asset("page.css")


@lru_cache(maxsize=1)
def script() -> str:
    """One ES module, which exports `enrich(root)` for what `markup` gives."""
    return "\n" + "".join(map(_asset, SCRIPTS))


def _asset(name: str) -> str:
    return _read("assets", name)


def _read(folder: str, name: str) -> str:
    return (files("xai_nlp.viz") / folder / name).read_text(encoding="utf-8")


def _sha256(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
