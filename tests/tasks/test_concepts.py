"""Concepts of text classifiers: by names of layers and labels, against TCAV on the bare model, and their table."""

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.concept import TCAV, Concept
from xai_nlp.concept.tensor_files import load_tensors
from xai_nlp.core.captum_types import UnknownChoice
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint

PRAISE = ["wonderful and moving", "a great joy", "superb acting", "a lovely, warm film", "brilliant", "charming, fresh"]
BLAME = ["dull and lifeless", "a tedious mess", "awful acting", "a boring, cold film", "bad", "painful to watch"]
FILMS = [
    "a film about two sisters", "it is set in rome", "the plot moves slowly", "a story of a boy and his dog",
    "the third part of a series", "he plays a doctor", "most of it was shot at night", "a thriller set on a train",
    "the songs are by his brother", "a good start and a bad end", "some jokes work", "an adaptation of a novel",
    "it runs two hours", "a drama about work", "the camera hardly moves", "an old man remembers", "they meet in paris",
    "she wants to be a singer",
]  # fmt: skip
FEW = {"permutations": 60}


@pytest.fixture(scope="module")
def sentiment():
    return xai_nlp.load("sentiment")


def test_praise_and_blame_move_the_sentiment_model_and_films_do_not(sentiment):
    """Both are used by its training; the third concept is more of the random texts."""
    sets = {"praise": PRAISE, "blame": BLAME, "films": FILMS[::3]}
    others = [text for i, text in enumerate(FILMS) if i % 3]
    found = xai_nlp.concepts(sentiment, sets, others, layer=2, target="POSITIVE", permutations=200)
    by_name = {one.concept: one for one in found}
    assert list(by_name) == list(sets)
    assert by_name["praise"].adjusted_p_value < 0.05 and by_name["blame"].adjusted_p_value < 0.05
    assert by_name["films"].p_value > 0.05
    assert by_name["praise"].magnitude > 0 > by_name["blame"].magnitude
    assert by_name["praise"].sign_count > 0.9 and by_name["blame"].sign_count < 0.1
    negative = xai_nlp.concepts(sentiment, sets, others, layer=2, target="NEGATIVE", permutations=200)
    assert negative[0].magnitude < 0 < negative[1].magnitude


def test_scores_are_those_of_tcav(sentiment, tmp_path):
    """On the bare model, with a padded batch of the tokenizer's own."""
    found = xai_nlp.concepts(sentiment, {"praise": PRAISE}, FILMS, layer=[0, 2], target="POSITIVE", random=BLAME, **FEW)

    def batch(texts):
        return sentiment.tokenizer(texts, padding=True, return_tensors="pt")

    layers = [f"bert.encoder.layer.{k}" for k in (0, 2)]
    tcav = TCAV(sentiment.model, layers, classifier="fastcav", save_path=str(tmp_path), pooling="mean")
    praise, blame = Concept(0, "praise", [batch(PRAISE)]), Concept(1, "blame", [batch(BLAME)])
    expected = tcav.interpret(batch(FILMS), [[praise, blame]], target=1)["0-1"]
    for one, layer in zip(found, layers, strict=True):
        torch.testing.assert_close(torch.tensor(one.magnitude), expected[layer]["magnitude"][0], atol=1e-5, rtol=1e-3)
        torch.testing.assert_close(torch.tensor(one.sign_count), expected[layer]["sign_count"][0])


def test_targets(sentiment):
    def magnitudes(target, texts=FILMS):
        return np.array([o.magnitude for o in xai_nlp.concepts(sentiment, {"a": PRAISE}, texts, target=target, **FEW)])

    positive, negative = magnitudes("POSITIVE"), magnitudes(0)
    np.testing.assert_allclose(magnitudes("POSITIVE-NEGATIVE"), positive - negative, atol=1e-5)
    predicted = [max(one, key=one.get) for one in sentiment.predict(FILMS)]
    np.testing.assert_allclose(magnitudes(None), magnitudes(predicted), atol=1e-6)
    found = xai_nlp.concepts(sentiment, {"a": PRAISE}, FILMS, target="POSITIVE", layer=0, **FEW)
    assert found.target == "POSITIVE"
    assert "each text" in xai_nlp.concepts(sentiment, {"a": PRAISE}, FILMS, layer=0, **FEW).target


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta", "gpt2", "llama", "albert"])
def test_families(name):
    model, tokenizer = tiny(name)
    explainer = xai_nlp.load(model, tokenizer, task="text-classification")
    before = fingerprint(model)
    found = xai_nlp.concepts(explainer, {"a": PRAISE[:3]}, FILMS[:5], random=FILMS, target=1, **FEW)
    assert [one.layer for one in found] == list(range(len(explainer.adapter.layers)))
    assert all(0 <= one.sign_count <= 1 and 0 < one.p_value <= one.adjusted_p_value <= 1 for one in found)
    assert fingerprint(model) == before


