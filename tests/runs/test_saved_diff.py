"""Saved explanations compared with saved ones: of files, and of runs, whose explanations stay in their files."""

import gc
from dataclasses import replace

import pytest

import xai_nlp
from tests.runs.test_model_diff import TEXTS, with_another_word
from tests.viz.samples import made
from xai_nlp import Explanation, Explanations, ModelDiff
from xai_nlp.errors import InvalidInput
from xai_nlp.runs.model_diff import diff


def test_texts_of_one_file_alone_are_a_difference():
    found = diff([made("a film"), made("a book"), made("a film")], [made("a film"), made("a play")])
    assert [(one.index, one.missing) for one in found.failures] == [(1, "B"), (2, "B"), (1, "A")]
    assert not found.same


def test_several_targets_of_one_text_are_paired_by_target(sentiment):
    both = sentiment.explain([TEXTS[0]], target="all", progress=False)
    found = diff(both, both[::-1])
    assert found.same
    assert len(found.examples) == 2
    assert all(one.same_target for one in found.examples)


@pytest.fixture
def two_runs(tmp_path):
    """Two runs of the same texts by two models, one of which reads “film” as “awful”; row 2 of A alone failed."""
    texts = [*TEXTS[:2], "", *TEXTS[2:]]
    models = {"a": xai_nlp.load("sentiment"), "b": with_another_word("film", "awful")}
    for name, model in models.items():
        given = texts if name == "a" else ["a late film" if text == "" else text for text in texts]
        xai_nlp.run(given, model, directory=tmp_path / name, method="saliency", progress=False)
    return tmp_path / "a", tmp_path / "b"


def test_two_runs_are_compared_as_their_explanations_are(two_runs):
    found = diff(*two_runs)
    whole = diff(*(Explanations(list(xai_nlp.read_run(folder))) for folder in two_runs))
    assert [one.index for one in found.examples] == [0, 1, 3, 4, 5]  # rows of the data
    assert [(one.index, one.missing) for one in found.failures] == [(2, "A")]
    assert found.by_change and not found.same
    for name in ("label_flips", "changed", "by_change"):
        for one, same in zip(getattr(found, name), getattr(whole, name), strict=True):
            assert replace(one.loaded(), index=0) == replace(same, index=0)
    assert (found.summary(), found.models) == (whole.summary(), whole.models)
    assert ModelDiff.from_json(found.to_json()) == found
    assert repr(found.examples[0]).startswith("<ExampleDiff 0: ")


def test_explanations_of_runs_stay_in_their_files(two_runs):
    def alive():
        gc.collect()
        return sum(type(one) is Explanation for one in gc.get_objects())

    before = alive()
    found = diff(*two_runs)
    found.words(), found.summary(), found.to_pandas()
    assert alive() - before <= 4  # the pair that was read last, and its words


def test_a_run_and_a_model_or_a_file(two_runs, tmp_path):
    one = xai_nlp.read_run(two_runs[0])
    one.save(tmp_path / "one.jsonl")
    assert diff(two_runs[0], tmp_path / "one.jsonl").same
    assert diff(one, "sentiment", progress=False).same
    with pytest.raises(InvalidInput, match="holds at least one"):
        diff(one.filter(lambda why: False), two_runs[0])
