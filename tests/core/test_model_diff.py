"""A comparison as a value: shares, what moved, thresholds, statistics by hand, and its file."""

import json
from dataclasses import replace

import pytest

from tests.viz.samples import answered, label, made
from xai_nlp.core.model_diff import DiffThresholds, ExampleDiff, Failure, ModelDiff
from xai_nlp.core.word_alignment import aligned_words
from xai_nlp.errors import InvalidInput, UnreadableFile


def example(before, after, index=0, text="a fine film", **more):
    """Scores of the three words by both models."""
    sides = [made(text, scores=[0.0, *scores, 0.0]) for scores in (before, after)]
    one, other = aligned_words(sides[0], replace(sides[1], **more.pop("other", {})))
    return ExampleDiff(index=index, before=one, after=other, **more)


FLIPPED = {"outputs": {"NEGATIVE": 0.9, "POSITIVE": 0.1}}


def comparison(*examples, **more):
    return ModelDiff(models=("one", "other"), examples=examples, **more)


def test_shares_do_not_depend_on_the_scale_of_a_model():
    one = example([3.0, 1.0, 0.0], [0.3, -0.1, 0.0])
    assert one.shares == ((0.75, 0.25, 0.0), (pytest.approx(0.75), pytest.approx(-0.25), 0.0))
    assert one.moved == pytest.approx(0.25)  # |0.25 + 0.25| / 2
    assert [(word.word, word.change) for word in one.changes[:1]] == [("fine", pytest.approx(-0.5))]
    assert (one.gained(), [word.word for word in one.lost()]) == ([], ["fine"])


def test_a_word_that_occurs_twice_is_one_with_the_sum_of_its_shares():
    one = example([1.0, 1.0, 2.0], [2.0, 0.0, 2.0], text="Film film good")
    first, second = one.changes
    assert (first.word, first.before, first.after, first.count) == ("Film", 0.5, 0.5, 2)
    assert (second.word, second.count) == ("good", 1)
    assert one.moved == 0.25  # of each occurrence


def test_nothing_moved_and_all_of_it_moved():
    assert example([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]).moved == 0.0
    assert example([1.0, 0.0, 0.0], [0.0, -1.0, 0.0]).moved == 1.0
    assert example([1.0, -2.0, 0.0], [-1.0, 2.0, 0.0]).moved == 1.0
    assert example([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]).moved == 0.0


def test_what_float32_cannot_tell_apart_is_equal():
    assert example([1.0, 1.0, 1.0], [1.0, 1.0 + 1e-6, 1.0]).moved == 0.0
    assert example([1.0, 1.0, 1.0], [1.0, 1.001, 1.0]).moved > 0.0


def test_a_flip_is_another_label_and_another_answer_but_not_another_number():
    assert not example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]).flipped
    assert example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], other=FLIPPED).flipped
    why = answered("span")
    for said, flipped in (("the ada lovelace.", False), ("Ada", True)):
        other = replace(why, outputs={said: 0.75, "": 0.25})
        assert ExampleDiff(index=0, before=why, after=other).flipped is flipped


def test_two_targets_have_no_agreement():
    one = example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], other={"target": label("NEGATIVE")})
    assert (one.moved, one.changes, one.reasons_differ(DiffThresholds(most_moved=0.0))) == (None, (), False)
    assert example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], other={"target": label("POSITIVE", position=1)}).moved == 0.0


@pytest.mark.parametrize(
    ("limits", "differs"),
    [
        ({"most_moved": 0.2}, True),
        ({"most_moved": 0.3}, False),
        ({"most_moved": None}, False),
        ({"most_moved": None, "least_correlation": 0.6}, True),
        ({"most_moved": None, "least_correlation": 0.5}, False),
        ({"most_moved": None, "most_sign_flips": 0.3}, True),
        ({"most_moved": None, "least_overlap": 0.9}, True),
    ],
)
def test_each_threshold_judges_its_number(limits, differs):
    one = example([3.0, 1.0, 0.0], [0.3, -0.1, 0.0], rank_correlation=0.5, sign_flips=1 / 3, top_overlap=0.8)
    assert one.reasons_differ(DiffThresholds(**limits)) is differs
    assert comparison(one, thresholds=DiffThresholds(**limits)).same is not differs


