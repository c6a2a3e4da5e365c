"""The words around the checks of a diagnosis."""

from tests.viz.diagnoses import DTYPE, FILES, PADDING, diagnosis
from xai_nlp.viz.text.diagnosis_lines import (
    about,
    duration,
    not_checked,
    reason_lines,
    refused,
    sorted_checks,
    working,
)


def test_what_is_wrong_comes_first_in_the_order_of_the_checks():
    assert sorted_checks(diagnosis(PADDING, FILES, DTYPE)) == [[PADDING, DTYPE], (FILES,)]
    assert sorted_checks(diagnosis(FILES)) == [(FILES,)]


def test_what_the_diagnosis_is_about():
    assert about(diagnosis()) == ["text classification", "bert", "torch 2.13", "2.0 s"]
    assert about(diagnosis(task="", architecture="")) == ["torch 2.13", "2.0 s"]


def test_methods_that_work_are_sorted_by_time():
    assert [one.method for one in working(diagnosis())] == ["saliency", "shapley"]
    assert [duration(seconds) for seconds in (0.0124, 0.999, 1.26)] == ["12 ms", "999 ms", "1.3 s"]


def test_methods_of_one_reason_stand_together():
    assert refused(diagnosis()) == [("it reads no such text.", ["lime", "lrp"]), ("not tried", ["deep_lift"])]
    assert reason_lines(diagnosis())[0] == "lime, lrp: it reads no such text."


def test_checks_that_were_omitted_are_named():
    assert not_checked(diagnosis(omitted=("layers", "cost"))).endswith("compared: layers, cost.")
