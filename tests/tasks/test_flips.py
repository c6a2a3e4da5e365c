"""The words that decide: what is found is asked of the model again, on the shortened text itself."""

import pytest

import xai_nlp
from xai_nlp.tasks.flips import Deletions, first_flip, smallest_flip

TEXT = "Not a bad film, but too long and rather dull in its second half"
CONTEXT = "Frankenstein was written by Mary Shelley in 1818. Dracula was written by Bram Stoker in 1897."


@pytest.fixture(scope="module")
def sentiment():
    return xai_nlp.load("sentiment")


@pytest.fixture(scope="module")
def deletions(sentiment):
    words = sentiment.explain(TEXT, method="saliency").words()
    return Deletions(sentiment, {"text": TEXT}, {}, words)


def without(words, gone):
    """The text without these words, by hand."""
    letters = list(words.segments[0])
    for i in gone:
        start, end = words.offsets[i]
        letters[start:end] = " " * (end - start)
    return " ".join("".join(letters).split())


def test_a_flip_is_what_the_model_says_of_the_shortened_text(sentiment, deletions):
    words = deletions.words
    flip = smallest_flip(deletions)
    outputs = sentiment.predict(without(words, flip.words))
    assert max(outputs, key=outputs.get) == flip.prediction != words.prediction


def test_no_single_word_flips_where_the_smallest_set_has_several(sentiment, deletions):
    words, flip = deletions.words, smallest_flip(deletions)
    assert len(flip.words) > 1
    singles = [without(words, [i]) for i in deletions.order]
    said = [max(outputs, key=outputs.get) for outputs in sentiment.predict(singles)]
    assert set(said) == {words.prediction}


def test_the_first_flip_takes_words_in_the_order_of_their_scores(sentiment):
    words = sentiment.explain(TEXT, method="integrated_gradients").words()
    deletions = Deletions(sentiment, {"text": TEXT}, {}, words)
    flip = first_flip(deletions, most=10)
    order = deletions.order
    assert list(flip.words) == order[: len(flip.words)]
    assert [words.scores[i] for i in order] == sorted((words.scores[i] for i in order), reverse=True)
    fewer = without(words, order[: len(flip.words) - 1])
    outputs = sentiment.predict(fewer)
    assert max(outputs, key=outputs.get) == words.prediction


def test_nothing_is_found_where_every_text_says_the_same():
    explainer = xai_nlp.load("sentiment")
    words = explainer.explain("dull", method="saliency").words()
    deletions = Deletions(explainer, {"text": "dull"}, {}, words)
    assert deletions.outputs([deletions.order]) == [{}]  # nothing would be left to read
    assert first_flip(deletions) is None
    assert smallest_flip(deletions) is None


def test_an_answer_is_never_deleted_and_the_image_and_options_stay():
    explainer = xai_nlp.load("qa")
    question = "Who wrote Frankenstein?"
    words = explainer.explain(question, CONTEXT, method="saliency").words()
    deletions = Deletions(explainer, {"question": question, "context": CONTEXT}, {"longest": 5}, words)
    deletable = {words.tokens[i] for i in deletions.order}
    assert "Mary" not in deletable
    assert {"Frankenstein", "Bram"} <= deletable
    flip = smallest_flip(deletions)
    texts = deletions._without(flip.words)
    assert explainer.answers(texts["question"], texts["context"], longest=5)[0].text == flip.prediction
