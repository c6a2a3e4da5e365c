"""Number formats: signed and unsigned scores, percentages, counts, and numbers with their unit."""

from __future__ import annotations

import math

MINUS = "−"
SPACE = "\u00a0"  # keeps a number and its unit on one line


def signed(number: float, peak: float | None = None) -> str:
    """The number with its sign and as many decimals as show three digits of `peak`, or of itself.

    >>> signed(1.2345), signed(-0.04, peak=2.0), signed(0.0), signed(3e-9), signed(250.0), signed(2500.0)
    ('+1.23', '−0.04', '0', '+3.00e−9', '+250.0', '+2500')
    """
    if number == 0:
        return "0"
    return ("+" if number > 0 else MINUS) + unsigned(abs(number), peak)


def unsigned(number: float, peak: float | None = None) -> str:
    """`signed` without a sign, for numbers that are not negative."""
    if number == 0:
        return "0"
    size = math.floor(math.log10(abs(peak or number)))
    if not -5 < size < 6:
        mantissa, exponent = f"{number:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return f"{number:.{max(int(size < 3), 2 - size)}f}".replace("-", MINUS)


def brief(number: float, peak: float) -> str:
    """The number in few characters, for dense tables: no plus sign and no zero before the point.

    >>> brief(0.237, 0.9), brief(-0.04, 0.9), brief(1.5, 3.0)
    ('.24', '−.04', '1.50')
    """
    return signed(number, (peak if peak >= 1 else 10 * peak) or None).removeprefix("+").replace("0.", ".", 1)


def with_unit(number: str, unit: str) -> str:
    """The number and its unit, joined so that no line breaks between them."""
    return f"{number}{SPACE}{unit}" if unit else number


def percent(share: float) -> str:
    """The share as a percentage; only exact shares show as 0 % or 100 %.

    >>> percent(0.938), percent(0.00021), percent(0.99996), percent(0.0)
    ('94\\xa0%', '0.02\\xa0%', '>99.9\\xa0%', '0\\xa0%')
    """
    number = 100 * share
    if 0 < number < 0.01:
        text = "<0.01"
    elif 99.9 < number < 100:
        text = ">99.9"
    else:
        text = f"{number:.{2 if 0 < number < 1 else 1 if 0 < number < 10 or 99 < number < 100 else 0}f}"
    return f"{text}{SPACE}%"


def count(number: int, noun: str) -> str:
    """The number and its noun: “1 token”, “2 tokens”."""
    return f"{number:,}{SPACE}{noun if number == 1 else noun + 's'}"
