"""Proponents, opponents and suspect labels of a text classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import xai_nlp
from tests.models.tiny import tiny
from tests.viz.html_reader import Reader
from xai_nlp.core.training_influence import METHODS, TrainingExample, TrainingInfluence
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.viz.page.influence import influence_page
from xai_nlp.viz.text.influence_texts import TextPair
from xai_nlp.viz.text.number_format import signed, with_unit

TRAIN = {
    "text": [
        "a gripping film",
        "a dull movie",
        "great plot, the act was gripping",
        "the plot was dull",
        "who wrote it",
    ],
    "label": ["POSITIVE", "NEGATIVE", "POSITIVE", "NEGATIVE", "POSITIVE"],
}


@pytest.fixture(scope="module")
def explainer():
    model, tokenizer = tiny("bert", fresh=True)
    return xai_nlp.load(model, tokenizer, task="text-classification")


def gradients(explainer, text: str, label: int, parameters: list[nn.Parameter]) -> torch.Tensor:
    model = explainer.model
    loss = model(**explainer.tokenizer(text, return_tensors="pt"), labels=torch.tensor([label])).loss
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return torch.cat(
        [(torch.zeros_like(p) if g is None else g).flatten() for g, p in zip(found, parameters, strict=True)]
    )


def parameters_of(explainer, method: str) -> list[nn.Parameter]:
    model = explainer.model
    if method == "word_embeddings":
        return [model.get_input_embeddings().weight]
    return [model.classifier.weight] if method == "last_layer" else list(model.parameters())


@pytest.mark.parametrize("method", [name for name in METHODS if name != "similarity"])
def test_scores_are_products_of_gradients(explainer, method):
    before = fingerprint(explainer.model)
    found = explainer.influence("a dull film", TRAIN, k=2, target="NEGATIVE", method=method)
    suspects = explainer.suspect_labels(TRAIN, k=5, method=method)
    assert fingerprint(explainer.model) == before
    assert isinstance(found, TrainingInfluence)
    parameters = parameters_of(explainer, method)
    query = gradients(explainer, "a dull film", 0, parameters)
    rows = torch.stack(
        [
            gradients(explainer, t, int(label == "POSITIVE"), parameters)
            for t, label in zip(*TRAIN.values(), strict=True)
        ]
    )
    expected = (rows @ query).double().numpy()
    np.testing.assert_allclose(found.scores, expected, rtol=1e-3, atol=1e-5)
    order = np.argsort(-expected)
    assert [one.index for one in found.proponents] == order[:2].tolist()
    assert [one.index for one in found.opponents] == order[::-1][:2].tolist()
    assert [(one.text, one.label) for one in found.proponents] == [
        (TRAIN["text"][i], TRAIN["label"][i]) for i in order[:2]
    ]
    squares = rows.square().sum(1)
    assert [one.index for one in suspects] == squares.argsort(descending=True).tolist()
    np.testing.assert_allclose([one.score for one in suspects], squares.sort(descending=True).values, rtol=1e-3)


def test_influence_splits_over_shared_words(explainer):
    found = explainer.influence("a dull film", TRAIN, k=3)
    for one in (*found.proponents, *found.opponents):
        assert one.score == pytest.approx(sum(one.token_scores), rel=1e-3, abs=1e-6)
        assert one.score == pytest.approx(sum(one.query_token_scores), rel=1e-3, abs=1e-6)
        assert len(one.token_scores) == len(one.tokens)
        assert len(one.query_token_scores) == len(found.tokens)
        assert set(one.shared_words) <= set(found.tokens) & set(one.tokens)
        assert sum(one.shared_words.values()) == pytest.approx(one.score, rel=1e-3, abs=1e-6)
    assert not explainer.influence("a dull film", TRAIN, k=1, method="all").proponents[0].shared_words


def test_the_page_colours_the_words_that_both_texts_share(explainer):
    found = explainer.influence("a dull film", TRAIN, k=5)
    one = next(one for one in found.proponents if one.index == 1)
    assert [one.text[start:end] for start, end in one.offsets[1:-1]] == ["a", "dull", "movie"]
    read = Reader(influence_page(found))
    assert read.paragraphs[0] == "a dull film"
    at = read.paragraphs.index("a dull movie")
    assert read.paragraphs[at + 1] == "a dull film"
    coloured = {m["aria-description"] for m in read.marks() if "chip" not in m["class"] and " z " not in m["class"]}
    pair = TextPair.of(found, one)
    assert {with_unit(signed(s, pair.peak), "nat") for s in one.token_scores[1:3]} <= coloured
    assert one.token_scores[3] == 0 != one.token_scores[2]


def test_several_texts_pairs_and_frames(explainer):
    frame = pandas.DataFrame({"first": ["a film", "dull"], "second": ["great", "the plot"], "gold": [1, 0]})
    column = {"text": "first", "pair": "second", "gold": "gold"}
    found = explainer.influence(
        ["a great film", "dull"], frame, 5, pair=["great", "plot"], target=[1, "NEGATIVE"], column=column
    )
    assert [one.label for one in found] == ["POSITIVE", "NEGATIVE"]
    assert {one.text for one in found[0].proponents} == {("a film", "great"), ("dull", "the plot")}
    assert set(found[0].proponents[0].segment) == {-1, 0, 1}
    predicted = explainer.influence("a great film", TRAIN, 1)
    outputs = explainer.predict("a great film")
    assert predicted.label == max(outputs, key=outputs.get)


def test_similarity_is_a_cosine_and_suspects_disagree_with_their_neighbours(explainer):
    found = explainer.influence(TRAIN["text"][0], TRAIN, 1, method="similarity")
    assert found.proponents[0].index == 0
    assert found.proponents[0].score == pytest.approx(1.0, abs=1e-5)
    assert np.abs(found.scores).max() <= 1 + 1e-5
    doubled = {"text": ["a gripping film"] * 3 + ["dull"], "label": ["POSITIVE", "POSITIVE", "NEGATIVE", "POSITIVE"]}
    assert explainer.suspect_labels(doubled, 1, method="similarity")[0].index == 2


def test_a_trainers_checkpoints_add_up_by_their_rates(explainer, tmp_path: Path):
    for step, rate in ((10, 0.5), (20, 0.25)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        save_file(
            {k: v.contiguous().clone() for k, v in explainer.model.state_dict().items()}, folder / "model.safetensors"
        )
        (folder / "trainer_state.json").write_text(f'{{"log_history": [{{"learning_rate": {rate}}}]}}')
    once = explainer.influence("a dull film", TRAIN, 2)
    twice = explainer.influence("a dull film", TRAIN, 2, checkpoints=tmp_path)
    np.testing.assert_allclose(twice.scores, 0.75 * once.scores, rtol=1e-4)
    assert twice.proponents[0].score == pytest.approx(sum(twice.proponents[0].token_scores), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_wrong_labels_are_the_most_suspect(method):
    good = ["a gripping , beautifully acted film", "wonderful and touching", "a great comedy", "smart and funny"]
    bad = ["a dull , lifeless mess", "boring and pointless", "a terrible waste of time", "stupid and unfunny"]
    labels = [1, 1, 0, 1, 0, 0, 0, 1]  # the third and the last are wrong
    found = xai_nlp.load("sentiment").suspect_labels({"text": good + bad, "label": labels}, 3, method=method)
    assert {2, 7} <= {one.index for one in found}


def test_result_is_plain(explainer):
    found = explainer.influence("a dull film", TRAIN, 2)
    assert "\n" not in repr(found)
    assert "2 proponents, 2 opponents of 5 texts" in repr(found)
    table = found.to_pandas()
    assert list(table.columns) == ["role", "rank", "index", "score", "label", "text"]
    assert table["role"].tolist() == ["proponent"] * 2 + ["opponent"] * 2
    one = TrainingExample(index=3, text=("a" * 80, "b"), label="X", score=0.5)
    assert len(repr(one)) < 120


def test_bad_input(explainer):
    with pytest.raises(UnknownName, match="word_embeddings"):
        explainer.influence("a film", TRAIN, method="word_embedding")
    with pytest.raises(InvalidInput, match="at least 1"):
        explainer.influence("a film", TRAIN, 0)
    for k in (0, -1, 2.0, True):
        with pytest.raises(InvalidInput, match="at least 1"):
            explainer.suspect_labels(TRAIN, k)
    with pytest.raises(InvalidInput, match="no label"):
        explainer.influence("a film", {"text": ["a film", "dull"]})
    with pytest.raises(UnknownName, match="label"):
        explainer.influence("a film", TRAIN, target="NEUTRAL")
    with pytest.raises(UnknownName, match="label"):
        explainer.influence("a film", {"text": ["a film"], "label": ["NEUTRAL"]})
    with pytest.raises(InvalidInput, match="none found"):
        explainer.influence("a film", TRAIN, checkpoints="/nowhere")
    model, tokenizer = tiny("bert", fresh=True)
    model.config.problem_type = "multi_label_classification"
    several = xai_nlp.load(model, tokenizer, task="text-classification")
    with pytest.raises(Unsupported, match="multi label"):
        several.influence("a film", TRAIN)


@pytest.mark.parametrize("name", ["gpt2", "distilbert", "llama"])
@pytest.mark.parametrize("method", METHODS)
def test_other_architectures(name, method):
    model, tokenizer = tiny(name, fresh=True)
    explainer = xai_nlp.load(model, tokenizer, task="text-classification")
    found = explainer.influence("a dull film", TRAIN, 2, method=method)
    assert np.isfinite(found.scores).all()
    assert np.abs(found.scores).max() > 0
    assert len(explainer.suspect_labels(TRAIN, 2, method=method)) == 2
