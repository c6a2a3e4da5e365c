"""The baselines of a batch: named ones, texts, and near misses of names."""

import pytest
import torch

import xai_nlp
from tests.models.tiny import ARCHITECTURES, tiny
from tests.tasks.passes import rows_counted
from tests.tasks.test_explainer import TEXTS
from xai_nlp.errors import UnknownName
from xai_nlp.tasks.batch import batch_forward


@pytest.mark.parametrize("baseline", ["pad", "mask"])
def test_named_baselines_are_the_model_run_on_those_words(baseline):
    model, tokenizer = tiny("bert")
    why = xai_nlp.load(model, tokenizer).explain("a dull film", baseline=baseline, target=1)
    batch = tokenizer("a dull film", return_tensors="pt")
    ids = batch["input_ids"].clone()
    ids[0, 1:-1] = getattr(tokenizer, f"{baseline}_token_id")
    with torch.no_grad():
        expected = float(model(**{**batch, "input_ids": ids}).logits[0, 1])
    assert why.baseline_value == pytest.approx(expected, abs=1e-6)


def test_a_text_as_baseline(sentiment):
    why = sentiment.explain("a truly awful film", baseline="a truly lovely film", target="NEGATIVE")
    words = dict(zip(why.words().tokens, why.words().scores, strict=True))
    assert words["a"] == words["truly"] == 0  # same word, same place
    assert words["awful"] > 1
    lovely = sentiment.explain("a truly lovely film", target="NEGATIVE")
    assert why.baseline_value == pytest.approx(lovely.value, abs=1e-5)


def scaled(name="bart"):
    """A tiny model whose word vectors are the rows of its table, scaled."""
    model, tokenizer = tiny(name, fresh=True)
    for module in model.modules():
        if hasattr(module, "embed_scale"):
            module.embed_scale = 3.0
    return model, tokenizer


@pytest.mark.parametrize("name", [*ARCHITECTURES, "scaled"])
def test_a_text_as_its_own_baseline_leaves_nothing_to_explain(name):
    explainer = xai_nlp.load(*(scaled() if name == "scaled" else tiny(name)))
    why = explainer.explain("a dull film", baseline="text:a dull film", target=1)
    assert why.baseline_value == pytest.approx(why.value, abs=1e-6) and not any(why.scores)


def test_the_mean_baseline_is_the_mean_of_scaled_vectors():
    model, tokenizer = scaled()
    why = xai_nlp.load(model, tokenizer).explain("a dull film", baseline="mean", target=1)
    batch = tokenizer("a dull film", return_tensors="pt")
    embedding = model.get_encoder().get_input_embeddings()
    mean = 3 * embedding.weight.detach().mean(0)

    def replaced(module, inputs, output):
        return torch.cat([output[:, :1], mean.expand_as(output[:, 1:-1]), output[:, -1:]], 1)

    with torch.no_grad(), embedding.register_forward_hook(replaced):
        expected = float(model(**batch).logits[0, 1])
    assert why.baseline_value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("baseline", ["movie", "text:movie"])
def test_one_word_is_a_text_too(baseline):
    """No name of a baseline is near: its vector stands in the first place, padding in the others."""
    model, tokenizer = tiny("bert")
    why = xai_nlp.load(model, tokenizer).explain("a dull film", baseline=baseline, target=1)
    batch = tokenizer("a dull film", return_tensors="pt")
    words = tokenizer("movie", add_special_tokens=False)["input_ids"]
    ids = batch["input_ids"].clone()
    ids[0, 1:-1] = tokenizer.pad_token_id
    ids[0, 1 : 1 + len(words)] = torch.tensor(words)
    with torch.no_grad():
        expected = float(model(**{**batch, "input_ids": ids}).logits[0, 1])
    assert why.baseline_value == pytest.approx(expected, abs=1e-6)
    assert why.baseline == baseline


def test_a_text_that_is_named_like_a_baseline():
    explainer = xai_nlp.load(*tiny("bert"))
    values = {
        name: explainer.explain("a dull film", baseline=name, target=1).baseline_value for name in ("zero", "text:zero")
    }
    assert abs(values["zero"] - values["text:zero"]) > 1e-4


@pytest.mark.parametrize(
    ("baseline", "near"), [("zeor", "zero"), ("masc", "mask"), ("Mean", "mean"), ("refrence", "reference")]
)
def test_a_near_miss_of_a_name_is_refused_with_how_to_write_the_text(sentiment, baseline, near):
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'") as error:
        sentiment.explain("a film", baseline=baseline)
    assert f"baseline='text:{baseline}'" in str(error.value)
    assert sentiment.explain("a film", baseline=f"text:{baseline}", steps=2).baseline == f"text:{baseline}"


def test_the_reference_baseline_has_the_first_tokens_position_and_type():
    """Pad's vector for the words, and every position and type as the first token's, put together by hand."""
    model, tokenizer = tiny("bert")
    why = xai_nlp.load(model, tokenizer).explain(("a dull film", "great"), baseline="reference", target=1)
    batch = tokenizer("a dull film", "great", return_tensors="pt")
    special = torch.tensor(
        tokenizer.get_special_tokens_mask(batch["input_ids"][0].tolist(), already_has_special_tokens=True)
    )
    words = model.bert.embeddings.word_embeddings
    with torch.no_grad():
        ids = torch.where(special.bool(), batch["input_ids"], tokenizer.pad_token_id)
        expected = model(
            inputs_embeds=words(ids),
            attention_mask=batch["attention_mask"],
            token_type_ids=torch.zeros_like(ids),
            position_ids=torch.zeros_like(ids),
        ).logits[0, 1]
    assert why.baseline_value == pytest.approx(float(expected), abs=1e-6)


def test_a_method_without_a_baseline_pays_no_pass_for_one():
    model, tokenizer = tiny("bert", fresh=True)
    explainer = xai_nlp.load(model, tokenizer)
    why = explainer.explain("a dull film", method="saliency")
    assert why.baseline == "none"
    with rows_counted(model.bert.embeddings) as sizes:
        explainer.explain("a dull film", method="saliency")
    assert len(sizes) == 2  # the embeddings, and the pass that predicts and explains
    with rows_counted(model.bert.embeddings) as sizes:
        explainer.explain("a dull film", method="integrated_gradients", steps=4)
    assert sizes == [1, 1, 1, 4, 2]  # the embeddings of the baseline, the steps, and f at both ends


def test_rows_of_a_batch_are_looked_up_by_their_example():
    model, tokenizer = tiny("bert")
    batch, owner = tokenizer(TEXTS, padding=True, return_tensors="pt"), torch.tensor([2, 0, 2])
    with torch.no_grad():
        logits = batch_forward(model, batch, owner).logits
        expected = model(**batch).logits[owner]
    torch.testing.assert_close(logits, expected, atol=1e-6, rtol=0)
