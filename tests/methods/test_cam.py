"""Grad-CAM: by loops over channels and places, at layers with places and at layers with positions."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.tiny import tiny
from tests.models.tiny_vision_language import loaded
from xai_nlp.core.subject import MovableInput, Subject
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import find_method
from xai_nlp.methods.cam import GradCam
from xai_nlp.models.loading import LoadedModel
from xai_nlp.tasks.text_classification import TextClassificationExplainer
from xai_nlp.tasks.visual_question_answering import VisualQuestionAnsweringExplainer

B, C, SIDE = 3, 4, 5


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, C, 3), nn.Tanh(), nn.Flatten(), nn.Linear(C * 9, 2)).double()


def subject_of(net):
    x = torch.randn(B, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Subject(
        forward=lambda arguments, owner: net(arguments.get("x", x[owner])),
        read=lambda run, owner: run(),
        inputs={"x": MovableInput(x=(x,), baseline=(torch.zeros_like(x),))},
        examples=B,
    )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("summed", [False, True])
def test_a_layer_with_places_by_loops(net, positive, summed):
    subject = subject_of(net)
    problem = subject.problem(observe=[ModulePoint(net[0])])
    scores = GradCam(positive=positive, summed=summed).scores(problem)
    x = subject.inputs["x"].x[0]
    for b in range(B):
        hidden = net[0](x[b : b + 1]).detach().requires_grad_()
        for target in range(2):
            (gradient,) = torch.autograd.grad(net[1:](hidden)[0, target], hidden)
            maps = torch.stack([gradient[0, c].mean() * hidden[0, c].detach() for c in range(C)])
            expected = maps.sum(0, keepdim=True) if summed else maps
            expected = expected.clamp(min=0) if positive else expected
            torch.testing.assert_close(scores.tensors[0][b, target], expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(scores.value, net(x).detach())


@pytest.mark.parametrize("layer", [0, 1, None])
@pytest.mark.parametrize("positive", [False, True])
def test_a_layer_of_a_transformer_by_loops(layer, positive):
    """Without a layer, the middle one: of two, the first."""
    model, tokenizer = tiny("bert")
    why = explain(model, tokenizer, positive=positive, layer=layer)
    batch = tokenizer("a dull film", return_tensors="pt")
    point, hidden = model.bert.encoder.layer[layer or 0], []

    def keep(module, args, output):
        hidden.append((output[0] if isinstance(output, tuple) else output).detach().requires_grad_())
        return (hidden[0], *output[1:]) if isinstance(output, tuple) else hidden[0]

    handle = point.register_forward_hook(keep)
    (gradient,) = torch.autograd.grad(model(**batch).logits[0, 1], hidden)
    handle.remove()
    L, D = gradient.shape[1:]
    mean = [sum(float(gradient[0, s, d]) for s in range(L)) / L for d in range(D)]
    expected = [sum(mean[d] * float(hidden[0].detach()[0, s, d]) for d in range(D)) for s in range(L)]
    expected = [max(0.0, score) for score in expected] if positive else expected
    assert why.scores == pytest.approx(expected, abs=1e-5)
    assert any(expected) and why.baseline == "none"


def explain(model, tokenizer, *, layer, **options):
    explainer = TextClassificationExplainer(LoadedModel(model, tokenizer, "tiny", "text-classification", None))
    return explainer.explain("a dull film", method="grad_cam", target=1, layer=layer, **options)


@pytest.mark.parametrize(("family", "text_scores"), [("llava", False), ("vilt", True)])
def test_the_image_has_its_own_layer_where_it_has_a_side_of_its_own(family, text_scores):
    """There the question's words get nothing; in one sequence for both they get their share."""
    explainer = VisualQuestionAnsweringExplainer(loaded(family))
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    why = explainer.explain(image, "what colour is the star ?", method="grad_cam", answer="red", positive=False)
    assert any(why.scores) == text_scores and any(why.image.scores)


def test_a_subject_with_neither_layer_nor_points_is_refused_by_what_it_lacks(net):
    with pytest.raises(AssertionError):
        find_method("grad_cam").attribute(subject_of(net))


def test_packed_patches_of_one_example_are_one_sequence():
    """As Qwen's vision side gives them: (positions, channels), without a batch."""
    method = find_method("grad_cam", {"positive": False})
    site, gradient = torch.randn(6, 3), torch.randn(6, 1, 3)
    packed = method._map(site, gradient, 1)
    weights = gradient[:, 0].mean(0)
    torch.testing.assert_close(packed[0, 0, :, 0], site @ weights)
