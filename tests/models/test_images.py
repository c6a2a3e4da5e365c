"""Images from anywhere, and where a processor puts what."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.models.tiny_vision_language import PATCH, SIDE, loaded
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.models.images import IMAGE_BASELINES, baseline_image, encode_thumbnail, read_image
from xai_nlp.models.vision_language import vision_language_model

RAMP = np.stack(np.broadcast_arrays(np.arange(60), np.arange(40)[:, None] * 3, 7), -1).astype(np.uint8)


def written(image, kind, **options):
    image.save(buffer := io.BytesIO(), kind, **options)
    return buffer.getvalue()


def test_a_palette_and_its_transparency_are_read():
    palette = Image.fromarray(RAMP).quantize(16)
    assert np.abs(np.asarray(read_image(written(palette, "PNG"))).astype(int) - RAMP).mean() < 15
    see_through = Image.new("RGBA", (8, 6), (10, 20, 30, 0))
    assert np.array_equal(np.unique(read_image(written(see_through, "PNG"))), [255])  # nothing lies on white
    half = Image.new("RGBA", (8, 6), (0, 0, 0, 128))
    assert 120 < np.asarray(read_image(written(half, "PNG"))).mean() < 132


def test_grey_and_sixteen_bits_are_read():
    grey = read_image(written(Image.fromarray(RAMP[:, :, 0]), "JPEG", quality=95))
    assert grey.mode == "RGB" and np.abs(np.asarray(grey)[:, :, 1].astype(int) - RAMP[:, :, 0]).mean() < 2
    deep = Image.fromarray((np.arange(48, dtype=np.uint16) * 1000).reshape(6, 8))
    assert np.asarray(read_image(written(deep, "PNG"))).max() == 255


def test_an_image_that_says_how_it_was_held_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    turned = read_image(written(Image.fromarray(RAMP), "JPEG", quality=95, exif=exif))
    assert turned.size == (40, 60)
    assert np.abs(np.asarray(turned).astype(int) - np.rot90(RAMP, -1)).mean() < 5


def test_arrays_and_paths_are_read(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "ramp.png")
    for source in (RAMP, RAMP / 255, RAMP[:, :, :1], tmp_path / "ramp.png", str(tmp_path / "ramp.png")):
        assert read_image(source).size == (60, 40)
    assert np.array_equal(np.asarray(read_image(RAMP / 255)), RAMP)


@pytest.mark.parametrize("name", ["cut.png", "text.png", "empty.jpg", "missing.png"])
def test_what_is_no_image_is_named(tmp_path, name):
    whole = written(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)), "PNG")
    content = {"cut.png": whole[: len(whole) // 2], "text.png": b"hello, I am a text", "empty.jpg": b""}
    if name in content:
        (tmp_path / name).write_bytes(content[name])
    with pytest.raises(InvalidInput, match=name):
        read_image(tmp_path / name)


@pytest.mark.parametrize(
    "source",
    [
        None,
        7,
        "https://example.org/cat.png",
        b"GIF89a",
        np.zeros((3, 4, 5)),
        np.zeros((0, 4, 3)),
        RAMP * 1.0,
        RAMP - 300.0,
    ],
)
def test_what_is_no_image_at_all_is_refused(source):
    with pytest.raises(InvalidInput):
        read_image(source)


def test_one_pixel_and_forty_eight_million():
    family = vision_language_model(loaded("vilt").model, loaded("vilt").processor)
    dot = read_image(np.zeros((1, 1, 3), dtype=np.uint8))
    assert family.patches(dot).regions(dot, "auto").grid == (SIDE // PATCH, SIDE // PATCH)
    large = read_image(Image.new("RGB", (8000, 6000), (200, 10, 10)))
    regions = family.patches(large).regions(large, "auto")
    assert regions.boxes[-1][2:] == (8000, 6000) and regions.grid == (4, 5)
    assert len(encode_thumbnail(large)) < 100_000
    with pytest.raises(InvalidInput, match="pixels"):
        read_image(Image.new("1", (20_000, 10_000)))


@pytest.mark.parametrize("family", ["vilt", "blip", "llava", "paligemma", "qwen2_vl", "idefics3"])
def test_a_bright_square_is_seen_where_it_is(family):
    """The patches whose pixels a square changes are those whose boxes it meets."""
    family = vision_language_model(loaded(family).model, loaded(family).processor)
    dark, square = np.zeros((48, 64, 3), dtype=np.uint8), np.zeros((48, 64, 3), dtype=np.uint8)
    square[24:36, 32:48] = 255
    image = read_image(square)
    regions = family.patches(image).regions(image, 8)
    before, after = (family.image_inputs(read_image(pixels))[family.image_argument] for pixels in (dark, square))
    changed = ((after - before).abs() > 1.0).expand_as(after)
    ids = regions.ids.expand(after.shape)
    lit = {n for n in ids[changed].tolist() if n >= 0}
    inside = {
        n
        for n, (left, top, right, bottom) in enumerate(regions.boxes)
        if left >= 31.9 and top >= 23.9 and right <= 48.1 and bottom <= 36.1
    }
    assert inside and inside <= lit
    near = {
        n
        for n, (left, top, right, bottom) in enumerate(regions.boxes)
        if right >= 28 and bottom >= 20 and left <= 52 and top <= 40
    }
    assert lit <= near


def test_a_segmentation_with_negative_numbers_leaves_them_out():
    family = vision_language_model(loaded("vilt").model, loaded("vilt").processor)
    image = read_image(np.zeros((40, 60, 3), dtype=np.uint8))
    labels = np.full((40, 60), -7)
    labels[:20, :30], labels[20:, 30:] = 5, 3
    regions = family.patches(image).regions(image, labels)
    assert regions.boxes == ((30, 20, 60, 40), (0, 0, 30, 20))  # in the order of the numbers: 3, then 5
    assert set(regions.ids.unique().tolist()) == {-1, 0, 1}
    assert regions.patch_regions.numel() == len(family.patches(image).boxes)
    raster = regions.raster.numpy()
    assert (raster[0, 0], raster[0, -1], raster[-1, -1]) == (1, -1, 0)
    with pytest.raises(InvalidInput, match="40 × 60"):
        family.patches(image).regions(image, labels[:, :5])


@pytest.mark.parametrize("division", ["", "grid:", "grid:-2", "grid:x", "squares", 0, -3, True, None, [1, 2]])
def test_other_divisions_are_refused(division):
    family = vision_language_model(loaded("vilt").model, loaded("vilt").processor)
    image = read_image(RAMP)
    with pytest.raises(InvalidInput, match="regions are 'auto'"):
        family.patches(image).regions(image, division)


def test_grids_by_name_and_by_number():
    family = vision_language_model(loaded("vilt").model, loaded("vilt").processor)
    image = read_image(RAMP)
    named, counted = (family.patches(image).regions(image, division) for division in ("grid:6", 6))
    assert named.grid == counted.grid == (4, 6) and named.boxes == counted.boxes
    assert named.names[:2] == ("row 1, column 1", "row 1, column 2") and named.raster is None
    assert named.boxes[0] == (0, 0, 10, 10) and named.boxes[-1] == (50, 30, 60, 40)


def test_baselines_have_the_size_and_say_what_they_are_called():
    image = read_image(RAMP)
    made = {name: np.asarray(baseline_image(image, name, seed=3)).astype(int) for name in IMAGE_BASELINES}
    assert all(pixels.shape == RAMP.shape for pixels in made.values())
    assert (made["grey"] == 128).all() and (made["black"] == 0).all() and (made["white"] == 255).all()
    assert np.abs(made["mean"][0, 0] - RAMP.reshape(-1, 3).mean(0)).max() <= 0.5
    assert made["blur"].std() < RAMP.std() and made["noise"].std() > 60
    assert np.array_equal(made["noise"], np.asarray(baseline_image(image, "noise", seed=3)))
    with pytest.raises(UnknownName):
        baseline_image(image, "pink")
