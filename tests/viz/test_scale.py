"""The colour scale: zero is white, signs apart, text readable on every strength in both themes."""

import pytest

from xai_nlp.viz.scale import STEPS, THEMES, contrast, peak, step, strength


def test_contrast_of_black_on_white_by_definition():
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)


@pytest.mark.parametrize("name", THEMES)
def test_text_is_readable_on_every_strength(name):
    theme = THEMES[name]
    for k in range(-STEPS, STEPS + 1):
        assert contrast(theme.ink, theme.colour(k, STEPS)) >= 4.5
    for background in (theme.card, theme.page):
        assert contrast(theme.soft, background) >= 4.5
        assert contrast(theme.accent, background) >= 4.5


@pytest.mark.parametrize("name", THEMES)
def test_zero_has_no_colour_and_signs_differ(name):
    theme = THEMES[name]
    assert theme.colour(0, 1) == theme.card
    assert theme.colour(1, 1) == theme.positive != theme.negative == theme.colour(-1, 1)


def test_strength_by_hand():
    assert peak([0.5, -2, 1]) == 2
    assert peak([]) == 0
    assert strength(-1, 2) == 0.5
    assert strength(0, 0) == 0
    assert step(2, 2) == STEPS
