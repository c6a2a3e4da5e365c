"""Inputs with features that a reader would name, against Captum's."""

import random
from typing import Any

import pytest
import torch
from hypothesis import given
from PIL import Image

import xai_nlp.attr as ours
from tests.attr.gradient_cases import quick
from tests.attr.helper_cases import BOTH, drawn, seeds
from tests.models.tiny import tiny

WORDS = ["", "no", "one", "knows", "{a}", "why", "Ελλάδα"]


@given(seeds)
@quick
def test_templates(seed):
    dice = drawn(seed)
    n, named = dice.randint(1, 5), dice.random() < 0.5
    gaps = [f"{{g{i}}}" if named else "{}" for i in range(n)]
    template: Any = " ".join(dice.choice(WORDS[:4]) + gap for gap in gaps)
    if dice.random() < 0.3:
        template = (lambda **gaps: "|".join(sorted(gaps.values()))) if named else (lambda *gaps: "|".join(gaps))
    shaped: Any = (lambda items: {f"g{i}": item for i, item in enumerate(items)}) if named else list
    values, others = (shaped(dice.choices(WORDS, k=n)) for _ in range(2))
    baselines = dice.choice([None, others, lambda: others])
    mask = dice.choice([None, shaped([dice.randint(0, 3) for _ in range(n)])])
    captums, ours_input = (lib.TextTemplateInput(template, values, baselines, mask) for lib in BOTH)
    assert torch.equal(ours_input.to_tensor(), captums.to_tensor())
    assert (ours_input.n_itp_features, ours_input.n_features, ours_input.values) == (
        captums.n_itp_features,
        captums.n_features,
        captums.values,
    )
    assert ours_input.to_model_input() == captums.to_model_input()
    present = (torch.rand(1, ours_input.n_itp_features) < 0.5).float()
    assert ours_input.to_model_input(present) == captums.to_model_input(present)
    scores = torch.randn(dice.randint(1, 3), ours_input.n_itp_features)
    assert torch.equal(ours_input.format_attr(scores), captums.format_attr(scores))


@given(seeds)
@quick
def test_tokens(seed):
    dice = drawn(seed)
    _, tokenizer = tiny("bert")
    text = " ".join(dice.choices(["good", "film", "bad", "the", "a", "acting"], k=dice.randint(1, 6)))
    ids = tokenizer.encode(text)
    some = dice.sample(ids, k=dice.randint(1, len(ids) - 1)) if len(set(ids)) > 2 else ids[:1]
    skip = dice.choice([None, some, tokenizer.convert_ids_to_tokens(some)])
    if skip and set(ids) == set(some):
        skip = None
    baselines = dice.choice([0, 3, tokenizer.convert_ids_to_tokens([5])[0]])
    captums, ours_input = (lib.TextTokenInput(text, tokenizer, baselines, skip) for lib in BOTH)
    assert ours_input.values == captums.values
    assert (ours_input.n_itp_features, ours_input.baselines) == (captums.n_itp_features, captums.baselines)
    assert torch.equal(ours_input.to_tensor(), captums.to_tensor())
    assert torch.equal(ours_input.to_model_input(), captums.to_model_input())
    present = torch.randint(0, 2, (dice.randint(1, 3), ours_input.n_itp_features))
    assert torch.equal(ours_input.to_model_input(present), captums.to_model_input(present))
    scores = torch.randn(2, ours_input.n_itp_features)
    assert torch.equal(ours_input.format_attr(scores), captums.format_attr(scores))


