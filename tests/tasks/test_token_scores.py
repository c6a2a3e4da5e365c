"""Scores of a batch as scores of tokens, layers and attention matrices."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_question_answering import CONTEXT, QUESTION
from tests.tasks.test_visual_question_answering import QUESTION as IMAGE_QUESTION
from tests.tasks.test_visual_question_answering import explainer_of
from xai_nlp.core.batching import Batching
from xai_nlp.core.targets import Target
from xai_nlp.errors import InvalidInput
from xai_nlp.methods import METHODS
from xai_nlp.tasks.batch import TextSubject
from xai_nlp.tasks.token_scores import BatchAttribution, WindowAttribution, attribute_batch


def test_a_model_that_gives_nan_is_refused():
    model, tokenizer = tiny("bert", fresh=True)
    with torch.no_grad():
        model.classifier.weight[0, 0] = float("nan")
    with pytest.raises(InvalidInput, match="NaN"):
        xai_nlp.load(model, tokenizer).explain("a film")


def test_parts_layers_and_attention_in_one_sweep(qa):
    why = qa.explain(QUESTION, CONTEXT, target="start", parts=True, layers=True, attention=True, baseline="reference")
    assert set(why.parts) == {"word", "position", "type"}
    for score, *parts in zip(why.scores, *why.parts.values(), strict=True):
        assert score == pytest.approx(sum(parts), abs=1e-5)
    assert why.layers.shape == (6, len(why.tokens))
    for flow in why.layers.numpy().sum(1):
        assert float(flow) == pytest.approx(why.explained, rel=0.03)
    stack = why.attention["self"]
    assert stack.scores.shape == (6, 12, len(why.tokens), len(why.tokens))
    assert xai_nlp.Explanation.from_json(why.to_json()) == why
    words = why.words()
    assert words.attention["self"].scores.shape[2:] == (len(words.tokens),) * 2
    assert sum(words.scores) == pytest.approx(sum(why.scores))


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient"])
def test_a_tokens_entries_become_one_number_as_the_method_says(method):
    """The norm of its gradient, or the sum of gradient × displacement, by autograd on the embeddings' output."""
    model, tokenizer = tiny("bert")
    texts = ["a dull film", "the plot was great"]
    explanations = xai_nlp.load(model, tokenizer).explain(texts, method=method, target=1, baseline="mask")
    for text, why in zip(texts, explanations, strict=True):
        batch = tokenizer(text, return_tensors="pt")
        ids = batch["input_ids"].clone()
        ids[0, 1:-1] = tokenizer.mask_token_id
        with torch.no_grad():
            x, x0 = (
                model.bert.embeddings(**{**one, "token_type_ids": batch["token_type_ids"]})
                for one in ({"input_ids": batch["input_ids"]}, {"input_ids": ids})
            )
        x.requires_grad_()
        handle = model.bert.embeddings.register_forward_hook(lambda *_: x)  # noqa: B023
        (gradient,) = torch.autograd.grad(model(**batch).logits[0, 1], x)
        handle.remove()
        by_token = gradient.norm(dim=-1) if method == "saliency" else (gradient * x).sum(-1)
        if METHODS[method].needs_baseline:
            by_token = (gradient * (x - x0)).sum(-1)
        assert why.scores == pytest.approx(by_token[0].tolist(), abs=1e-5)
        assert why.unit == {"f": "logit", "": ""}[METHODS[method].unit]


def test_layers_beside_the_scores_are_those_layers_conductance():
    explainer = xai_nlp.load(*tiny("bert"))
    options = {"steps": 20, "target": 1}
    texts = ["a dull film", "the plot was great and so was the film"]
    for beside in explainer.explain(texts, method="conductance", layers=True, **options):
        for k in range(2):
            alone = explainer.explain(beside.segments[0], method="conductance", layer=k, **options)
            assert beside.layers.numpy()[k] == pytest.approx(alone.scores, abs=1e-5)


def test_matrices_are_attention_times_its_gradient_without_padding():
    """Against the probabilities that the eager model gives out, by autograd."""
    model, tokenizer = tiny("bert", fresh=True)
    texts = ["a dull film", "the plot was great and so was the film"]
    explanations = xai_nlp.load(model, tokenizer).explain(texts, method="attention_x_gradient", target=1)
    model.set_attn_implementation("eager")
    for text, why in zip(texts, explanations, strict=True):
        out = model(**tokenizer(text, return_tensors="pt"), output_attentions=True)
        gradients = torch.autograd.grad(out.logits[0, 1], out.attentions)
        expected = torch.cat([a * g for a, g in zip(out.attentions, gradients, strict=True)]).detach()
        matrices = why.attention["self"].scores.numpy()
        assert matrices.shape == (2, 4, len(why.tokens), len(why.tokens))
        np.testing.assert_allclose(matrices, expected, atol=1e-5)


