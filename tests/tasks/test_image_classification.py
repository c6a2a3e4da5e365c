"""Image classification: five architectures at tiny size, against plain passes and Captum."""

import copy
from dataclasses import replace

import captum.attr as captum
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import xai_nlp
from tests.models.tiny_images import ARCHITECTURES, LABELS, ONE_SCALE, PATCH, SIDE, loaded
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS
from xai_nlp.models.images import baseline_image
from xai_nlp.tasks.image_classification import ImageClassificationExplainer

PIXELS = np.arange(SIDE * SIDE).reshape(SIDE, SIDE)  # each pixel is a region
SMOOTH = [name for name in ARCHITECTURES if name != "resnet"]  # its ReLU and its pooling have corners


def explainer_of(name, dtype=None):
    model_and_processor = loaded(name)
    if dtype is not None:
        model_and_processor = replace(model_and_processor, model=copy.deepcopy(model_and_processor.model).to(dtype))
    return ImageClassificationExplainer(model_and_processor)


@pytest.fixture(scope="module")
def square():
    """An image of the size that the processor gives."""
    return Image.fromarray(np.random.default_rng(3).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))


class Logits(nn.Module):
    """A classifier as Captum takes it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        return self.model(pixel_values=pixels).logits


def ends(explainer, image, baseline="grey"):
    """The pixels of an image and of its baseline: (1, 3, SIDE, SIDE) each."""
    family, start = explainer.family, baseline_image(image, baseline)
    return family.image_inputs(image)["pixel_values"], family.image_inputs(start)["pixel_values"]


# Scores --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_scores_of_regions_add_up(name, image):
    """To 1e-6 in float64 where activations are smooth; by default within 1 %."""
    explainer = explainer_of(name, torch.float64)
    why = explainer.explain(image, steps=200, rule="gauss_legendre")
    assert (why.segments, why.tokens, why.scores) == ((), (), ())
    assert abs(why.residual) < (1e-6 if name in SMOOTH else 1e-2) * max(1, abs(why.explained))
    usual = explainer_of(name).explain(image)
    assert abs(usual.residual) <= 0.0101 * max(abs(usual.explained), 0.05)
    assert usual.shares == {"text": 0, "image": 1}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_deeplift_shares_out_the_change(name, image):
    why = explainer_of(name, torch.float64).explain(image, method="deep_lift")
    assert abs(why.residual) < 1e-10


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"attention_norms"}))
def test_every_method_scores_regions_or_is_refused(name, method, image):
    explainer = explainer_of(name)
    if METHODS[method].operates_on == "attention" and name not in ONE_SCALE:
        with pytest.raises(Unsupported, match=f"reads attention over the whole image, which {name} does not compute"):
            explainer.explain(image, method=method)
        return
    why = explainer.explain(image, method=method, regions=4)
    assert why.image.grid == (3, 4) and np.isfinite(why.image.scores).all() and np.any(why.image.scores)
    assert why.attention == {}
    if why.complete:
        assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("layer", [0, 1])
def test_scores_of_a_layer_add_up(name, layer, image):
    why = explainer_of(name, torch.float64).explain(image, layer=layer)
    assert abs(why.residual) <= 0.0101 * max(abs(why.explained), 0.05)


def test_occlusion_is_the_loss_of_plain_passes(square):
    """By a mask, against one pass for each of its segments, and against Captum's feature ablation."""
    explainer = explainer_of("resnet", torch.float64)
    mask = np.indices((SIDE, SIDE)).sum(0) // 20
    why = explainer.explain(square, method="occlusion", regions=mask, target="dog")
    x, start = ends(explainer, square)
    model = Logits(explainer.model)
    with torch.no_grad():
        whole = model(x)[0, 1]
        losses = [
            float(whole - model(torch.where(torch.from_numpy(mask == r), start, x))[0, 1])
            for r in range(mask.max() + 1)
        ]
    assert why.image.scores == pytest.approx(losses, abs=1e-10)
    assert why.value == pytest.approx(float(whole), abs=1e-10)
    theirs = captum.FeatureAblation(model).attribute(
        x, baselines=start, target=1, feature_mask=torch.from_numpy(mask)[None, None]
    )
    assert [float(theirs[0, 0][mask == r][0]) for r in range(mask.max() + 1)] == pytest.approx(losses, abs=1e-10)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_integrated_gradients_of_pixels_are_captums(name, square):
    explainer = explainer_of(name, torch.float64)
    why = explainer.explain(square, steps=20, rule="middle", regions=PIXELS, target="cat")
    x, start = ends(explainer, square)
    theirs = captum.IntegratedGradients(Logits(explainer.model)).attribute(
        x, baselines=start, target=0, n_steps=20, method="riemann_middle"
    )
    np.testing.assert_allclose(why.image.scores, theirs.sum(1).flatten().detach(), atol=1e-7)


