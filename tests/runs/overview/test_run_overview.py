"""The overview of a whole run: one pass, a sample of examples, where the others are."""

import io
import tracemalloc
from dataclasses import replace

import pandas
import pyarrow.parquet
import pytest
from PIL import Image

import xai_nlp
from tests.runs.overview.samples import explanation, random_explanations, write_run
from xai_nlp.core.image import ImageAttribution
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.runs.overview import run_overview
from xai_nlp.runs.overview.sections import SECTIONS
from xai_nlp.runs.read import read_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run"), random_explanations(300), errors={300: "too long"})


def test_it_says_what_the_run_holds(run):
    found = run.overview(title="Made up")
    assert found.title == "Made up" and found.facts[0] == ("300", "explanations")
    assert found.facts[-1] == ("1", "rows could not be explained") and found.errors == {300: "too long"}
    assert found.about["method"] == ("integrated gradients",) and "301 rows" in found.about["data"][0]
    names = {section.name for section in found.sections}
    assert {"words", "phrases", "confusions", "slices", "reliability"} <= names
    assert not {"modalities", "layers"} & names
    assert len(found.tables) == sum(len(section.tables) for section in found.sections)
    assert all(section.sentence.endswith(".") and section.note for section in found.sections)
    assert (
        repr(found).startswith("<Overview Made up: 300 explanations")
        and "Tables: lexicon, " in repr(found)
        and len(repr(found)) < 600
    )
    assert repr(found.tables["lexicon"]).startswith("<OverviewTable lexicon: ") and len(repr(found.sections[0])) < 3000


def test_it_says_that_a_run_has_not_ended(tmp_path):
    write_run(tmp_path, random_explanations(100), size=20).files[2].unlink()
    found = read_run(tmp_path).overview()
    assert found.facts[0] == ("80", "explanations") and found.facts[-1] == ("20", "rows are not explained yet")


def test_the_files_of_a_run_do_not_matter(run, tmp_path):
    """The same explanations in other files give the same numbers, but for resampling."""
    other = write_run(tmp_path / "other", list(run), size=300).overview()
    found = run.overview()
    for name in ("lexicon", "words_2", "words_3", "negations", "confusion", "words_by_cell", "residuals", "trust"):
        if name not in found.tables:
            continue
        table, same = found.tables[name], other.tables[name]
        assert [line[:2] for line in table.lines] == [line[:2] for line in same.lines]
        for line, twin in zip(table.lines, same.lines, strict=True):
            for a, b in zip(line, twin, strict=True):
                assert a == b or a == pytest.approx(b, rel=1e-9)


def test_examples_are_in_the_page_or_found_in_their_file(run, monkeypatch):
    monkeypatch.setattr(run_overview, "EXAMPLES", 20)
    found = run.overview()
    assert len(found.examples) == 20
    for row, (item,) in found.examples.items():
        assert item == run[row]
    named = set(run_overview._rows_named(found.sections))
    assert len(named) > 20 and named <= set(found.examples) | set(found.places)
    for row, (file, place) in found.places.items():
        (path,) = [one for one in run.files if one.name == file]
        assert pyarrow.parquet.read_table(path)["row"][place].as_py() == row


def test_a_part_of_a_run_and_the_order_of_its_files(run):
    part = run.filter(lambda item: item.prediction == "NEGATIVE")
    found = part.overview()
    assert found.facts[0][0] == str(len(part))
    assert {line[0] for line in found.tables["lexicon"].lines} == {"NEGATIVE"}
    assert run[::2].overview().facts[0][0] == "150"


def test_one_method_at_a_time(tmp_path):
    items = random_explanations(40) + random_explanations(30, method="occlusion")
    run = write_run(tmp_path / "two", items)
    assert run.overview().facts[0][0] == "40"
    other = run.overview(method="occlusion")
    assert other.facts[0][0] == "30" and min(other.examples) >= 40
    with pytest.raises(UnknownName, match=r"occlusoin.*occlusion"):
        run.overview(method="occlusoin")


def test_a_long_pass_shows_a_bar(run, monkeypatch, capsys):
    monkeypatch.setattr("xai_nlp.core.progress.DELAY", 0.0)
    run.overview(progress=False)
    assert capsys.readouterr().err == ""
    run.overview()
    assert "reading the run" in capsys.readouterr().err


def test_columns_of_the_data(run):
    found = run.overview(columns={"genre": ["drama", "comedy"] * 150 + ["drama"]})
    assert {line[1] for line in found.tables["slices_right"].lines if line[0] == "genre"} == {"drama", "comedy"}
    series = pandas.Series(["drama", "comedy"] * 150 + ["drama"], index=range(301, 0, -1))
    assert run.overview(columns={"genre": series}).tables["slices_right"] == found.tables["slices_right"]
    with pytest.raises(InvalidInput, match="301 rows, and column 'genre' has 2"):
        run.overview(columns={"genre": ["drama", "comedy"]})


def test_a_run_without_explanations(tmp_path):
    with pytest.raises(InvalidInput, match="no explanation to give an overview of"):
        write_run(tmp_path / "none", [], errors={0: "no text"}).overview()


def test_a_real_run_of_answers(tmp_path):
    rows = [{"question": "who sang?", "context": f"{name} sang. It rained."} for name in ("Ann", "Bob", "Eve")]
    run = xai_nlp.run(rows, "qa", directory=tmp_path / "qa", method="saliency", progress=False)
    found = run.overview()
    assert len(found.examples) == 3 and found.tables["lexicon"].lines


@pytest.mark.slow
def test_memory_does_not_grow_with_the_run(tmp_path):
    """Of ten times as many explanations of the same words, one pass takes little more."""
    peaks = []
    for count in (1500, 15000):
        items = random_explanations(1500)
        run = write_run(tmp_path / str(count), items * (count // 1500), size=500)
        tracemalloc.start()
        try:
            run.overview()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


def test_images_alone_have_their_residuals_and_confusions(tmp_path):
    """There are no words, and no section that counts them."""
    boxes = ((0.0, 0.0, 1.0, 1.0),) * 2
    picture = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(picture, "png")
    items = [
        replace(
            explanation("", []), segments=(), tokens=(), offsets=(), segment=(), scores=(), gold=(label,),
            image=ImageAttribution(data=picture.getvalue(), size=(2, 1), boxes=boxes, scores=(0.5, n / 10)), value=0.5,
        )
        for n, label in enumerate(["POSITIVE", "NEGATIVE"] * 8)
    ]  # fmt: skip
    found = write_run(tmp_path / "images", items).overview()
    names = {section.name for section in found.sections}
    assert {"confusions", "reliability", "slices"} <= names and not {"words", "phrases", "modalities"} & names
    found.to_html(tmp_path / "page.html")
    assert found.sentence == ""


@pytest.mark.slow
def test_the_page_of_a_long_run_is_small(tmp_path):
    items = random_explanations(2000)
    write_run(tmp_path / "long", items * 10, size=512).to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 6e6


def test_every_section_takes_any_explanations(tmp_path):
    """Texts without words, without outputs, of one token: no section fails."""
    items = [
        explanation("…", [0.0], outputs={}),
        explanation("fine", [0.0], gold="POSITIVE"),
        explanation("a", [1.0], unit=""),
        explanation("fine film", [0.0, 0.0], value=0.0),
    ]
    found = write_run(tmp_path / "odd", items).overview()
    assert found.facts[0][0] == "4" and len(SECTIONS) >= 7
