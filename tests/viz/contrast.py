"""Contrast of two colours, as WCAG defines it."""


def luminance(colour):
    """Relative luminance in [0, 1]. Source: WCAG 2.2, definition of relative luminance."""
    linear = [c / 12.92 if (c := v / 255) <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for v in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    """Contrast ratio, 1 to 21. Source: WCAG 2.2, success criterion 1.4.3.

    >>> round(contrast((0, 0, 0), (255, 255, 255)), 6)
    21.0
    """
    dark, light = sorted((luminance(a), luminance(b)))
    return (light + 0.05) / (dark + 0.05)
