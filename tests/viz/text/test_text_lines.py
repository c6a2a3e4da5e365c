"""Lines as runs: colours and scores of their parts, the ends of the scale, what is promised."""

from tests.viz.images import small
from tests.viz.samples import answered, made
from xai_nlp.viz.text.text_lines import about, legend_runs, promise, sentence_runs, special_runs, text_runs

SCORES = [0.0, 1.0, -0.5, 0.375, 0.25]


def written(runs):
    return "".join(run.text for run in runs)


def test_the_text_is_whole_and_each_word_has_its_score():
    runs = text_runs(made(scores=SCORES), 0)
    assert written(runs) == "a fine film"
    assert [(run.text, run.score) for run in runs if run.score] == [("a", 1.0), ("fine", -0.5), ("film", 0.375)]
    assert [run.text for run in text_runs(answered().words(), 1) if run.bold] == ["Ada", " ", "Lovelace"]


def test_the_sentence_is_bold_and_in_colour():
    runs = sentence_runs(made(scores=SCORES))
    assert all(run.bold for run in runs)
    assert {run.text: run.colour for run in runs}["“fine”"] == "negative_line"


def test_tokens_without_text_stand_with_their_numbers():
    assert written(special_runs(made(scores=SCORES))) == "added by the tokenizer:  [SEP] +0.25"
    assert special_runs(made(scores=[0.0, 1.0, -0.5, 0.375, 0.0])) == []  # they do not score
    assert special_runs(made("a", tokens=("a",), offsets=((0, 1),), segment=(0,), scores=(1.0,))) == []


def test_the_legend_has_both_ends_and_a_ramp_between_them():
    runs = legend_runs(made(scores=SCORES), 4)
    assert written(runs).split() == ["against", "−1.00", "+1.00", "for", "·", "unit:", "logit"]
    assert [run.score for run in runs if run.text == " "] == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    assert written(legend_runs(small(), 4)).endswith("the image has a scale of its own, up to 1.00")
    assert written(legend_runs(made(scores=[0.0] * 5), 4)) == "every score is 0: nothing counts for or against"


def test_method_model_and_promise_are_named_where_they_are_known():
    assert about(made()) == ["integrated gradients", "zoo/sentiment", "compared with padding"]
    assert about(made(method="", model="", baseline="none")) == []
    assert list(promise(made(complete=False)))[1] == "this method does not promise that scores add up"
    assert list(promise(made(method=""))) == []