@pytest.mark.filterwarnings("default")  # Captum warns of what it does to inputs and hooks
def test_deeplift_of_pixels_is_captums(square):
    """But for overlapping windows of max pooling, where Captum's sum misses by 6e-5 and ours by rounding."""
    explainer = explainer_of("resnet", torch.float64)
    model = explainer.model
    model.resnet.embedder.pooler = nn.AvgPool2d(2)
    for module in model.modules():  # Captum refuses a module that runs twice
        for child, layer in module.named_children():
            if isinstance(layer, nn.ReLU):
                setattr(module, child, nn.ReLU())
    why = explainer.explain(square, method="deep_lift", regions=PIXELS, target="cat")
    x, start = ends(explainer, square)
    theirs = captum.DeepLift(Logits(model)).attribute(x, baselines=start, target=0)
    np.testing.assert_allclose(why.image.scores, theirs.sum(1).flatten().detach(), atol=1e-8)


# Grad-CAM ------------------------------------------------------------------------------------------------------------


class Places(nn.Module):
    """Gives out what it takes in: a place for Captum's hook, in the layout of a convolution."""

    def forward(self, x):
        return x


class WithPlaces(nn.Module):
    """A block whose sequence passes a module as a map (B, D, rows, columns) on its way."""

    def __init__(self, block, patches):
        super().__init__()
        self.block, self.patches, self.places = block, patches, Places()

    def forward(self, hidden, *args, **kwargs):
        output = self.block(hidden, *args, **kwargs)
        first = output[0] if isinstance(output, tuple) else output
        whole, patches = first[:, : -self.patches], first[:, -self.patches :]
        side = int(self.patches**0.5)
        there = self.places(patches.transpose(1, 2).unflatten(2, (side, side))).flatten(2).transpose(1, 2)
        joined = torch.cat([whole, there], 1)
        return (joined, *output[1:]) if isinstance(output, tuple) else joined


def layer_of_captums(name, model):
    """The model, and the layer that Grad-CAM should choose in it, as Captum takes it."""
    if name in ("resnet", "convnext"):
        return model.base_model.encoder.stages[-1]
    blocks = model.base_model.encoder.layers[-1].blocks if name == "swin" else model.base_model.layers
    place = -1 if name == "swin" else -2  # ViT and DeiT read the class token alone after the last block
    blocks[place] = WithPlaces(blocks[place], 16)
    return blocks[place].places


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("positive", [True, False])
def test_grad_cam_is_captums_map_interpolated(name, positive, square):
    explainer = explainer_of(name, torch.float64)
    why = explainer.explain(square, method="grad_cam", regions=PIXELS, positive=positive, target="cat")
    x, _ = ends(explainer, square)
    model = copy.deepcopy(explainer.model)
    cam = captum.LayerGradCam(Logits(model), layer_of_captums(name, model)).attribute(
        x, target=0, relu_attributions=positive
    )
    pixels = captum.LayerAttribution.interpolate(cam, (SIDE, SIDE), "bilinear")
    assert np.ptp(why.image.scores) > 0
    np.testing.assert_allclose(why.image.scores, pixels.flatten().detach(), atol=1e-9)


def test_grad_cam_of_a_region_is_the_mean_of_its_pixels(square):
    explainer = explainer_of("resnet", torch.float64)
    pixels = explainer.explain(square, method="grad_cam", regions=PIXELS).image.scores
    quarters = explainer.explain(square, method="grad_cam", regions=2).image.scores
    half = SIDE // 2
    means = np.reshape(pixels, (2, half, 2, half)).mean((1, 3)).flatten()
    assert quarters == pytest.approx(means)


def test_grad_cam_can_be_asked_of_another_layer(square):
    explainer = explainer_of("convnext")
    last, same, first = (
        explainer.explain(square, method="grad_cam", regions=4, **options)
        for options in ({}, {"layer": 1}, {"layer": 0})
    )
    assert last.image.scores == same.image.scores != first.image.scores


# Targets and regions -------------------------------------------------------------------------------------------------


def test_labels_are_chosen_by_name_index_and_contrast(square):
    explainer = explainer_of("vit", torch.float64)
    shown = explainer.predict(square)
    assert sum(shown.values()) == pytest.approx(1) and list(shown) == list(LABELS.values())
    why = explainer.explain(square, method="occlusion")
    assert why.target.label == why.prediction == max(shown, key=shown.get)
    dog, star, both, by_index = (
        explainer.explain(square, method="occlusion", target=target)
        for target in ("dog", "star-fish", "dog-star-fish", 1)
    )
    assert np.subtract(dog.image.scores, star.image.scores) == pytest.approx(np.array(both.image.scores))
    assert (both.target.label, both.target.contrast) == ("dog", "star-fish") and by_index.target == dog.target
    one, other = explainer.explain([square, square], method="occlusion", target=["dog", "star-fish"])
    for listed, alone in ((one, dog), (other, star)):
        assert listed.image.scores == pytest.approx(alone.image.scores, abs=1e-10)


