"""Files of several explanations: lines, lists, and what is neither."""

import json

import pytest

from tests.viz.samples import made
from xai_nlp.core.explanation_files import read_explanations
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import UnreadableFile

ITEMS = [made("a fine film"), made("naïve\u2028café")]


def test_lines_lists_and_single_explanations_come_back_equal(tmp_path):
    several = Explanations(ITEMS)
    several.save(path := tmp_path / "why.jsonl")
    assert Explanations.load(path) == several
    path.write_text(json.dumps([json.loads(item.to_json()) for item in ITEMS]), encoding="utf-8-sig")
    assert Explanations.load(path) == several, "also with a byte order mark"
    ITEMS[0].save(path)
    assert Explanations.load(path) == ITEMS[:1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "why is empty"),
        ("{", "no JSON, nor JSON lines"),
        ("[" * 10**5, "no JSON, nor JSON lines"),
        ('{"format": 4}', "why: this explanation cannot be read"),
        ("[1]", "why, entry 1: this is no saved explanation"),
        (ITEMS[0].to_json() + '\n{"format": 4}', "why, line 2: "),
    ],
)
def test_what_is_no_explanation_is_named(text, says):
    with pytest.raises(UnreadableFile, match=says):
        read_explanations(text, "why")


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnreadableFile, match="is not UTF-8"):
        Explanations.load(tmp_path / "a")
