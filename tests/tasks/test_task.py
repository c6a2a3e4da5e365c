"""A task by itself: what it reads, how it is called, and the options it shares."""

import pytest

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.tasks.task import COMMON_OPTIONS, TEXT_OPTIONS, Task
from xai_nlp.tasks.text_classification import TextClassificationExplainer

IMAGE = InputField(name="image", kind="image", help="The image.", columns=())
TEXT = InputField(name="text", kind="text", help="The text.", columns=())
NOTE = InputField(name="note", kind="text", help="A note.", columns=(), required=False)


def task(*inputs, **more):
    return Task(name="a", title="A", command="a", help="It.", inputs=inputs, auto_class="", explainer=str, **more)


@pytest.mark.parametrize(
    ("names", "read"),
    [({"image", "text"}, True), ({"image", "text", "note"}, True), ({"text"}, False), ({"image", "text", "x"}, False)],
)
def test_it_reads_its_inputs_and_no_others(names, read):
    assert task(IMAGE, TEXT, NOTE).reads(names) == read


def test_how_it_is_called():
    assert task(IMAGE, TEXT, NOTE).call == "image=…, text=…"
    assert task(IMAGE, TEXT).main_input is TEXT
    assert task(IMAGE).main_input is IMAGE


def test_its_own_options_come_first_and_in_place_of_the_shared_ones():
    own = OptionField(name="unit", type=str, help="Another.")
    names = [one.name for one in task(TEXT, options=(own,)).every_option]
    assert names[0] == "unit" and names.count("unit") == 1
    assert set(names) == {one.name for one in COMMON_OPTIONS}


def test_a_task_without_words_has_no_options_about_words():
    names = {one.name for one in task(IMAGE).every_option}
    assert not names & TEXT_OPTIONS
    assert names == {one.name for one in COMMON_OPTIONS} - TEXT_OPTIONS


def test_the_explainer_is_a_class_or_its_name():
    assert task(TEXT).explainer_class() is str
    place = f"{TextClassificationExplainer.__module__}:TextClassificationExplainer"
    by_name = Task(name="a", title="A", command="a", help="It.", inputs=(TEXT,), auto_class="", explainer=place)
    assert by_name.explainer_class() is TextClassificationExplainer
