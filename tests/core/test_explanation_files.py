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
        ("{", "why: this is no JSON"),
        ("[" * 10**5, "why: this is no JSON"),
        (ITEMS[0].to_json() + "\n{", "why, line 2: this is no JSON .* truncated"),
        (ITEMS[0].to_json() + "\n\n" + ITEMS[0].to_json().replace("1.5", "NaN"), "why, line 3: this is no JSON"),
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


def test_what_a_killed_command_left_is_read_as_far_as_its_lines_are_whole(tmp_path):
    text = Explanations(ITEMS).to_json()
    part = tmp_path / "why.jsonl.1a2b.part"
    for whole, count in ((text, 2), (text[:-1], 1), (text + '{"format"', 2)):
        part.write_text(whole)
        assert list(Explanations.load(part)) == ITEMS[:count]
    part.write_text(text[:20])
    with pytest.raises(UnreadableFile, match="is empty"):
        Explanations.load(part)
