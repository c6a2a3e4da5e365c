"""The page of architectures: a row for each that is known, as the doctor sees it."""

import os
import re
from pathlib import Path

import pytest

from tests.pages import ROOT
from tests.recipes import architectures
from tests.recipes.architectures import MODELS, row
from xai_nlp.models.layout import LAYOUTS, VISION_LAYOUTS
from xai_nlp.tasks.table import TASKS

PAGE = Path(os.environ.get("XAI_SOURCES", ROOT)) / "tutorials" / architectures.PAGE.name
TEXT = PAGE.read_text(encoding="utf-8")


def test_every_architecture_that_is_known_by_name_is_examined():
    assert {name for name, _ in MODELS} >= {*LAYOUTS, *VISION_LAYOUTS}
    assert {task for _, task in MODELS} == set(TASKS)


def test_the_page_has_a_row_for_each_and_says_when_and_by_which_versions():
    titles = {task.title.lower(): name for name, task in TASKS.items()}
    rows = [(name, titles[task]) for name, task in re.findall(r"^\| `([\w-]+)` \| ([\w -]+) \|", TEXT, re.MULTILINE)]
    assert rows == list(MODELS), "write it anew: python -m tests.recipes.architectures"
    assert re.search(r"Written on \d{4}-\d\d-\d\d .* transformers \d+\.\d+", TEXT)


@pytest.mark.parametrize(
    "key", [("bert", "text-classification"), ("opt", "text-generation"), ("resnet", "image-classification")]
)
def test_a_row_is_what_the_doctor_says(key):
    assert row(*key) in TEXT, "write it anew: python -m tests.recipes.architectures"