def test_a_model_with_its_tokenizer_pairs_and_long_texts():
    model, tokenizer = tiny("bert")
    pairs = [(a, b) for a, b in zip(PRAISE, BLAME, strict=True)]
    long = [" ".join(FILMS * 20), *FILMS]
    found = xai_nlp.concepts(
        model, {"pairs": pairs}, long, tokenizer=tokenizer, task="text-classification", layer=0, target=0,
        pooling="first", classifier="sgd", **FEW,
    )  # fmt: skip
    assert found.texts == len(long) and len(found) == 1


def test_activations_are_kept_where_a_folder_is_named(sentiment, tmp_path):
    passes = []
    handle = sentiment.model.bert.encoder.layer[0].register_forward_hook(lambda *_: passes.append(1))
    with handle:
        counts = []
        for _ in range(2):
            how = {"layer": 1, "target": "POSITIVE", "save_path": tmp_path / "kept", **FEW}
            results = xai_nlp.concepts(sentiment, {"praise": PRAISE}, FILMS[:6], random=FILMS, **how)
            counts.append(len(passes))
    files = [load_tensors(path)[0] for path in tmp_path.rglob("*.safetensors")]
    assert len(files) == 4  # of the concept and of three random sets
    first, again = counts[0], counts[1] - counts[0]
    assert first - again == sum(map(len, files)) > 4  # a pass for each batch; those of the texts themselves remain
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors"}
    assert results == xai_nlp.concepts(sentiment, {"praise": PRAISE}, FILMS[:6], random=FILMS, **how)


def test_table_and_print(sentiment):
    found = xai_nlp.concepts(sentiment, {"praise": PRAISE, "blame": BLAME}, FILMS, target="POSITIVE", **FEW)
    assert len(found) == 6 and list(found) == [found[k] for k in range(6)]
    frame = found.to_pandas()
    assert list(frame["concept"]) == ["praise", "blame"] * 3
    assert list(frame["layer"]) == [0, 0, 1, 1, 2, 2]
    assert {"sign_count", "magnitude", "p_value", "adjusted_p_value", "accuracy"} <= set(frame.columns)
    lines = repr(found).split("\n")
    assert lines[0] == "ConceptScores of POSITIVE in 18 texts"
    assert len(lines) == 8 and lines[2].startswith("praise") and max(map(len, lines)) < 80
    many = type(found)(found.rows * 10, found.target, found.texts)
    assert len(repr(many).split("\n")) == 23 and repr(many).endswith("40 more")


def test_bad_input(sentiment):
    sets = {"praise": PRAISE}
    for bad, message in (
        ({}, "dict"), (PRAISE, "dict"), ({"a": "text"}, "list of texts"), ({"a": ["one"]}, "at least 2"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=message):
            xai_nlp.concepts(sentiment, bad, FILMS)
    with pytest.raises(InvalidInput, match="texts must be a list"):
        xai_nlp.concepts(sentiment, sets, "a film")
    with pytest.raises(InvalidInput, match="random needs"):
        xai_nlp.concepts(sentiment, sets, FILMS, random=[])
    with pytest.raises(InvalidInput, match=r"nothing to explain|no token|empty"):
        xai_nlp.concepts(sentiment, {"a": ["", "b"]}, FILMS)
    for how in ({"layer": 3}, {"target": "POSITIV"}, {"layer": [0, 7]}):
        with pytest.raises(UnknownName):
            xai_nlp.concepts(sentiment, sets, FILMS, **how)
    with pytest.raises(InvalidInput, match="no layer"):
        xai_nlp.concepts(sentiment, sets, FILMS, layer=[])
    with pytest.raises(InvalidInput, match="one label for each text"):
        xai_nlp.concepts(sentiment, sets, FILMS, target="all")
    with pytest.raises(InvalidInput, match="targets"):
        xai_nlp.concepts(sentiment, sets, FILMS, target=["POSITIVE"])
    for how in ({"classifier": "svm"}, {"pooling": "max"}, {"statistic": "mean"}, {"correction": "fdr"}):
        with pytest.raises(UnknownChoice):
            xai_nlp.concepts(sentiment, sets, FILMS, **how)
    with pytest.raises(Unsupported, match="tokens"):
        xai_nlp.concepts(sentiment, sets, FILMS, pooling="tokens")
    with pytest.raises(InvalidInput, match="loaded already"):
        xai_nlp.concepts(sentiment, sets, FILMS, dtype=torch.float64)
    with pytest.raises(Unsupported, match="text classifier"):
        xai_nlp.concepts("qa", sets, FILMS)


def test_the_model_is_untouched_after_success_and_failure(sentiment):
    sentiment.model.train()
    try:
        before, state = fingerprint(sentiment.model), torch.get_rng_state()
        xai_nlp.concepts(sentiment, {"praise": PRAISE}, FILMS, target="POSITIVE", **FEW)
        with pytest.raises(UnknownName):
            xai_nlp.concepts(sentiment, {"praise": PRAISE}, FILMS, target="none")
        assert fingerprint(sentiment.model) == before
        assert torch.equal(torch.get_rng_state(), state)
    finally:
        sentiment.model.eval()
