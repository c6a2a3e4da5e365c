"""Images are known by their head: of a few kinds, of bounded size."""

import io

import pytest
from PIL import Image

from xai_nlp.errors import InvalidInput
from xai_nlp.web.image_check import IMAGE_KINDS, check_image
from xai_nlp.web.limits import Limits


def written(kind, size=(4, 3)):
    Image.new("RGB", size).save(buffer := io.BytesIO(), kind)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", IMAGE_KINDS)
def test_kinds_that_are_opened(kind):
    check_image(written(kind), IMAGE_KINDS)
    with pytest.raises(InvalidInput, match="kind that is opened here"):
        check_image(written(kind), ("TIFF",))


def test_too_many_pixels_and_no_image():
    check_image(written("PNG"), IMAGE_KINDS, Limits(pixels=12))
    with pytest.raises(InvalidInput, match="4 × 3 pixels"):
        check_image(written("PNG"), IMAGE_KINDS, Limits(pixels=11))
    with pytest.raises(InvalidInput):
        check_image(b"<svg/>", IMAGE_KINDS)
