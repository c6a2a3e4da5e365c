"""Text to text: what T5 and BART write, against `generate` and plain passes."""

import pytest
import torch

from tests.tasks.new_tasks import check_promises, explainer_of
from xai_nlp.errors import InvalidInput

TEXT, ANSWER, OTHER = "The plot is thin and the film dull", "great movie", "great food"
MODELS = ("bart", "t5")


@torch.no_grad()
def log_probabilities(explainer, text, answer):
    """Of each token of the answer, by the model's own loss: (n,)."""
    batch = explainer.tokenizer(text, return_tensors="pt")
    labels = torch.tensor([explainer.tokenizer(answer, add_special_tokens=False)["input_ids"]])
    logits = explainer.model(input_ids=batch["input_ids"], labels=labels).logits[0].double()
    return logits.log_softmax(-1)[range(labels.shape[1]), labels[0]]


@pytest.mark.parametrize("name", MODELS)
def test_the_answer_is_worth_what_the_model_says(name):
    explainer = explainer_of(name, "text2text-generation")
    expected = log_probabilities(explainer, TEXT, ANSWER)
    why = explainer.explain(TEXT, answer=ANSWER, method="saliency")
    assert why.value == pytest.approx(float(expected.sum()), abs=1e-3)
    assert why.outputs == {ANSWER: pytest.approx(float(expected.sum().exp()), rel=1e-3)}
    words = explainer.explain(TEXT, answer=ANSWER, target="words", method="saliency")
    assert [one.value for one in words] == pytest.approx(expected.tolist(), abs=1e-3)
    assert {one.target.answer for one in words} == {ANSWER}


@pytest.mark.parametrize("name", MODELS)
def test_the_answer_is_the_one_that_the_model_writes(name):
    explainer = explainer_of(name, "text2text-generation")
    batch = explainer.tokenizer(TEXT, return_tensors="pt")
    written = explainer.model.generate(input_ids=batch["input_ids"], max_new_tokens=5, do_sample=False)[0]
    why = explainer.explain(TEXT, longest=5, method="saliency")
    assert why.target.label == explainer.tokenizer.decode(written, skip_special_tokens=True).strip()


CONTRAST = {"answer": ANSWER, "rather_than": OTHER}


@pytest.mark.parametrize(("name", "tolerance", "steps"), [("bart", 1e-6, 64), ("t5", 1e-4, 512)])  # float32 norms
@pytest.mark.parametrize("options", [{"answer": ANSWER}, CONTRAST], ids=["whole", "contrast"])
def test_scores_of_an_answer_add_up(name, tolerance, steps, options):
    explainer = explainer_of(name, "text2text-generation", torch.float64)
    check_promises(explainer, [TEXT, "A dull film", "Who wrote this great movie?"], tolerance, steps, **options)


def test_what_cannot_be_explained():
    explainer = explainer_of("bart", "text2text-generation")
    with pytest.raises(InvalidInput, match="the answer has no token"):
        explainer.explain(TEXT, answer="")
    with pytest.raises(InvalidInput, match="does not differ"):
        explainer.explain(TEXT, answer=ANSWER, rather_than=ANSWER)
