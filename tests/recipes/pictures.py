"""`make pictures`: the pictures of README and of the guides: explanations by the embedded models, in the browser.

Each is written to tutorials/pictures/ and stays under LARGEST; the script says how large it became.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console

import xai_nlp
from tests.web.conftest import running
from xai_nlp.viz.page.html import page
from xai_nlp.viz.terminal.ansi import render
from xai_nlp.web.examples import CONTEXT, QUESTION, TEXTS
from xai_nlp.web.history import History
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State

FOLDER = Path(__file__).parents[2] / "tutorials" / "pictures"
LARGEST = 150_000  # bytes
COLOURS = 200
WIDTH = 1120
REVIEW, _, TEXT = TEXTS
DULL = "Great cast, but a dull and lifeless film."


def terminal() -> str:
    """What the command prints, as a page with its picture."""
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    for why in xai_nlp.explain([REVIEW, TEXT]):
        console.print(render(why.words()))
    svg = console.export_svg(title="xai-nlp explain classify")
    plain = svg.replace("@font-face", "@font-face-not-fetched")  # rich's own fonts come over the network
    return f'<!doctype html><meta charset="utf-8"><body style="margin:0;background:#fff"><div id="shot">{plain}</div>'


def pictures() -> Iterator[tuple[str, str, str, int]]:
    """Name, page, what of it is taken (a selector), and how many pixels of its height at most."""
    yield "terminal", terminal(), "#shot svg", 800
    sides = list(xai_nlp.explain(DULL, method=["integrated_gradients", "occlusion", "shapley"]))
    yield "page", page(sides), "main", 845
    answer = xai_nlp.explain(question=QUESTION, context=CONTEXT, target=("start", "end"), layers=True, attention=True)
    yield "qa", page(answer), "main", 1000
    yield "attention", page(answer), ".through", 760
    scene = FOLDER.parent / "data" / "scene.png"
    yield "vqa", page([xai_nlp.explain(image=scene, question="what colour is the star?")]), "main", 950


def taken(browser: Any, html: str, selector: str, most: int) -> Image.Image:
    """A picture of a part of a page."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        with tab_of(browser, file.as_uri(), most) as tab:
            return part_of(tab, selector, most)


def web(browser: Any, most: int) -> Image.Image:
    """The page of `xai-nlp serve`, with a review explained."""
    with tempfile.TemporaryDirectory() as folder:
        state = State(ModelRegistry.of(), History(Path(folder) / "history.sqlite3"))
        with running(state) as served, tab_of(browser, served.url, most) as tab:
            tab.locator("textarea").first.fill(REVIEW)
            tab.get_by_role("button", name="Explain", exact=False).first.click()
            tab.locator(".xai-nlp .strip").first.wait_for(timeout=60_000)
            return part_of(tab, "body", most)


@contextmanager
def tab_of(browser: Any, address: str, height: int) -> Iterator[Any]:
    tab = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme="light")
    tab.goto(address)
    yield tab
    tab.close()


def part_of(tab: Any, selector: str, most: int) -> Image.Image:
    tab.wait_for_timeout(500)
    place = tab.locator(selector).first
    place.scroll_into_view_if_needed()
    tab.wait_for_timeout(500)
    image = Image.open(io.BytesIO(place.screenshot()))
    return image.crop((0, 0, image.width, min(image.height, most)))


def main() -> None:
    """Write them all. Raises SystemExit where there is no Chromium, or one is too large."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        raise SystemExit("the pictures are taken in Chromium: apt-get install chromium")
    FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for name, html, selector, most in pictures():
            keep(name, taken(browser, html, selector, most))
        keep("web", web(browser, 900))
        browser.close()


def keep(name: str, image: Image.Image) -> None:
    file = FOLDER / f"{name}.png"
    picture = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(file, optimize=True)
    size = file.stat().st_size
    print(f"{file.name}: {picture.width} × {picture.height}, {size / 1000:.0f} KB")
    if size > LARGEST:
        raise SystemExit(f"{file} is too large: {size} bytes")


if __name__ == "__main__":
    main()
