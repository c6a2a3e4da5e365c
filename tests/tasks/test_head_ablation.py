"""Head ablation: against the model whose projection after attention ignores the head, in every task."""

import copy
from contextlib import contextmanager

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.models.tiny_generation import writing
from tests.models.tiny_vision_language import loaded
from tests.tasks.passes import rows_counted
from xai_nlp.core.explanations import Explanations
from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.tasks.head_ablation import ablated, head_ablation
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

TEXT = "A dull film is great"
HEADS = 4
QUESTION = "what colour is the star ?"


@contextmanager
def ignoring(weight, head, *, transposed=False):
    """While open, a projection (out, heads × width) reads nothing of one head."""
    width = weight.shape[0 if transposed else 1] // HEADS
    own = weight.detach().clone()
    with torch.no_grad():
        (weight if transposed else weight.T)[head * width : (head + 1) * width] = 0
        yield
        weight.copy_(own)


def test_ablation_is_the_model_whose_projection_ignores_the_head():
    model, tokenizer = tiny("bert", fresh=True)
    explainer, before = xai_nlp.load(model, tokenizer), fingerprint(model)
    losses = head_ablation(explainer, TEXT, target="POSITIVE")
    assert fingerprint(model) == before
    batch = tokenizer(TEXT, return_tensors="pt")
    with torch.no_grad():
        plain = float(model(**batch).logits[0, 1])
        for layer, block in enumerate(model.bert.encoder.layer):
            weight = block.attention.output.dense.weight
            for head in range(4):
                own = weight[:, 8 * head : 8 * head + 8].clone()
                weight[:, 8 * head : 8 * head + 8] = 0
                assert losses[layer, head] == pytest.approx(plain - float(model(**batch).logits[0, 1]), abs=1e-5)
                weight[:, 8 * head : 8 * head + 8] = own


def test_importance_tells_the_heads_that_matter():
    explainer = xai_nlp.load("sentiment")
    texts = ["a gripping film", "dull and far too long", "not a bad plot"]
    explanations = explainer.explain(texts, method="attention_x_gradient")
    importance = explanations.head_importance()
    each = [abs(why.attention["self"].heads()) for why in explanations]
    np.testing.assert_allclose(importance, np.mean(each, 0))
    with pytest.raises(InvalidInput, match="attention_x_gradient"):
        Explanations([explainer.explain("a film")]).head_importance()


def test_without_all_heads_of_a_layer_nothing_is_read_there():
    explainer = xai_nlp.load("qa")
    question, context = "Who wrote it?", "Ada Lovelace wrote it."
    plain = explainer.answers(question, context)[0]
    with ablated(explainer, [(layer, head) for layer in range(6) for head in range(12)]):
        blind = explainer.answers(question, context)[0]
    assert plain.text == "Ada Lovelace"
    assert blind.score < plain.score
    small = xai_nlp.load(*tiny("bert", task="question-answering"))
    assert head_ablation(small, question, context, target="start").shape == (2, 4)
    with pytest.raises(InvalidInput, match="one input"):
        head_ablation(small, question, context, target=("start", "end"))


def image():
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def vision_language(family):
    """A tiny model of its own, with the weights that read its attention, layer by layer."""
    copied = copy.deepcopy(loaded(family))
    layers = {
        "vilt": lambda m: [layer.attention.output.dense.weight for layer in m.vilt.encoder.layer],
        "llava": lambda m: (
            [layer.self_attn.out_proj.weight for layer in m.model.vision_tower.encoder.layers]
            + [layer.self_attn.o_proj.weight for layer in m.model.language_model.layers]
        ),
        "qwen2_vl": lambda m: (
            [block.attn.proj.weight for block in m.model.visual.blocks]
            + [layer.self_attn.o_proj.weight for layer in m.model.language_model.layers]
        ),
    }
    return VisualQuestionAnsweringExplainer(copied), layers[family](copied.model)


@pytest.mark.parametrize("family", ["vilt", "llava", "qwen2_vl"])
def test_heads_of_a_model_that_looks_at_an_image(family):
    """Those of its vision tower too: Qwen's computes attention image by image."""
    explainer, weights = vision_language(family)
    inputs, answer = {"image": image(), "question": QUESTION}, {"answer": "red"}
    losses = head_ablation(explainer, **inputs, **answer)
    plain = explainer.explain(**inputs, **answer, method="random").value
    for layer, weight in enumerate(weights):
        for head in range(HEADS):
            with ignoring(weight, head):
                without = explainer.explain(**inputs, **answer, method="random").value
            assert losses[layer, head] == pytest.approx(plain - without, abs=1e-5)
    assert np.abs(losses).max() > 1e-2


def test_heads_of_a_model_that_writes():
    model, tokenizer = writing("gpt2", fresh=True)
    explainer, before = xai_nlp.load(model, tokenizer), fingerprint(model)
    losses = head_ablation(explainer, "The plot is thin", answer=" great movie")
    assert fingerprint(model) == before
    prompt, answer = (tokenizer.encode(text) for text in ("The plot is thin", " great movie"))

    def log_probability():
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].double()
        return float(logits.log_softmax(-1)[range(len(answer)), answer].sum())

    with torch.no_grad():
        plain = log_probability()
        for layer, block in enumerate(model.transformer.h):
            for head in range(HEADS):
                with ignoring(block.attn.c_proj.weight, head, transposed=True):
                    assert losses[layer, head] == pytest.approx(plain - log_probability(), abs=1e-5)


def test_heads_of_the_embedded_models():
    answers = head_ablation(xai_nlp.load("vqa"), image(), "what colour is the circle ?", batch_size=40)
    assert answers.ndim == 2 and np.isfinite(answers).all() and np.abs(answers).max() > 1e-3
    assert head_ablation(xai_nlp.load("qa"), "Who wrote it?", "Ada Lovelace wrote it.").shape == (6, 12)


@pytest.mark.parametrize("rows", [None, 3, 1])
@pytest.mark.parametrize("task", ["text", "qa", "vqa", "generation", "generation with an image"])
def test_one_row_a_head_and_two_more(task, rows):
    """As the docstring says: one row fixes the target, one finds the heads, and each head takes one."""
    if task in ("text", "qa"):
        explainer = xai_nlp.load(*tiny("bert", task={"text": "text-classification", "qa": "question-answering"}[task]))
        inputs, options = ((TEXT,) if task == "text" else ("who wrote it", "Ada wrote it")), {}
    elif task == "generation":
        explainer, inputs, options = xai_nlp.load(*writing("gpt2")), (TEXT,), {"answer": " great"}
    else:
        explainer = VisualQuestionAnsweringExplainer(loaded("vilt" if task == "vqa" else "llava"))
        inputs, options = (image(), QUESTION), {"answer": "red"}
    with rows_counted(explainer.model) as sizes:
        losses = head_ablation(explainer, *inputs, batch_size=rows, **options)
    assert sum(sizes) == losses.size + 2
    assert rows is None or max(sizes) <= rows


def test_rows_do_not_change_the_losses():
    explainer = xai_nlp.load(*tiny("bert"))
    np.testing.assert_allclose(head_ablation(explainer, TEXT, batch_size=3), head_ablation(explainer, TEXT), atol=1e-5)
