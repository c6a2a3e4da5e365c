"""The colour scale: zero is white, signs apart, text readable on every strength in both themes."""

import pytest

from tests.viz.contrast import contrast
from xai_nlp.viz.text.scale import DARK, LIGHT, STEPS, THEMES, css, hexadecimal, peak, step, strength


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


@pytest.mark.parametrize("name", THEMES)
def test_bars_stand_out_from_their_card(name):
    theme = THEMES[name]
    for line in (theme.positive_line, theme.negative_line, theme.accent):
        assert contrast(line, theme.card) >= 3  # WCAG 2.2, 1.4.11: graphics


@pytest.mark.parametrize("name", THEMES)
def test_colours_grow_steadily_with_strength(name):
    theme = THEMES[name]
    for sign in (1, -1):
        away = [contrast(theme.colour(sign * k, STEPS), theme.card) for k in range(STEPS + 1)]
        assert away == sorted(away)
        assert away[-1] > 1.5


def test_a_mix_by_hand():
    assert LIGHT.colour(0.5, 1.0) == (251, 204, 160)  # halfway from white to (247, 152, 66), halves to even
    assert LIGHT.colour(-1.0, 1.0) == LIGHT.negative
    assert LIGHT.faded_line(0.0, 1.0) == LIGHT.card
    assert hexadecimal((1, 35, 255)) == "#0123ff"


def test_the_stylesheet_says_the_same_colours():
    text = css("box")
    assert ".box .a37{--a:0.37}" in text
    for theme in THEMES.values():
        assert "--for:{} {} {};".format(*theme.positive) in text
        assert "--against:{} {} {};".format(*theme.negative) in text
    dark = "--card:{} {} {};".format(*DARK.card)
    # paper is white: dark colours are for screens only
    assert all("@media screen" in before.rsplit("}}", 1)[-1] for before in text.split(dark)[:-1])