@pytest.mark.parametrize("name", ONE_SCALE)
def test_patches_are_the_models(name, image):
    assert explainer_of(name).explain(image, method="saliency").image.grid == (SIDE // PATCH, SIDE // PATCH)


@pytest.mark.parametrize("baseline", ["black", "blur", "noise"])
def test_the_baseline_is_another_image(baseline, square):
    explainer = explainer_of("convnext", torch.float64)
    why = explainer.explain(square, image_baseline=baseline, method="deep_lift")
    _, start = ends(explainer, square, baseline)
    with torch.no_grad():
        expected = Logits(explainer.model)(start)[0, why.target.position]
    assert why.baseline == baseline and why.baseline_value == pytest.approx(float(expected), abs=1e-10)


# Promises ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_neither_order_nor_company_changes_scores_and_the_model_comes_back(name, image, square):
    explainer = explainer_of(name, torch.float64)
    before = fingerprint(explainer.model)
    images = [image, np.asarray(square), image[::-1].copy()]
    together = explainer.explain(images, steps=12)
    turned = explainer.explain(images[::-1], steps=12)
    for one, why, again in zip(images, together, list(turned)[::-1], strict=True):
        alone = explainer.explain(one, steps=12)
        assert why.image.scores == pytest.approx(alone.image.scores, abs=1e-10)
        assert why.image.scores == pytest.approx(again.image.scores, abs=1e-10)
    explainer.explain(images, method="grad_cam", batch_size=1)
    assert fingerprint(explainer.model) == before


def test_tables_and_broken_images(square, tmp_path):
    """Columns hold images and right labels; one image that cannot be read does not stop the others."""
    explainer = explainer_of("convnext")
    table = {"img": [square, square], "label": ["dog", "cat"]}
    assert [why.gold for why in explainer.explain_table(table, method="saliency")] == [("dog",), ("cat",)]
    whys = explainer.explain([square, b"no image", square], target=["dog", "dog", "cat"], on_error="record")
    assert [why.target.label for why in whys] == ["dog", "cat"] and list(whys.errors) == [1]


def test_a_half_precision_model_is_explained(square):
    why = explainer_of("vit", torch.bfloat16).explain(square)
    exact = explainer_of("vit", torch.float32).explain(square, target=why.target.label)
    assert np.corrcoef(why.image.scores, exact.image.scores)[0, 1] > 0.95


def test_an_explanation_survives_a_file(square, tmp_path):
    why = explainer_of("resnet").explain(square)
    why.save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == why
    assert why.words() == why
    assert "256 regions; 'row" in repr(why)


def test_a_page_speaks_of_regions(square):
    why = explainer_of("resnet").explain([square, np.asarray(square)[::-1].copy()] * 3)
    page = why._repr_html_()
    assert "regions speak for what is explained" in page and "region" in page
    for text in ("words for", "strongest word is", "Strongest words"):
        assert text not in page


@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ({"baseline": "pad"}, InvalidInput, "image_baseline"),
        ({"parts": True}, InvalidInput, "parts=True shows words"),
        ({"layers": True}, InvalidInput, "layers=True shows words"),
        ({"attention": True}, InvalidInput, "attention=True shows words"),
        ({"target": "horse"}, UnknownName, "unknown label 'horse'"),
        ({"target": ["cat", "dog"]}, InvalidInput, "1 images need as many targets"),
        ({"regions": "dots"}, InvalidInput, "regions are"),
        ({"image_baseline": "pink"}, UnknownName, "image baseline"),
        ({"layer": 9}, UnknownName, "Layers are counted from 0"),
        ({"image": "https://example.org/a.png"}, InvalidInput, "is no file"),
        ({"image": []}, InvalidInput, "the list of image is empty"),
    ],
)
def test_bad_input_is_refused(what, error, match, square):
    options = {"image": square, **what}
    with pytest.raises(error, match=match):
        explainer_of("swin").explain(**options)


def test_a_model_needs_its_processor():
    with pytest.raises(InvalidInput, match="needs its processor"):
        xai_nlp.load(loaded("vit").model)
    explainer = xai_nlp.load(loaded("vit").model, processor=loaded("vit").processor)
    assert isinstance(explainer, ImageClassificationExplainer)
