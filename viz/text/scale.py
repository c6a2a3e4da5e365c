"""The colour scale: the sign gives the hue, |score| / peak the strength; zero has no colour.

Orange is for, blue is against: the two stay apart under every common colour blindness. A colour is mixed linearly in
sRGB between the card and the end of the scale, as CSS mixes an alpha over an opaque card. So the page, the terminal and
the figures show the same colour for the same number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

RGB = tuple[int, int, int]

#: Strengths a page can show. Its content policy allows no inline style, so each has a class, `a0` to `a100`.
STEPS = 100


@dataclass(frozen=True, kw_only=True)
class Theme:
    """The colours of one theme; text on any mix of `card` and an end of the scale keeps a contrast of 4.5 or more."""

    card: RGB  # under the tokens: strength 0
    ink: RGB  # the tokens themselves
    positive: RGB  # background at strength 1, for
    negative: RGB  # background at strength 1, against
    positive_line: RGB  # lines and bars, for
    negative_line: RGB  # lines and bars, against
    soft: RGB  # secondary text
    rule: RGB  # hairlines
    page: RGB  # around the cards
    accent: RGB  # the answer and its start, focus, links
    end: RGB  # the end of an answer

    def colour(self, score: float, peak: float) -> RGB:
        """The background of a token with this score, where the largest |score| is `peak`."""
        return mix(self.card, self.negative if score < 0 else self.positive, strength(score, peak))

    def line(self, score: float) -> RGB:
        """The colour of a bar or an underline with this sign."""
        return self.negative_line if score < 0 else self.positive_line

    def faded_line(self, score: float, peak: float) -> RGB:
        """The colour of the line under a token, as strong as the token's background."""
        return mix(self.card, self.line(score), strength(score, peak))


LIGHT = Theme(
    card=(255, 255, 255), ink=(27, 34, 45), positive=(247, 152, 66), negative=(104, 173, 240),
    positive_line=(184, 84, 12), negative_line=(22, 98, 172),
    soft=(86, 97, 113), rule=(226, 230, 236), page=(247, 247, 245), accent=(13, 110, 103), end=(126, 68, 160),
)  # fmt: skip
DARK = Theme(
    card=(24, 29, 36), ink=(240, 243, 247), positive=(171, 79, 14), negative=(30, 97, 166),
    positive_line=(255, 155, 84), negative_line=(110, 181, 255),
    soft=(160, 171, 185), rule=(45, 53, 64), page=(15, 18, 23), accent=(94, 234, 212), end=(206, 160, 240),
)  # fmt: skip
THEMES: Mapping[str, Theme] = {"light": LIGHT, "dark": DARK}


def peak(scores: Iterable[float]) -> float:
    """The largest |score|; 0 for none."""
    return max(map(abs, scores), default=0.0)


def strength(score: float, peak: float) -> float:
    """|score| / peak, in [0, 1]; 0 if the peak is 0.

    >>> strength(-1.5, 3.0), strength(1.0, 0.0)
    (0.5, 0.0)
    """
    return min(1.0, abs(score) / peak) if peak > 0 else 0.0


def sign_class(score: float) -> str:
    """The class of a number's sign: "p" for, "n" against, "z" exactly zero."""
    return "n" if score < 0 else "p" if score > 0 else "z"


def step(score: float, peak: float) -> int:
    """The strength in hundredths, which is the number of its class."""
    return round(STEPS * strength(score, peak))


def mix(start: RGB, end: RGB, amount: float) -> RGB:
    """The colour `amount` of the way from `start` to `end`.

    >>> mix((0, 0, 0), (200, 100, 50), 0.5)
    (100, 50, 25)
    """
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(start, end, strict=True))
    return red, green, blue


def hexadecimal(colour: RGB) -> str:
    """`#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def css(scope: str) -> str:
    """The scale as a stylesheet under the class `scope`: colours of both themes, and a class for each strength.

    JupyterLab, VS Code and Colab have themes that can differ from the system's; an attribute of an ancestor names them.
    Dark colours are for screens only, because paper is light.
    """
    light, dark = _variables(LIGHT, "light"), _variables(DARK, "dark")
    light_themes = ('[data-jp-theme-light="true"]', ".vscode-light", 'html[theme="light"]')
    dark_themes = ('[data-jp-theme-light="false"]', ".vscode-dark", 'html[theme="dark"]')
    rules = [
        f".{scope}{{{light}}}",
        f"@media screen and (prefers-color-scheme:dark){{.{scope}{{{dark}}}}}",
        f"@media screen{{{','.join(f'{theme} .{scope}' for theme in light_themes)}{{{light}}}",
        f"{','.join(f'{theme} .{scope}' for theme in dark_themes)}{{{dark}}}}}",
        *(f".{scope} .a{n}{{--a:{n / STEPS:g}}}" for n in range(STEPS + 1)),
    ]
    return "\n".join(rules) + "\n"


def _variables(theme: Theme, name: str) -> str:
    """The theme's colours as CSS variables, named after its fields."""
    values = [f"--{field.replace('_', '-')}:{r} {g} {b}" for field, (r, g, b) in vars(theme).items()]
    return f"color-scheme:{name};" + ";".join(values).replace("--positive", "--for").replace("--negative", "--against")
