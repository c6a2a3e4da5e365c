"""Numbers as a reader wants them: signed, with as many digits as the largest one deserves."""

from __future__ import annotations

import math

MINUS = "−"
SPACE = "\u00a0"  # a number and its unit stay on one line


def signed(number: float, peak: float | None = None) -> str:
    """The number with its sign, three digits for the largest of its kind (`peak`), the same decimals for all.

    >>> signed(1.2345), signed(-0.04, peak=2.0), signed(0.0), signed(3e-9), signed(250.0), signed(2500.0)
    ('+1.23', '−0.04', '0', '+3.00e−9', '+250.0', '+2500')
    """
    if number == 0:
        return "0"
    return ("+" if number > 0 else MINUS) + unsigned(abs(number), peak)


def unsigned(number: float, peak: float | None = None) -> str:
    """The same without a sign for numbers that are not negative."""
    if number == 0:
        return "0"
    size = math.floor(math.log10(abs(peak or number)))
    if not -5 < size < 6:
        mantissa, exponent = f"{number:.2e}".split("e")
        return f"{mantissa}e{int(exponent)}".replace("-", MINUS)
    return f"{number:.{max(int(size < 3), 2 - size)}f}".replace("-", MINUS)


def with_unit(number: str, unit: str) -> str:
    """The number and its unit, not to be torn apart by a line break."""
    return f"{number}{SPACE}{unit}" if unit else number


def percent(share: float) -> str:
    """A share as a percentage, never a false 0 or 100.

    >>> percent(0.938), percent(0.00021), percent(0.99996), percent(0.0)
    ('94\\xa0%', '0.02\\xa0%', '>99.9\\xa0%', '0\\xa0%')
    """
    hundred = 100 * share
    if hundred == 0 or hundred == 100:
        shown = f"{hundred:.0f}"
    elif hundred < 0.01:
        shown = "<0.01"
    elif 99.9 < hundred < 100:
        shown = ">99.9"
    elif hundred < 1:
        shown = f"{hundred:.2f}"
    elif hundred < 10 or 99 < hundred < 100:
        shown = f"{hundred:.1f}"
    else:
        shown = f"{hundred:.0f}"
    return f"{shown}{SPACE}%"


def count(number: int, noun: str, plural: str = "") -> str:
    """“1 token”, “2 tokens”."""
    return f"{number:,}{SPACE}{noun if number == 1 else plural or noun + 's'}"
