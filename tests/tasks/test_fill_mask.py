"""Words at a mask, against passes of one's own."""

import pytest
import torch

import xai_nlp
from tests.tasks.new_tasks import check_promises, explainer_of
from xai_nlp.errors import InvalidInput

TEXT = "the film was [MASK] and the plot [MASK]"


@torch.no_grad()
def logits_at(explainer, text, which=0, ids=None):
    batch = explainer.tokenizer(text, return_tensors="pt")
    masks = (batch["input_ids"][0] == explainer.tokenizer.mask_token_id).nonzero()[:, 0]
    batch["input_ids"] = batch["input_ids"] if ids is None else ids
    return explainer.model(**batch).logits[0, masks[which]]


@pytest.mark.parametrize("name", ["bert", "roberta", "albert"])
def test_scores_of_a_word_add_up(name):
    explainer = explainer_of(name, "fill-mask", torch.float64)
    mask = explainer.tokenizer.mask_token
    texts = [f"the film was {mask}", f"who wrote this {mask} movie?", f"{mask} is the plot"]
    check_promises(explainer, texts)
    check_promises(explainer, texts, target="a", rather_than="great" if name != "roberta" else "i")


def test_the_expected_word_and_others():
    explainer = explainer_of("bert", "fill-mask")
    for number in (1, 2):
        logits = logits_at(explainer, TEXT, number - 1)
        why = explainer.explain(TEXT, mask=number, method="saliency")
        assert why.value == pytest.approx(float(logits.max()), abs=1e-5)
        assert why.prediction == why.target.label == explainer.tokenizer.decode([int(logits.argmax())])
        assert list(why.outputs.values())[:10] == pytest.approx(logits.softmax(0).topk(10).values.tolist(), abs=1e-6)
    great, dull = (explainer.tokenizer.convert_tokens_to_ids(word) for word in ("great", "dull"))
    contrast = explainer.explain(TEXT, target="great", rather_than=dull, method="saliency")
    logits = logits_at(explainer, TEXT)
    assert contrast.value == pytest.approx(float(logits[great] - logits[dull]), abs=1e-5)
    assert str(contrast.target) == "great-dull"


@pytest.mark.parametrize("number", [1, 2])
def test_the_mask_that_is_explained_is_marked_in_the_text(number):
    why = explainer_of("bert", "fill-mask").explain(TEXT, mask=number, method="saliency")
    start = [at for at in range(len(TEXT)) if TEXT.startswith("[MASK]", at)][number - 1]
    assert why.answer == (0, (start, start + len("[MASK]")))


def test_leave_one_out_by_hand_and_masks_stay():
    explainer = explainer_of("bert", "fill-mask")
    why = explainer.explain(TEXT, target="great", method="occlusion", baseline="pad", unit="log-probability")
    great, ids = (
        explainer.tokenizer.convert_tokens_to_ids("great"),
        explainer.tokenizer(TEXT, return_tensors="pt")["input_ids"],
    )
    plain = float(logits_at(explainer, TEXT).log_softmax(0)[great])
    assert why.value == pytest.approx(plain, abs=1e-5)
    for i, (token, segment, score) in enumerate(zip(why.tokens, why.segment, why.scores, strict=True)):
        changed = ids.clone()
        changed[0, i] = explainer.tokenizer.pad_token_id
        fixed = segment < 0 or token == "[MASK]"
        expected = 0.0 if fixed else plain - float(logits_at(explainer, TEXT, ids=changed).log_softmax(0)[great])
        assert score == pytest.approx(expected, abs=1e-5)


def test_what_cannot_be_explained():
    explainer = explainer_of("bert", "fill-mask")
    with pytest.raises(InvalidInput, match=r"the text has none. This model's mask is '\[MASK\]'"):
        explainer.explain("the film was <mask>")
    with pytest.raises(InvalidInput, match=r"mask 3 is explained, and text 1 has 2 of them"):
        explainer.explain([f"{TEXT} [MASK]", TEXT], mask=3)
    with pytest.raises(InvalidInput, match="a mask holds one token"):
        explainer.explain(TEXT, target="unbelievable")
    with pytest.raises(InvalidInput, match="with itself"):
        explainer.explain(TEXT, target="great", rather_than="great")
    with pytest.raises(InvalidInput, match="token ids are from 0"):
        explainer.explain(TEXT, target=10**6)
    model, tokenizer = explainer.model, explainer.tokenizer
    assert xai_nlp.explain(TEXT, model=model, tokenizer=tokenizer, method="saliency").task == "fill-mask"
