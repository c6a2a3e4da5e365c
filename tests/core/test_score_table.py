"""Explanations as rows: every token and region, in order."""

import pytest

from tests.viz.samples import made
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.score_table import ScoreRow, score_rows


def test_a_row_for_each_token_of_each_explanation():
    items = [made("a fine film"), made("too long")]
    rows = list(score_rows(items, first=1))
    assert [(row.explanation, row.text) for row in rows] == [
        (n, token) for n, item in enumerate(items, 1) for token in item.tokens
    ]
    assert [row.score for row in rows] == [score for item in items for score in item.scores]
    for row in rows:
        segments = items[row.explanation - 1].segments
        assert row.segment < 0 or segments[row.segment][row.start : row.end] == row.text


def test_the_frame_holds_the_same_numbers():
    items = Explanations([made("a fine film"), made("too long")])
    frame = items.to_pandas()
    assert list(frame.columns) == list(ScoreRow._fields)
    assert frame.groupby("explanation")["score"].sum().tolist() == pytest.approx([sum(one.scores) for one in items])
    assert items[0].to_pandas().equals(frame[frame["explanation"] == 0])
