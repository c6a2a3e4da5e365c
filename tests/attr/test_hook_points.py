"""Captum's layer and neuron faces on hook points: attention matrices like layers, with a delta; layers like modules."""

import pytest
import torch

import xai_nlp
from tests.models.padded_batches import CASES, HAS_SDPA, padded_batch
from xai_nlp import attr
from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.deterministic import deterministic_multinomial
from xai_nlp.hooks.model_state import fingerprint

STEPS = {"distilbert": 400}  # its head has a ReLU, whose kink a quadrature meets slowly
ROUNDED = {"atol": 5e-7, "rtol": 0}  # Llama computes norms and rotations in float32


@torch.no_grad()
def moved(batch, point, inputs):
    """The matrix at the point for these token ids."""
    with xai_nlp.hooks.capture(point) as captured:
        batch.forward(inputs, *batch.others)
    return captured[point]


@torch.no_grad()
def fallen(batch, point, start):
    """F(A) − F(A₀): the model run on the inputs, and run with A₀ in the place of the matrix."""
    with deterministic_multinomial():
        end = batch.forward(*batch.inputs.values())[:, 1]
        with xai_nlp.hooks.edit({point: lambda probabilities: start}):
            return end - batch.forward(*batch.inputs.values())[:, 1]


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_layer_integrated_gradients_of_attention_add_up_to_what_the_matrix_brings(name, attention):
    batch = padded_batch(name, attention)
    before, points, x = fingerprint(batch.model), xai_nlp.points(batch.model), batch.inputs["input_ids"]
    others = {"target": 1, "additional_forward_args": batch.others}
    for point in (points.attention[1], *points.cross_attention[:1]):
        method = attr.LayerIntegratedGradients(batch.forward, point)
        scores, delta = method.attribute(
            x, baselines=batch.baseline, n_steps=STEPS.get(name, 100), return_convergence_delta=True, **others
        )
        matrix, start = moved(batch, point, x), moved(batch, point, batch.baseline)
        assert scores.shape == matrix.shape
        assert (start - matrix).abs().max() > 1e-3
        expected = fallen(batch, point, start)
        assert expected.abs().min() > 1e-4
        torch.testing.assert_close(delta, scores.sum((1, 2, 3)) - expected, **ROUNDED)
        assert delta.abs().max() < 1e-6
        assert scores[(matrix == 0) & (start == 0)].eq(0).all()
        again = method.compute_convergence_delta(scores, batch.baseline, x, **others)
        torch.testing.assert_close(again, delta, **ROUNDED)
    assert fingerprint(batch.model) == before


@pytest.mark.parametrize("name", sorted(HAS_SDPA.keys() - {"distilbert"}))
def test_several_matrices_move_together(name):
    """The matrices of all layers at once: Σ of all = F(A₁, A₂) − F(A₁₀, A₂₀)."""
    batch = padded_batch(name)
    points, x = xai_nlp.points(batch.model).attention, batch.inputs["input_ids"]
    starts = {point: moved(batch, point, batch.baseline) for point in points}
    scores, delta = attr.LayerIntegratedGradients(batch.forward, list(points)).attribute(
        x, baselines=batch.baseline, target=1, additional_forward_args=batch.others, n_steps=STEPS.get(name, 100),
        return_convergence_delta=True,
    )  # fmt: skip
    with torch.no_grad(), deterministic_multinomial():
        end = batch.forward(*batch.inputs.values())[:, 1]
        with xai_nlp.hooks.edit({p: (lambda _, s=s: s) for p, s in starts.items()}):
            expected = end - batch.forward(*batch.inputs.values())[:, 1]
    assert [s.shape for s in scores] == [s.shape for s in starts.values()]
    torch.testing.assert_close(sum(s.sum((1, 2, 3)) for s in scores), expected, atol=1e-6, rtol=0)
    assert delta.abs().max() < 1e-6


#: Face -> the options of one call; a neuron's selector is added for neuron faces.
LAYER_FACES = {
    "LayerActivation": {},
    "LayerGradientXActivation": {"target": 1},
    "LayerConductance": {"target": 1, "baselines": True, "n_steps": 4, "embeddings": True},
    "InternalInfluence": {"target": 1, "baselines": True, "n_steps": 4, "embeddings": True},
    "LayerIntegratedGradients": {"target": 1, "baselines": True, "n_steps": 4},
    "LayerGradCam": {"target": 1},
    "LayerFeatureAblation": {"target": 1},
}
NEURON_FACES = {
    "NeuronGradient": {},
    "NeuronIntegratedGradients": {"baselines": True, "n_steps": 4},
    "NeuronConductance": {"target": 1, "baselines": True, "n_steps": 4},
    "NeuronFeatureAblation": {},
}