@given(seeds)
@quick
def test_images(seed):
    dice = drawn(seed)
    width, height = dice.randint(1, 6), dice.randint(2, 6)  # Captum takes the mask of one pixel for a number
    image = Image.frombytes("RGB", (width, height), bytes(dice.choices(range(256), k=3 * width * height)))
    how = dice.choice(["whole", "regions", "overlapping"])
    masks: dict[str, Any] = {
        "whole": {},
        "regions": {"mask": torch.randint(-1, 4, (height, width)) * 3},
        "overlapping": {"mask_list": [torch.rand(height, width) < 0.5 for _ in range(dice.randint(1, 3))]},
    }[how]
    if dice.random() < 0.5:
        masks["processor_fn"] = lambda image: torch.tensor(list(image.tobytes()))
    if dice.random() < 0.5:
        masks["baseline"] = (1, 2, 3)
    captums, ours_input = (lib.ImageMaskInput(image, **masks) for lib in BOTH)
    assert torch.equal(ours_input.to_tensor(), captums.to_tensor())
    assert (ours_input.values, ours_input.mask_id_to_idx) == (captums.values, captums.mask_id_to_idx)
    present = (torch.rand(1, ours_input.n_itp_features) < 0.5).float()
    for features in (None, present):
        got, expected = ours_input.to_model_input(features), captums.to_model_input(features)
        assert torch.equal(got, expected) if isinstance(got, torch.Tensor) else got.tobytes() == expected.tobytes()
    for got, expected in zip(ours_input.get_mask_list(), captums.get_mask_list(), strict=True):
        assert torch.equal(got, expected)
    scores = torch.randn(1, ours_input.n_itp_features)
    assert torch.equal(ours_input.format_attr(scores), captums.format_attr(scores))
    torch.testing.assert_close(ours_input.format_pixel_attr(scores), captums.format_pixel_attr(scores))


@pytest.mark.parametrize(("border", "legends"), [(0, True), (1, False), (2, True)])
def test_regions_drawn(border, legends):
    """As many pictures and words as Captum draws; colours are ours, and the same every time."""
    import matplotlib.pyplot as plt

    image = Image.new("RGB", (6, 5), (10, 200, 30))
    mask = torch.arange(30).view(5, 6) // 10
    drawn = [lib.ImageMaskInput(image, mask).plot_mask_overlay(False, border, legends) for lib in (*BOTH, ours)]
    pictures = [(len(ax.images), [text.get_text() for text in ax.texts]) for _, ax in drawn]
    assert pictures[0] == pictures[1]
    assert all(
        (a.get_array() == b.get_array()).all() for a, b in zip(drawn[1][1].images, drawn[2][1].images, strict=True)
    )
    assert (drawn[1][1].images[1].get_array()[..., 3] > 0).sum() == 10
    plt.close("all")


@given(seeds)
@quick
def test_products_of_baselines(seed):
    dice = drawn(seed)
    lists: Any = [dice.choices(range(100), k=dice.randint(1, 4)) for _ in range(dice.randint(1, 4))]
    if dice.random() < 0.7:
        lists = {f"f{i}": values for i, values in enumerate(lists)}
        if dice.random() < 0.5:
            lists["a", "b"] = [(1, 2), (3, 4), (5, 6)]
    captums, ours_input = (lib.ProductBaselines(lists) for lib in BOTH)
    found = []
    for products in (captums, ours_input):
        random.seed(seed)
        found.append([products(), products.sample(), products()])
    assert found[0] == found[1]


REFUSED_INTERPRETABLE = {
    "values": lambda lib: lib.TextTemplateInput("{}", "text"),
    "template": lambda lib: lib.TextTemplateInput(3, ["a"]),
    "baselines": lambda lib: lib.TextTemplateInput("{a}", {"a": "x"}, ["y"]),
    "called baselines": lambda lib: lib.TextTemplateInput("{}", ["x"], lambda: {"a": "y"}).to_model_input(
        torch.zeros(1, 1)
    ),
    "mask": lambda lib: lib.TextTemplateInput("{a}", {"a": "x"}, None, [0]),
    "image mask": lambda lib: lib.ImageMaskInput(Image.new("RGB", (2, 3)), torch.zeros(2, 3)),
    "image masks": lambda lib: lib.ImageMaskInput(Image.new("RGB", (2, 3)), mask_list=[torch.zeros(2, 3)]),
}


@pytest.mark.parametrize("why", sorted(REFUSED_INTERPRETABLE))
def test_interpretable_refuses_what_captum_refuses_with_an_error_of_its_type(why):
    for lib in BOTH:
        with pytest.raises(AssertionError):
            REFUSED_INTERPRETABLE[why](lib)


def test_interpretable_inputs_are_abstract():
    for lib in BOTH:
        with pytest.raises(TypeError):
            lib.InterpretableInput()
