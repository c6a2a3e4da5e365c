"""Similarity of two texts: the cosine of plain passes, scores of both sides, and the matrix of word pairs."""

import json

import pytest
import torch

import xai_nlp
from tests.cli.command import run
from tests.models.test_sentence_embedding import Normalize, Pooling, SentenceTransformer, Transformer, write
from tests.models.tiny import tiny
from tests.tasks.new_tasks import check_promises, explainer_of
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.methods import METHODS
from xai_nlp.tasks.sentence_similarity import SentenceSimilarityExplainer
from xai_nlp.viz.page.html import page

TASK = "sentence-similarity"
TEXT, PAIR = "the great film was gripping", "a dull movie"
TEXTS = [TEXT, "who wrote it?", "I can't recommend this lifeless plot to anyone"]
ENCODERS = ("bert", "roberta", "mpnet", "deberta-v2", "modernbert", "gpt2")


@torch.no_grad()
def cosine(explainer, ids, pair_ids, pooling="mean"):
    """Of two lists of token ids, each in a pass of its own."""
    sides = []
    for one in (ids, pair_ids):
        hidden = explainer.model(input_ids=torch.tensor([one])).last_hidden_state[0].double()
        sides.append({"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0)}[pooling])
    return float(torch.nn.functional.cosine_similarity(*sides, dim=0))


def ids_of(explainer, text):
    return explainer.tokenizer(text)["input_ids"]


@pytest.mark.parametrize("name", ENCODERS)
def test_the_number_is_the_cosine_of_plain_passes(name):
    explainer = explainer_of(name, TASK)
    for pooling in ("mean", "cls", "max"):
        why = explainer.explain(TEXT, PAIR, pooling=pooling, method="saliency")
        expected = cosine(explainer, ids_of(explainer, TEXT), ids_of(explainer, PAIR), pooling)
        assert why.value == pytest.approx(expected, abs=1e-5)
        assert why.outputs == {"similarity": pytest.approx(expected, abs=1e-5)}
    assert why.segments == (TEXT, PAIR) and why.target.unit == "cosine"
    same = explainer.predict(TEXTS, TEXTS)
    assert [one["similarity"] for one in same] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_scores_of_both_sides_share_the_change_from_both_baselines(name):
    explainer = explainer_of(name, TASK, torch.float64)
    why = explainer.explain(TEXT, PAIR, steps=64, baseline="mask")
    mask = explainer.tokenizer.mask_token_id
    masked = [[i if i in explainer.tokenizer.all_special_ids else mask for i in ids_of(explainer, text)]
              for text in (TEXT, PAIR)]  # fmt: skip
    start = cosine(explainer, *masked)
    assert why.baseline_value == pytest.approx(start, abs=1e-9)
    assert sum(why.scores) == pytest.approx(why.value - start, abs=1e-8)
    for side in (0, 1):
        assert all(s for s, segment in zip(why.scores, why.segment, strict=True) if segment == side)
    assert explainer.explain(TEXT, PAIR, steps=64, baseline="reference").residual == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("moves", ["text", "pair"])
def test_one_text_moves_against_the_other(moves):
    explainer = explainer_of("bert", TASK, torch.float64)
    why = explainer.explain(TEXT, PAIR, steps=64, baseline="mask", moves=moves)
    mask, special = explainer.tokenizer.mask_token_id, explainer.tokenizer.all_special_ids
    sides = {"text": ids_of(explainer, TEXT), "pair": ids_of(explainer, PAIR)}
    sides[moves] = [i if i in special else mask for i in sides[moves]]
    assert why.baseline_value == pytest.approx(cosine(explainer, *sides.values()), abs=1e-9)
    assert why.residual == pytest.approx(0, abs=1e-8)
    still = int(moves == "text")
    assert not any(s for s, segment in zip(why.scores, why.segment, strict=True) if segment == still)
    pairs = [explainer.explain(TEXT, PAIR, pairs=True, moves=m, method="saliency") for m in (moves, "both")]
    assert pairs[0].attention == pairs[1].attention


def test_occlusion_by_hand():
    explainer = explainer_of("bert", TASK)
    why = explainer.explain(TEXT, PAIR, method="occlusion", baseline="mask")
    sides = [ids_of(explainer, TEXT), ids_of(explainer, PAIR)]
    whole, places = cosine(explainer, *sides), [(s, i) for s, ids in enumerate(sides) for i in range(len(ids))]
    for (side, i), segment, score in zip(places, why.segment, why.scores, strict=True):
        changed = [list(ids) for ids in sides]
        changed[side][i] = explainer.tokenizer.mask_token_id
        assert score == pytest.approx(whole - cosine(explainer, *changed) if segment >= 0 else 0.0, abs=1e-5)


@pytest.mark.parametrize("name", ENCODERS)
def test_promises(name):
    check_promises(explainer_of(name, TASK, torch.float64), TEXTS, pair=PAIR)


@pytest.mark.parametrize("method", sorted(name for name, cls in METHODS.items() if cls.operates_on != "attention"))
def test_every_method_scores_both_texts(method):
    why = explainer_of("bert", TASK).explain(TEXT, PAIR, method=method)
    for side in (0, 1):
        assert any(s for s, segment in zip(why.scores, why.segment, strict=True) if segment == side)
    if why.complete:
        assert abs(why.residual) < 0.02 * max(0.05, abs(why.explained))


def test_layers_and_parts():
    explainer = explainer_of("bert", TASK, torch.float64)
    why = explainer.explain(TEXT, PAIR, steps=64, layers=True)
    for layer in why.layers.numpy():
        assert layer.sum() == pytest.approx(why.explained, abs=1e-5)
    at_layer = explainer.explain(TEXT, PAIR, steps=64, layer=0)
    assert at_layer.residual == pytest.approx(0, abs=1e-8) and len(at_layer.scores) == len(why.scores)
    parts = explainer.explain(TEXT, PAIR, steps=64, parts=True)
    assert sum(map(sum, parts.parts.values())) == pytest.approx(parts.explained, abs=1e-8)


# Loading -------------------------------------------------------------------------------------------------------------


def test_a_folder_of_sentence_transformers(tmp_path):
    model, tokenizer = tiny("bert", task=TASK)
    model.save_pretrained(tmp_path), tokenizer.save_pretrained(tmp_path)
    write(tmp_path, ("Pooling", {"pooling_mode_cls_token": True}), ("Normalize", {}))
    explainer = xai_nlp.load(tmp_path)
    assert isinstance(explainer, SentenceSimilarityExplainer) and repr(explainer).endswith("(bert): cls pooling>")
    why = xai_nlp.explain(TEXT, pair=PAIR, model=tmp_path, method="saliency")
    assert why.value == pytest.approx(
        cosine(explainer, ids_of(explainer, TEXT), ids_of(explainer, PAIR), "cls"), abs=1e-5
    )
    command = ["explain", "similarity", TEXT, "--pair", PAIR, "--model", str(tmp_path), "--pairs", "-o", "steps=8"]
    saved = json.loads(run(*command, "--json", "-").stdout)
    assert saved["value"] == pytest.approx(why.value, abs=1e-5) and list(saved["attention"]) == ["pairs"]


def test_an_object_of_sentence_transformers():
    model, tokenizer = tiny("gpt2", task=TASK)
    explainer = xai_nlp.load(SentenceTransformer(tokenizer, Transformer(model), Pooling(), Normalize()))
    assert isinstance(explainer, SentenceSimilarityExplainer) and explainer.model is model
    expected = cosine(explainer, ids_of(explainer, TEXT), ids_of(explainer, PAIR), "cls")
    assert explainer.predict(TEXT, PAIR)["similarity"] == pytest.approx(expected, abs=1e-5)


def test_a_page_shows_the_pairs():
    explainer = explainer_of("bert", TASK)
    html = page([explainer.explain(TEXT, PAIR, steps=8, pairs=True)])
    assert "The similarity is <em><bdi>" in html and "word pairs" in html and ">Text 2<" in html


@pytest.mark.parametrize(
    ("inputs", "options", "error", "words"),
    [
        ((TEXT, PAIR), {"pooling": "men"}, UnknownName, "Did you mean 'mean'"),
        ((TEXT, PAIR), {"moves": "txt"}, UnknownName, "Did you mean 'text'"),
        ((TEXT, PAIR), {"unit": "logit"}, UnknownName, "is a cosine"),
        ((TEXT, PAIR), {"attention": True}, Unsupported, "pairs=True"),
        ((TEXT, PAIR), {"method": "attention_rollout"}, Unsupported, "pairs=True"),
        ((TEXT, " "), {}, InvalidInput, "the pair is empty"),
        (([TEXT, TEXT], [PAIR, ""]), {}, InvalidInput, "pair 1 is empty"),
        (((TEXT, PAIR), PAIR), {}, InvalidInput, "the text is one string"),
        ((TEXT * 20, PAIR), {}, InvalidInput, "the model takes"),
    ],
)
def test_what_cannot_be_explained(inputs, options, error, words):
    with pytest.raises(error, match=words):
        explainer_of("bert", TASK).explain(*inputs, **options)


def test_a_model_with_a_decoder_is_refused():
    with pytest.raises(Unsupported, match="has a decoder"):
        explainer_of("bart", TASK)
