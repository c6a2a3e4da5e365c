"""How soon a page can be read, how much it weighs, and how fast it follows the reader: in Chromium, on this machine."""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.runs.overview.samples import random_explanations, write_run
from tests.viz.page.test_report import reviews
from tests.viz.samples import made, matrices
from xai_nlp.core.result import Explanation
from xai_nlp.viz.page.html import page, sealed
from xai_nlp.viz.page.overview import overview_page
from xai_nlp.viz.page.report import report

ROUNDS = 7
FIRST = """() => new Promise((done) => {
  const found = () => performance.getEntriesByName("first-contentful-paint")[0];
  if (found()) done(found().startTime);
  else new PerformanceObserver(() => found() && done(found().startTime)).observe({ type: "paint", buffered: true });
})"""
FOLLOWED = """(change) => new Promise((done) => {
  const start = performance.now();
  const one = document.querySelector(`[name=${change[0]}]`);
  one.value = change[1];
  one.dispatchEvent(new Event("input"));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def add_to(commands: Any) -> None:
    """The command line of this bench."""
    parser = commands.add_parser("page", help="how soon a page can be read, and how fast it follows")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.set_defaults(run=run)


def long_text(tokens: int, **more: Any) -> Explanation:
    """A text of so many tokens, special ones among them."""
    words = ("gripping", "plot", "never", "of", "the", "long", "acted")
    return made(" ".join(words[n % len(words)] for n in range(tokens - 2)), **more)


def pages() -> dict[str, tuple[str, float | None]]:
    """Name -> the page and the milliseconds in which it is to be seen."""
    attention = {"self": matrices(layers=12, heads=12, length=512)}
    return {
        "128 tokens": (page([long_text(128)]), 200),
        "512 tokens with attention, 12 × 12 heads": (page([long_text(512, attention=attention)]), 1000),
        "1,000 texts of 20 words": (page(reviews(1000, 20)), None),
        "report, 500 texts of 128 tokens": (report(reviews(500, 126)), None),
        "overview, a run of 20,000 texts": (overview_of(20_000), 300),
    }


def overview_of(rows: int) -> str:
    """The page of a run of so many random texts."""
    with tempfile.TemporaryDirectory() as folder:
        made_run = write_run(Path(folder), random_explanations(rows // 10) * 10, size=512)
        return overview_page(made_run.overview(progress=False))


def run(given: argparse.Namespace) -> None:
    """Print a table."""
    from playwright.sync_api import sync_playwright

    shell = sum(len(part.encode()) for part in sealed().values())
    print(f"page without data: {shell / 1000:.1f} KB (to be under 80)\n")
    print("| page | size | first contentful paint, median (goal) | search | colour from 40 % | words of tables |")
    print("|---|---|---|---|---|---|")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for name, (html, goal) in pages().items():
            file = Path(folder) / "page.html"
            file.write_text(html, encoding="utf-8")
            print(f"| {name} | {len(html.encode()) / 1e6:.2f} MB | {_told(browser, file, given.rounds, goal)} |")
        browser.close()


def _told(browser: Any, file: Path, rounds: int, goal: float | None) -> str:
    paints, follows = [], {"search": [0.0], "least": [0.0], "word": [0.0]}
    for _ in range(rounds):
        tab = browser.new_page(viewport={"width": 1280, "height": 800})
        tab.goto(file.as_uri())
        paints.append(tab.evaluate(FIRST))
        for name, value in (("search", "gripping"), ("least", 40), ("word", "good")):
            if tab.locator(f"[name={name}]").count():
                follows[name].append(tab.evaluate(FOLLOWED, [name, value]))
        tab.close()
    return " | ".join([_median(paints) + (f" ({goal:.0f})" if goal else ""), *map(_median_of_some, follows.values())])


def _median(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.0f} ms"


def _median_of_some(times: Sequence[float]) -> str:
    return _median(times[1:]) if len(times) > 1 else "–"
