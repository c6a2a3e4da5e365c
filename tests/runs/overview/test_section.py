"""A section of one's own is a class with two methods."""

import pytest

from tests.runs.overview.samples import random_explanations, write_run
from xai_nlp.core.overview import OverviewColumn, OverviewSection, OverviewTable
from xai_nlp.runs.overview import run_overview
from xai_nlp.runs.overview.section import OverviewContext, Section


class Texts(Section):
    """How many explanations there are."""

    count = 0

    def add(self, chunk):
        self.count += len(chunk)

    def result(self):
        columns = (OverviewColumn("what"), OverviewColumn("number", "number"))
        table = OverviewTable(name="texts", title="Texts", columns=columns, lines=(("texts", self.count),))
        return OverviewSection(name="texts", title="Texts", sentence="So many.", note="Counted.", tables=(table,))


def test_a_new_section_is_a_class_in_the_list(tmp_path, monkeypatch):
    run = write_run(tmp_path / "run", random_explanations(70))
    monkeypatch.setattr(run_overview, "SECTIONS", (Texts,))
    found = run.overview()
    assert found.tables["texts"].lines == (("texts", 70),) and found.sentence == ""
    found.to_html(tmp_path / "page.html")
    found.save_csv(tmp_path / "csv")
    found.save_figures(tmp_path / "figures", "svg")
    assert "So many." in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "csv" / "texts.csv").read_text() == "what,number\ntexts,70\n"
    assert (tmp_path / "figures" / "texts.svg").is_file()


def test_a_section_without_its_methods_is_refused():
    with pytest.raises(TypeError, match="abstract"):
        Section(OverviewContext())
