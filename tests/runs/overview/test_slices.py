"""Parts of the data, held to pandas."""

import numpy as np
import pandas
import pytest

from tests.runs.overview.samples import chunk_of, explanation, random_explanations
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.slices import OTHERS, Slices, binned


def section_of(items, **columns):
    context = OverviewContext(columns=columns)
    section = Slices(context)
    section.add(chunk_of(items[:100], context))
    section.add(chunk_of(items[100:], context, first=100))
    return section.result()


@pytest.fixture(scope="module")
def items():
    return random_explanations(300)


def test_each_slice_is_what_pandas_says(items):
    genre = [["drama", "comedy", None][n % 3] for n in range(300)]
    found = section_of(items, genre=genre, year=np.arange(300).tolist())
    frame = pandas.DataFrame(
        {
            "explained label": [item.target.label for item in items],
            "right label": [item.gold[0] for item in items],
            "answer": ["right" if item.correct else "wrong" for item in items],
            "length": [sum(any(map(str.isalnum, token)) for token in item.words().tokens[1:-1]) for item in items],
            "genre": [one or "not given" for one in genre],
            "year": np.arange(300),
            "right": [float(item.correct) for item in items],
            "strongest_word": [max(map(abs, item.scores)) / sum(map(abs, item.scores)) for item in items],
        }
    )
    frame["length"] = pandas.cut(frame.length, [0, 4, 8, 16], labels=["1 to 4 words", "5 to 8 words", "9 to 16 words"])
    quarters = ["0 to 74.75", "74.75 to 149.5", "149.5 to 224.25", "224.25 to 299"]
    frame["year"] = pandas.qcut(frame.year, 4, labels=quarters)
    tables = {table.name: table for table in found.tables}
    assert set(tables) == {"slices_right", "slices_confidence", "slices_strongest_word", "slices_unexplained"}
    for measure in ("right", "strongest_word"):
        seen = set()
        for column, value, mean, (low, high), count, change, (least, most), rows in tables[f"slices_{measure}"].lines:
            inside = frame[column].astype(str) == value
            assert (count, mean) == (inside.sum(), pytest.approx(frame[measure][inside].mean()))
            assert change == pytest.approx(frame[measure][inside].mean() - frame[measure][~inside].mean())
            assert low <= mean + 1e-9 and mean <= high + 1e-9 and least <= change <= most
            assert {frame[measure][row] for row in rows} == {frame[measure][inside].min(), frame[measure][inside].max()}
            seen.add(column)
        assert seen == set(frame) - {"right", "strongest_word"} - ({"answer"} if measure == "right" else set())


def test_the_sentence_names_the_surest_difference(items):
    planted = ["bad" if not item.correct else "good" for item in items]
    assert section_of(items, quality=planted).sentence.startswith("Where the quality is ")


def test_many_values_share_a_slice():
    names = binned([f"id {n}" for n in range(50)] + ["often"] * 5)
    assert names.count(OTHERS) == 31 and names.count("often") == 5
    assert binned([0.5] * 30 + [1.5] * 2) == ["0.5"] * 30 + ["1.5"] * 2
    assert binned([np.nan, *range(40)])[:2] == ["not given", "0 to 9.75"]


def test_one_label_and_no_answers_leave_few_tables():
    assert section_of([explanation("fine film", [1.0, 2.0])] * 3) is None
