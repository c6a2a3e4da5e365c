"""The list of sections."""

from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.sections import SECTIONS


def test_each_section_answers_nothing_before_it_saw_anything():
    assert len(set(SECTIONS)) == len(SECTIONS)
    assert [section(OverviewContext()).result() for section in SECTIONS] == [None] * len(SECTIONS)
