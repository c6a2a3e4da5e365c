"""Images that are opened here: of a few kinds, and of bounded size. Only their head is read."""

from __future__ import annotations

import io
import warnings

from xai_nlp.errors import InvalidInput
from xai_nlp.web.limits import LIMITS, Limits

IMAGE_KINDS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")  # images that are opened; nothing that could hold a script


def check_image(content: bytes, kinds: tuple[str, ...], limits: Limits = LIMITS) -> None:
    """Raises InvalidInput for an image of another kind, or of too many pixels. Only its head is read."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(io.BytesIO(content), formats=kinds) as opened:
                width, height = opened.size
    except Exception:  # Pillow has many errors for bytes that are no image
        raise InvalidInput(f"this is no image of a kind that is opened here: {', '.join(kinds)}.") from None
    if width * height > limits.pixels:
        raise InvalidInput(f"the image has {width} × {height} pixels; at most {limits.pixels:,} are read.")
