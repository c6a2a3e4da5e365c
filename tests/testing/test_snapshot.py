"""A saved explanation and a new one: what passes, what is said, and where files lie."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.core.test_model_diff import FLIPPED
from tests.viz.samples import HOSTILE, answered, label, made
from xai_nlp import Explanations
from xai_nlp.testing.snapshot import Limits, differences, save_snapshot, snapshot_path

LIMITS = Limits()


def scored(*scores, text="a fine film", **more):
    return made(text, scores=[0.0, *scores, 0.0], **more)


def test_small_changes_of_any_scale_pass():
    saved = scored(1.0, 3.0, -2.0)
    assert differences([saved], [saved], LIMITS) == []
    assert differences([saved], [scored(10.1, 30.2, -19.9)], LIMITS) == []


def test_a_message_shows_the_words_that_moved_and_by_how_much():
    (said,) = differences([scored(1.0, 3.0, 0.0)], [scored(1.0, 1.0, 2.0, outputs=FLIPPED["outputs"])], LIMITS)
    first, *table = said.splitlines()
    assert first.startswith("the prediction changed; 2 words changed their share by more than 5 points; the rank")
    shown = " ".join(" ".join(table).split())
    assert "0 a fine film POSITIVE 75 % → NEGATIVE 90 % 50 % moved" in shown
    assert "fine +75.0 % → +25.0 % −50.0 film 0 % → +50.0 % +50.0" in shown
    assert "\x1b" not in said


def test_another_target_shows_the_strongest_words_of_each():
    negative = {"target": label("NEGATIVE"), "outputs": FLIPPED["outputs"]}
    (said,) = differences([scored(1.0, 3.0, 0.0)], [scored(0.0, -1.0, 1.0, **negative)], LIMITS)
    assert said.startswith("the prediction changed; the target changed, from POSITIVE to NEGATIVE\n")
    shown = " ".join(said.split())
    assert "for POSITIVE: fine +75.0 %, a +25.0 % for NEGATIVE: fine −50.0 %, film +50.0 %" in shown


def test_each_limit_by_itself():
    saved, moved = scored(1.0, 3.0, -2.0), scored(1.0, 3.0, -1.5)
    assert "1 word changed its share" in differences([saved], [moved], LIMITS)[0]
    assert differences([saved], [moved], Limits(tolerance=0.1)) == []
    swapped = scored(1.0, 1.01, 3.0), scored(1.01, 1.0, 3.0)
    assert "rank correlation 0.50 is below 0.9" in differences(*[[one] for one in swapped], LIMITS)[0]
    assert differences(*[[one] for one in swapped], Limits(least_correlation=0.5)) == []


@pytest.mark.parametrize(
    ("saved", "new", "told"),
    [
        (made(), made(method="occlusion"), "was made otherwise: .*integrated_gradients.*occlusion"),
        (made(), made(baseline="mask"), "from pad; now"),
        (made(), made("a dull film"), "same text"),
        (made(), made(target=label("NEGATIVE")), "target changed, from POSITIVE to NEGATIVE"),
        (made(), answered("span"), "otherwise"),
    ],
)
def test_what_cannot_be_compared_is_said(saved, new, told):
    import re

    (said,) = differences([saved], [new], LIMITS)
    assert re.search(told, said)


def test_another_number_of_explanations_is_said():
    assert differences([made()], [made(), made()], LIMITS) == ["the snapshot holds 1 explanations, and the test made 2"]


def test_many_words_are_counted_and_some_are_listed():
    text = " ".join(f"word{n}" for n in range(40))
    saved = scored(*[1.0, 0.0] * 20, text=text)
    (said,) = differences([saved], [scored(*[0.0, 1.0] * 20, text=text)], Limits(tolerance=0.01))
    assert "40 words changed" in said
    assert said.endswith("… and 30 more words")
    assert len(said.splitlines()) < 20


def test_what_is_saved_is_light_and_comes_back(tmp_path):
    why = answered("span")
    one, several = (snapshot_path(tmp_path / "test_x.py", "test_y", suffix) for suffix in (".json", ".jsonl"))
    save_snapshot(one, [why])
    save_snapshot(several, [why, why])
    assert list(Explanations.load(one)) == [replace(why, parts={}, layers=None, attention={})]
    assert differences(Explanations.load(several), [why, why], LIMITS) == []
    assert sorted(path.name for path in one.parent.iterdir()) == ["test_y.json", "test_y.jsonl"]
    assert one.read_text().endswith("}\n")


def test_names_of_files_are_plain_short_and_apart():
    names = [f"test_x[{text}]" for text in (*HOSTILE.values(), "a/b", "a:b", "a b", "a_b")]
    paths = {snapshot_path(Path("test_x.py"), name, ".json").name for name in names}
    assert len(paths) == len(names)
    assert all(len(name.encode()) < 250 and "/" not in name and " " not in name for name in paths)
