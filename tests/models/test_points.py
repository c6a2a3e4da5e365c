"""The named hook points of six families, under sdpa and eager, on a padded batch: captured, edited, handed back."""

import copy

import pytest
import torch
from torch import nn

import xai_nlp
from tests.models.padded_batches import CASES, HAS_SDPA, PROJECTIONS, TEXTS, padded_batch
from tests.models.tiny import tiny
from tests.models.tiny_vision_language import loaded
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks import ModulePoint
from xai_nlp.hooks.deterministic import deterministic_multinomial
from xai_nlp.hooks.model_state import fingerprint

CLOSE = {"atol": 1e-12, "rtol": 1e-12}
ROUNDED = {"atol": 1e-6, "rtol": 1e-6}  # Llama computes norms and rotations in float32


def eager_copy(model):
    """A copy of the model with its own eager attention."""
    other = copy.deepcopy(model)
    other.set_attn_implementation("eager")
    return other


def own_attentions(batch):
    """What the family's own eager attention reports: encoder or only stack, cross and decoder attention."""
    with torch.no_grad(), deterministic_multinomial():
        out = eager_copy(batch.model)(**batch.inputs, output_attentions=True)
    if "encoder_attentions" in out:
        return out.encoder_attentions, out.cross_attentions, out.decoder_attentions
    return out.attentions, (), ()


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize(("name", "attention"), CASES)
def test_embeddings_and_attention_are_captured(name, attention, gradients):
    batch = padded_batch(name, attention)
    model, inputs = batch.model, batch.inputs
    before, points = fingerprint(model), xai_nlp.points(model)
    matrices = (*points.attention, *points.cross_attention, *points.decoder_attention)
    with torch.set_grad_enabled(gradients):
        with xai_nlp.hooks.capture(points.embeddings, *matrices) as captured:
            logits = model(**inputs).logits
    B, L = inputs["input_ids"].shape
    assert captured[points.embeddings].shape == (B, L, 32)
    for point, expected in zip(matrices, sum(own_attentions(batch), ()), strict=True):
        probabilities = captured[point]
        assert probabilities.shape == expected.shape == (B, 4, *expected.shape[2:])
        torch.testing.assert_close(probabilities.sum(-1), torch.ones(expected.shape[:3]).double(), **CLOSE)
        assert (probabilities > 0).any(-1).all()
        torch.testing.assert_close(probabilities, expected, **(ROUNDED if name == "llama" else CLOSE))
        assert probabilities.requires_grad == gradients
    for point in points.attention:
        assert captured[point].movedim(3, 1)[~batch.real].eq(0).all()  # masked keys, for every head and query
        assert captured[point].movedim(3, 1)[batch.real].any()
    if gradients:
        for gradient in torch.autograd.grad(logits[:, 1].sum(), [captured[p] for p in (points.embeddings, *matrices)]):
            assert gradient.abs().max() > 1e-6
    assert fingerprint(model) == before


@pytest.mark.parametrize(("name", "attention"), CASES)
@torch.no_grad()
def test_an_edit_that_drops_a_head_equals_a_projection_without_its_columns(name, attention):
    batch = padded_batch(name, attention)
    before, points = fingerprint(batch.model), xai_nlp.points(batch.model)
    plain = batch.model(**batch.inputs).logits

    def drop_head_2(probabilities):
        changed = probabilities.clone()
        changed[:, 2] = 0
        return changed

    with xai_nlp.hooks.edit({points.attention[1]: drop_head_2}):
        edited = batch.model(**batch.inputs).logits
    without = eager_copy(batch.model)
    weight = without.get_submodule(PROJECTIONS[name].format(1)).weight
    columns = weight.T if name == "gpt2" else weight  # (D, H · E); GPT-2 keeps its own transposed
    columns[:, 16:24] = 0
    expected = without(**batch.inputs).logits
    torch.testing.assert_close(edited, expected, **(ROUNDED if name == "llama" else {"atol": 1e-10, "rtol": 1e-10}))
    assert (edited - plain).abs().max() > 1e-4
    assert fingerprint(batch.model) == before
    with xai_nlp.hooks.edit({points.attention[1]: lambda probabilities: None}):
        torch.testing.assert_close(batch.model(**batch.inputs).logits, plain, **ROUNDED)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_the_model_is_handed_back_when_an_edit_or_the_model_fails(name, attention):
    batch = padded_batch(name, attention)
    before, points = fingerprint(batch.model), xai_nlp.points(batch.model)

    def fail(tensor):
        raise ZeroDivisionError

    places = (points.attention[0], points.layers[1], points.embeddings)
    for point in places:
        with pytest.raises(ZeroDivisionError), xai_nlp.hooks.edit({point: fail}):
            batch.model(**batch.inputs)
        with pytest.raises(ZeroDivisionError), xai_nlp.hooks.capture(*places), xai_nlp.hooks.edit({point: fail}):
            batch.model(**batch.inputs)
        assert fingerprint(batch.model) == before
    with pytest.raises(InvalidInput, match=r"edit returned|must agree"):
        with xai_nlp.hooks.edit({points.attention[0]: lambda p: p[:, :1], points.layers[0]: lambda h: h[:1]}):
            batch.model(**batch.inputs)
    assert fingerprint(batch.model) == before


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("name", [*HAS_SDPA, "t5", "albert"])
@torch.no_grad()
def test_every_pass_counts_with_the_head_and_without(name, whole):
    """Edits reach the second pass as they reach the first, and captured tensors are those of the last."""
    if name in HAS_SDPA:
        model, inputs = (batch := padded_batch(name)).model, batch.inputs
    else:
        model, tokenizer = tiny(name, fresh=True)
        inputs = dict(tokenizer(TEXTS, padding=True, return_tensors="pt"))
    points = xai_nlp.points(model)

    def run(**inputs):
        with deterministic_multinomial():  # ViLT's patches
            return (model if whole else model.base_model)(**inputs)

    def zeros(tensors):  # T5's layers give out hidden states and position biases
        return (tensors[0] * 0, *tensors[1:]) if isinstance(tensors, tuple) else tensors * 0

    if not whole and name in ("bart", "t5"):
        inputs["decoder_input_ids"] = inputs["input_ids"]
    places = [points.word, points.embeddings, points.layers[0], points.layers[-1], points.attention[0]]
    other = {key: tensor.flip(0) for key, tensor in inputs.items()}
    with xai_nlp.hooks.capture(*places) as once:
        run(**other)
    with xai_nlp.hooks.capture(*places) as twice:
        run(**inputs)
        run(**other)
    for point in places:
        torch.testing.assert_close(twice[point], once[point], atol=1e-6, rtol=1e-6)
    plain = run(**inputs)[0]
    for point in places[1:]:
        with xai_nlp.hooks.edit({point: zeros}):
            first, second = run(**inputs)[0], run(**inputs)[0]
        torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-6)
        assert (first - plain).abs().max() > 1e-3