def test_models_differ_by_one_flip_one_changed_explanation_or_one_that_only_one_explains():
    same, moved = example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), example([1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    flipped = example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], other=FLIPPED)
    assert comparison(same, same).same
    assert not comparison(same, moved).same
    assert not comparison(same, flipped).same
    assert comparison(same, moved, flipped, thresholds=DiffThresholds(most_label_flips=0.4, most_changed=0.4)).same
    assert comparison(same, failures=(Failure(1, "both", "empty"),)).same
    assert not comparison(same, failures=(Failure(1, "B", "empty"),)).same
    assert comparison(same, moved, flipped).by_change == [flipped, moved, same]


def test_statistics_by_hand():
    gain = example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], text="a fine film")
    loss = example([1.0, 0.0, 0.0], [0.5, 0.5, 0.0], text="A dull film", rank_correlation=0.5)
    both = comparison(gain, loss)
    assert both.agreement["moved"].mean.mean == pytest.approx(0.5)  # of 0.5 and 0.5
    assert both.agreement["rank_correlation"].mean.count == 1
    assert both.agreement["rank_correlation"].mean.interval is None
    words = {one.word: one.overall for one in both.words()["POSITIVE"].effects}
    assert words == pytest.approx({"film": 0.25, "a": -0.25, "fine": -0.25, "dull": 0.25})
    assert both.words()["POSITIVE"].effects[0].word == "a"  # of equals the first by name
    assert both.flip_rate.mean == 0.0


def test_the_summary_is_plain_data():
    both = comparison(example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0]), failures=(Failure(3, "A", "no"),))
    read = json.loads(json.dumps(both.summary()))
    assert (read["same"], read["examples"], read["changed"], read["failures"]) == (False, 1, 1, 1)
    assert read["agreement"]["moved"]["quartiles"] == [0.5] * 5
    assert read["words"]["POSITIVE"][0]["change"] == pytest.approx(0.5)


def test_a_frame_has_a_row_for_each_example_the_most_changed_first():
    frame = comparison(
        example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0]), example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], index=1)
    ).to_pandas()
    assert frame.example.tolist() == [1, 0]
    assert frame.loc[0, ["gained", "lost", "moved"]].tolist() == ["film", "fine", 0.5]


def test_a_file_comes_back_equal(tmp_path):
    both = comparison(
        example([1.0, 1.0, 0.0], [1.0, 0.0, 1.0], other=FLIPPED, rank_correlation=0.5),
        failures=(Failure(3, "both", "שלום 👩‍👧"),),
        thresholds=DiffThresholds(least_overlap=0.25),
        top=3,
    )
    both.save(tmp_path / "diff.json")
    assert ModelDiff.load(tmp_path / "diff.json") == both
    assert ModelDiff.from_json(both.to_json()) == both
    assert "same" in json.loads(both.to_json())["summary"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 99}, "format 99"),
        ({"format": None}, "no saved comparison"),
        ({"examples": 3}, r"comparison cannot be read.*\$\.examples"),
        ({"extra": 1}, "unknown field 'extra'"),
        ({"models": ["one"]}, r"\$\.models"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_path(tmp_path, change, told):
    data = {**json.loads(comparison(example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])).to_json()), **change}
    (tmp_path / "diff.json").write_text(json.dumps(data))
    with pytest.raises(UnreadableFile, match=told) as error:
        ModelDiff.load(tmp_path / "diff.json")
    assert "diff.json" in str(error.value)


def test_a_wrong_field_inside_is_named(tmp_path):
    data = json.loads(comparison(example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])).to_json())
    data["examples"][0]["before"]["offsets"][0] = [0, 99]
    with pytest.raises(UnreadableFile, match="outside of text 0"):
        ModelDiff.from_json(json.dumps(data))
    data = json.loads(comparison(example([1.0, 0.0, 0.0], [1.0, 0.0, 0.0])).to_json())
    data["examples"][0]["extra"] = 1
    with pytest.raises(UnreadableFile, match=r"unknown field 'extra' - at `\$\.examples\[0\]`"):
        ModelDiff.from_json(json.dumps(data))


@pytest.mark.parametrize("limits", [{"most_moved": 1.5}, {"most_changed": -0.1}, {"least_correlation": "high"}])
def test_a_threshold_is_a_share(limits):
    with pytest.raises(InvalidInput, match=next(iter(limits))):
        DiffThresholds(**limits)


def test_a_line_says_it():
    assert repr(comparison(example([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], other=FLIPPED))) == (
        "<ModelDiff one and other: differ; 1 example; changed predictions: 1, changed explanations: 1>"
    )