def test_each_window_of_a_batch_gets_its_own_row():
    explainer = xai_nlp.load(*tiny("bert"))
    request = explainer.request({"text": ["a dull film", "great"]}, {"method": "conductance", "tolerance": 1e-3})
    windows = explainer.encode(request)
    batch = explainer.batch(windows)
    subject = TextSubject(
        explainer=explainer,
        batch=batch,
        baseline="pad",
        batching=Batching(),
        target=Target(weights=torch.eye(2)[None].repeat(2, 1, 1)),
    ).subject()
    attribution = attribute_batch(request.methods[0], subject, batch, request.options)
    assert attribution.tokens.shape == (1, 2, 2, len(windows[0]))  # channels, windows, targets, tokens
    assert (attribution.parts, attribution.layers, attribution.matrices, attribution.regions) == ((), 0, (), None)
    for b, window in enumerate(windows):
        one = attribution.of_window(b)
        for target in range(2):
            scores = one.scores(target)
            assert scores.scores.shape == (1, len(window))
            assert scores.scores.sum() == pytest.approx(scores.value - scores.baseline_value, abs=2e-3)
            alone = explainer.explain(request.examples[b]["text"], method="conductance", tolerance=1e-3, target=target)
            assert scores.scores[0] == pytest.approx(alone.scores, abs=1e-5)
            assert scores.steps == alone.params["steps_used"]
        assert one.image(0) is None
    assert (attribution.tokens[0, 1, :, len(windows[1]) :] == 0).all()  # padding


def test_words_look_at_regions_by_the_sum_of_their_patches(image):
    """Regions of four patches each: their columns are the sums of the patches' columns."""
    explainer = explainer_of("vilt")
    grid = (
        explainer.explain(image, IMAGE_QUESTION, method="attention_x_gradient", regions="patches")
        .attention["image"]
        .scores.numpy()
    )
    coarse = explainer.explain(image, IMAGE_QUESTION, method="attention_x_gradient", regions=2)
    links = coarse.attention["image"].scores.numpy()
    np.testing.assert_allclose(links.sum(-1), grid.sum(-1), atol=1e-5)
    assert links.shape[-1] == len(coarse.image.boxes) < grid.shape[-1]


def test_matrices_are_converted_when_somebody_reads_them(monkeypatch):
    explainer = xai_nlp.load(*tiny("bert"))
    converted = []
    kept = WindowAttribution._kept
    monkeypatch.setattr(WindowAttribution, "_kept", lambda *given: converted.append(1) or kept(*given))
    why = explainer.explain("a wonderful film", method="attention_x_gradient")
    assert why.scores and why.words().top() and why.attention["self"].scores.shape and not converted
    assert float(why.attention["self"].scores.numpy().sum()) == pytest.approx(sum(why.scores), abs=1e-5)
    assert len(converted) == len(why.attention["self"].layers)
    why.attention["self"].heads()
    assert len(converted) == len(why.attention["self"].layers)


def test_matrices_of_half_precision_are_read_in_float32():
    model, tokenizer = tiny("bert", fresh=True)
    exact = xai_nlp.load(model, tokenizer).explain("a wonderful film", method="attention_rollout")
    half = xai_nlp.load(model.bfloat16(), tokenizer).explain("a wonderful film", method="attention_rollout")
    matrices = [why.attention["self"].scores.numpy() for why in (half, exact)]
    np.testing.assert_allclose(*matrices, atol=0.02)


def test_matrices_that_are_not_finite_are_refused_before_they_are_read():
    @dataclass(frozen=True)
    class Infinite(METHODS["attention_x_gradient"]):
        def scores(self, problem):
            scores = super().scores(problem)
            return replace(scores, tensors=tuple(tensor / 0 for tensor in scores.tensors))

    explainer = xai_nlp.load(*tiny("bert"))
    batch = explainer.batch(explainer.encode(explainer.request({"text": ["a film"]}, {})))
    subject = TextSubject(
        explainer=explainer, batch=batch, target=Target(weights=torch.ones(1, 1, 2)), baseline="pad",
        batching=Batching(),
    ).subject()  # fmt: skip
    with pytest.raises(InvalidInput, match="finite"):
        attribute_batch(Infinite(), subject, batch, explainer.request({"text": ["a film"]}, {}).options)


def test_more_matrices_than_an_accelerator_should_hold_go_to_the_host(monkeypatch):
    moved = []
    monkeypatch.setattr(BatchAttribution, "on_accelerator", 10)
    monkeypatch.setattr(BatchAttribution, "on_host", lambda self: moved.append(len(self.batch.windows)) or self)
    monkeypatch.setattr("xai_nlp.tasks.run.MATRICES", 25)
    explainer = xai_nlp.load(*tiny("bert"))
    texts = ["a", "a dull film", "a film that is dull and long and of no use to anybody at all", "fine", "b c d e f g"]
    explainer.explain(texts, method="attention_rollout", batch_size=1)
    groups = explainer.groups(explainer.encode(explainer.request({"text": texts}, {})), matrices=True)
    assert moved == [len(group) for group in groups][2:]