@pytest.mark.parametrize("name", HAS_SDPA)
@torch.no_grad()
def test_names_hold_what_they_say(name):
    batch = padded_batch(name)
    model, inputs, points = batch.model, batch.inputs, xai_nlp.points(batch.model)
    with xai_nlp.hooks.capture(points.word, points.embeddings, *points.layers) as captured:
        hidden = model(**inputs, output_hidden_states=True)
    words = (model.get_encoder() if name == "bart" else model).get_input_embeddings()
    torch.testing.assert_close(captured[points.word], words(inputs["input_ids"]), **CLOSE)
    states = hidden.encoder_hidden_states if name == "bart" else hidden.hidden_states
    if name != "vilt":  # there the first hidden state holds the image as well
        torch.testing.assert_close(captured[points.embeddings], states[0], **CLOSE)
    torch.testing.assert_close(captured[points.layers[0]], states[1], **CLOSE)
    parts = [point for point in (points.word, points.position, points.types) if point is not None]
    assert len(parts) == {"bert": 3, "distilbert": 2, "gpt2": 2, "bart": 2, "vilt": 3, "llama": 1}[name]
    with xai_nlp.hooks.capture(*parts) as captured:
        model(**inputs)
    total = sum(captured[part] for part in parts)
    norm = {
        "bert": "embeddings.LayerNorm",
        "distilbert": "embeddings.LayerNorm",
        "vilt": "embeddings.text_embeddings.LayerNorm",
        "bart": "encoder.layernorm_embedding",
    }
    total = model.base_model.get_submodule(norm[name])(total) if name in norm else total
    with xai_nlp.hooks.capture(points.embeddings) as captured:
        model(**inputs)
    torch.testing.assert_close(total, captured[points.embeddings], **CLOSE)
    assert points.vision == ()
    assert (points.cross_attention != ()) == (points.decoder_attention != ()) == (name == "bart")


def test_where_an_image_has_a_side_of_its_own():
    points = xai_nlp.points(loaded("blip").model)
    assert len(points.vision) == 2 and all("vision_model" in point.name for point in points.vision)
    assert [point.stack for point in points.cross_attention] == ["image", "image", "cross", "cross"]
    assert all("vision" not in point.path for point in points.attention)


def test_layers_that_share_one_module_are_told_by_their_call():
    model, tokenizer = tiny("albert")
    points = xai_nlp.points(model)
    assert [point.call for point in points.attention] == [point.call for point in points.layers] == [0, 1, 2]
    with torch.no_grad(), xai_nlp.hooks.capture(*points.attention) as captured:
        out = eager_copy(model)  # the points belong to the model, not to its copy
        model(**tokenizer("a dull film", return_tensors="pt"))
        expected = out(**tokenizer("a dull film", return_tensors="pt"), output_attentions=True).attentions
    for point, matrix in zip(points.attention, expected, strict=True):
        torch.testing.assert_close(captured[point], matrix, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", HAS_SDPA)
def test_paths_count_from_the_model_or_from_the_model_without_its_head(name):
    model = padded_batch(name).model
    points = xai_nlp.points(model)
    path = points.layers[1].name
    assert points[path] == points.layers[1] == points[f"{model.base_model_prefix}.{path}"]
    with pytest.raises(UnknownName, match=f"Did you mean '.*{path}'"):
        points[f"{model.base_model_prefix}.{path.replace('layer', 'layr').replace('h.', 'hh.')}"]


def test_models_of_any_kind_have_points_by_path():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    points = xai_nlp.points(net)
    assert points["2"] == ModulePoint(net[2])
    assert points.embeddings is points.word is points.position is points.types is None
    assert points.layers == points.vision == ()
    assert repr(points) == "<Points of Sequential: modules by path>"
    for name in ("attention", "cross_attention"):
        with pytest.raises(Unsupported, match="attention of Sequential cannot be reached"):
            getattr(points, name)
    with pytest.raises(UnknownName, match="unknown module '3'"):
        points["3"]


def test_an_explainer_has_the_points_of_its_model(sentiment):
    points = xai_nlp.points(sentiment)
    assert points.model is sentiment.model
    assert points.layers == xai_nlp.points(sentiment.model).layers
    assert repr(points).endswith("word, position, types, embeddings, layers[0..2], attention[0..2]>")


@pytest.mark.parametrize("value", [None, "bert", lambda x: x])
def test_what_is_no_model_is_refused(value):
    with pytest.raises(InvalidInput, match="belong to a torch module or an explainer"):
        xai_nlp.points(value)