def called(face, layer, embeddings=False, **options):
    """A face's scores on BERT; `embeddings` for faces whose inputs move or are scored, which token ids cannot."""
    batch = padded_batch("bert")
    x, start, forward, others = batch.inputs["input_ids"], batch.baseline, batch.forward, batch.others
    points = xai_nlp.points(batch.model)
    if embeddings:
        words = batch.model.get_input_embeddings()
        x, start = words(x).detach(), words(start).detach()

        def forward(vectors, types, mask):
            return batch.model(inputs_embeds=vectors, token_type_ids=types, attention_mask=mask).logits

    options = {k: start if v is True else v for k, v in options.items()}
    torch.manual_seed(0)
    return getattr(attr, face)(forward, layer(batch.model, points)).attribute(
        x, additional_forward_args=others, **options
    )


@pytest.mark.parametrize("face", [*LAYER_FACES, *NEURON_FACES])
def test_the_point_of_a_layer_equals_its_module(face):
    options = LAYER_FACES.get(face) or NEURON_FACES.get(face) or {}
    if face in NEURON_FACES:
        options = {**options, "neuron_selector": (1, 3), "embeddings": True}
    if face == "NeuronFeatureAblation":
        options["feature_mask"] = torch.arange(35).view(1, 35, 1)
    if face == "LayerFeatureAblation":
        options["layer_mask"] = torch.arange(35).view(1, 35, 1)
    at_point = called(face, lambda model, points: points.layers[0], **options)
    at_module = called(face, lambda model, points: model.bert.encoder.layer[0], **options)
    at_path = called(face, lambda model, points: points["bert.encoder.layer.0"], **options)
    assert torch.equal(at_point, at_module) and torch.equal(at_path, at_module)
    assert at_point.abs().max() > 1e-6


@pytest.mark.parametrize("face", [*LAYER_FACES, *NEURON_FACES])
def test_every_face_takes_an_attention_matrix(face):
    options = LAYER_FACES.get(face) or NEURON_FACES.get(face) or {}
    if face in NEURON_FACES:
        options = {**options, "neuron_selector": (2, 0, 3), "embeddings": True}
    if face == "NeuronFeatureAblation":
        options["feature_mask"] = torch.arange(35).view(1, 35, 1)
    if face == "LayerFeatureAblation":
        options["layer_mask"] = torch.arange(4).view(1, 4, 1, 1)
    scores = called(face, lambda model, points: points.attention[1], **options)
    batch = padded_batch("bert")
    matrix = moved(batch, xai_nlp.points(batch.model).attention[1], batch.inputs["input_ids"])
    if face in NEURON_FACES:
        assert scores.shape == (2, 35, 32)
    else:
        assert scores.shape == ((2, 1, 35, 35) if face == "LayerGradCam" else matrix.shape)
    assert scores.isfinite().all() and scores.abs().max() > 1e-9


def test_scores_of_an_attention_matrix_by_hand():
    batch = padded_batch("bert")
    point, x = xai_nlp.points(batch.model).attention[1], batch.inputs["input_ids"]
    assert torch.equal(called("LayerActivation", lambda model, points: points.attention[1]), moved(batch, point, x))
    with xai_nlp.hooks.capture(point) as captured:
        logits = batch.forward(x, *batch.others)
    (slope,) = torch.autograd.grad(logits[:, 1].sum(), captured[point])
    scores = called("LayerGradientXActivation", lambda model, points: points.attention[1], target=1)
    torch.testing.assert_close(scores, slope * captured[point].detach(), atol=1e-12, rtol=0)
    heads = called(
        "LayerFeatureAblation", lambda model, points: points.attention[1], target=1,
        layer_mask=torch.arange(4).view(1, 4, 1, 1),
    )  # fmt: skip
    for head in range(4):
        start = moved(batch, point, x)
        start[:, head] = 0
        torch.testing.assert_close(heads[:, head, 0, 0], fallen(batch, point, start), atol=1e-12, rtol=0)


def test_neurons_of_an_attention_matrix_by_hand():
    batch = padded_batch("bert")
    vectors = batch.model.get_input_embeddings()(batch.inputs["input_ids"]).detach().requires_grad_()
    types, mask = batch.others
    point = xai_nlp.points(batch.model).attention[1]
    with xai_nlp.hooks.capture(point) as captured:
        batch.model(inputs_embeds=vectors, token_type_ids=types, attention_mask=mask)
    (slope,) = torch.autograd.grad(captured[point][:, 2, 0, 3].sum(), vectors)
    options = {"neuron_selector": (2, 0, 3), "embeddings": True}
    scores = called("NeuronGradient", lambda model, points: points.attention[1], **options)
    torch.testing.assert_close(scores, slope, atol=1e-12, rtol=0)


def test_an_attention_matrix_has_no_input_side():
    batch = padded_batch("bert")
    method = attr.LayerIntegratedGradients(batch.forward, xai_nlp.points(batch.model).attention[1])
    with pytest.raises(CaptumAssertion, match=r"the attention of .* is one tensor, without an input side"):
        method.attribute(
            batch.inputs["input_ids"], target=1, additional_forward_args=batch.others, attribute_to_layer_input=True
        )
