"""Drawings of plain arrays: tokens, images and attention without a model, in every form, and errors in one sentence."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.viz.html_reader import Reader
from tests.viz.samples import HOSTILE
from xai_nlp import viz
from xai_nlp.errors import InvalidInput
from xai_nlp.viz.terminal.ansi import tokens_ansi

MATRIX = np.array([[0.75, 0.25], [0.5, 0.5]])
DRAWINGS = {
    "tokens": lambda: viz.tokens(["not", "bad"], [-0.4, 0.9]),
    "boxes": lambda: viz.image(np.zeros((20, 30, 3)), [[0, 0, 10, 10], [5, 5, 30, 20]], [1.0, -2.0]),
    "labels": lambda: viz.image(Image.new("L", (30, 20)), np.array([[0, 0, 1], [-1, 1, 1]]), [1.0, -2.0]),
    "grid": lambda: viz.image(np.zeros((20, 30), np.uint8), (2, 3), np.arange(6).reshape(2, 3) - 2.0),
    "matrix": lambda: viz.attention(MATRIX, ["not", "bad"]),
    "heads": lambda: viz.attention(np.stack([MATRIX, -MATRIX]), ["not", "bad"]),
    "layers": lambda: viz.attention(np.ones((2, 3, 2, 4)), ["a", "b"], ["c", "d", "e", "f"]),
}


@pytest.mark.parametrize("kind", DRAWINGS)
def test_every_form_of_every_kind(kind, tmp_path):
    drawing = DRAWINGS[kind]()
    assert drawing.html.startswith("<!doctype html>")
    assert drawing._repr_html_().startswith('<div class="xai-nlp"')
    width, height = Image.open(io.BytesIO(drawing.png)).size
    assert width > 200 and height > 100
    assert "\x1b[" in drawing.ansi
    for suffix, content in ((".html", drawing.html.encode()), (".png", drawing.png), (".txt", drawing.ansi.encode())):
        drawing.save(tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == content
    with pytest.raises(InvalidInput, match=r"\.html, \.png, \.txt; got the suffix '\.bmp'"):
        drawing.save(tmp_path / "a.bmp")
    again = DRAWINGS[kind]()
    assert (again.html, again.png, again.ansi) == (drawing.html, drawing.png, drawing.ansi)
    for nonsense in ("does not promise", "f(x)", "The model", "Why"):
        assert nonsense not in Reader(drawing.html).text + drawing.ansi


def test_tokens_carry_sign_strength_and_number():
    read = Reader(viz.tokens(["not", "bad"], [-0.4, 0.8], unit="logit", title="By hand").html)
    assert [(m["class"].split()[:3], m["aria-description"]) for m in read.marks()] == [
        (["t", "n", "a50"], "−0.400\u00a0logit"), (["t", "p", "a100"], "+0.800\u00a0logit"),
    ]  # fmt: skip
    assert "By hand: “bad” counts most; “not” counts against." in read.text
    assert "<title>By hand</title>" in viz.tokens(["a"], [1], title="By hand").html


def test_offsets_place_subwords_in_the_text():
    drawing = viz.tokens(["un", "##do", "it"], [0.5, 0.25, -1], offsets=[(0, 2), (2, 4), (5, 7)])
    assert drawing.explanation.segments == ("undo it",)
    words, tokens = Reader(drawing.html).paragraphs
    assert words == tokens == "undo it"
    assert "“undo”" in drawing.ansi
    assert viz.tokens(["a", "b"], [1, 2]).explanation.segments == ("a b",)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_tokens_are_text(kind):
    text = HOSTILE[kind][:200]
    drawing = viz.tokens([text, "x"], [1, -1], title=text)
    read = Reader(drawing.html)
    assert "img" not in [tag for tag, _ in read.tags]
    assert read.paragraphs[0] == f"{text} x"
    assert "\x1b]0;" not in tokens_ansi(drawing.explanation)


def test_image_regions_in_all_three_ways():
    boxes, labels, grid = (DRAWINGS[kind]().explanation.image for kind in ("boxes", "labels", "grid"))
    assert boxes.boxes == ((0, 0, 10, 10), (5, 5, 30, 20))
    assert boxes.size == labels.size == grid.size == (30, 20)
    assert labels.shapes.shape == (2, 3)
    assert (grid.grid, grid.boxes[5]) == ((2, 3), (20, 10, 30, 20))
    floats = viz.image(np.full((4, 4, 3), 0.5), (1, 1), [1.0]).explanation.image
    assert Image.open(io.BytesIO(floats.data)).getpixel((0, 0)) == (127, 127, 127)
    large = viz.image(np.zeros((10, 3000)), (1, 2), [1, 2]).explanation.image
    assert (large.size, Image.open(io.BytesIO(large.data)).size[0]) == ((3000, 10), 1024)


def test_the_image_alone_is_on_its_own_scale():
    html = DRAWINGS["boxes"]().html
    regions = [attrs for tag, attrs in Reader(html).tags if tag == "path"]
    assert [(r["class"].split()[2:], r["data-n"]) for r in regions] == [
        (["n", "a100"], "−2.00"),
        (["p", "a50"], "+1.00"),
    ]
    assert "scale of" not in Reader(html).text.replace("How to read this", "")


def test_attention_is_shown_as_weights_where_rows_add_up_to_one():
    weights, signed = DRAWINGS["matrix"]().explanation, DRAWINGS["heads"]().explanation
    assert weights.scores == (1.25, 0.75)  # what each token receives
    assert "how peaked each head is" in DRAWINGS["matrix"]().html
    assert "the sum of each head’s matrix" in DRAWINGS["heads"]().html
    assert signed.scores == (0.0, 0.0)
    keys = DRAWINGS["layers"]().explanation
    assert keys.tokens == ("c", "d", "e", "f")
    assert keys.attention["self"].queries == ("a", "b")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: viz.tokens([], []), "tokens need one score each, and at least one; got 0 tokens, 0 scores"),
        (lambda: viz.tokens(["a"], [1, 2]), "got 1 tokens, 2 scores"),
        (lambda: viz.tokens(["a"], [float("nan")]), "finite"),
        (lambda: viz.tokens(["a", "b"], [1, 2], offsets=[(0, 1)]), "2 tokens, 1 offsets"),
        (lambda: viz.tokens(["a"], [1], offsets=[(3, 1)]), "start ≤ end"),
        (lambda: viz.image(np.zeros((2, 2)), np.array([[0, -2]]), [1]), "regions are"),
        (lambda: viz.image(np.zeros((2, 2)), (1, 2), [1]), "got 2 regions, 1 scores"),
        (lambda: viz.image(np.zeros((2, 2)), [[0, 0, 1]], [1]), "boxes"),
        (lambda: viz.image(np.zeros((2, 2)), (1, 1), [float("inf")]), "finite"),
        (lambda: viz.image(np.zeros((2, 2)), np.array([[0, 5]]), [1]), "below the number of scores"),
        (lambda: viz.image(np.zeros(4), (1, 1), [1]), "pixels are an image"),
        (lambda: viz.image(np.full((2, 2), np.nan), (1, 1), [1]), "pixels must be finite"),
        (lambda: viz.image(np.zeros((2, 2)), [], []), "regions are"),
        (lambda: viz.attention(np.zeros((2, 3)), ["a", "b"]), r"got \(2, 3\) for 2 tokens"),
        (lambda: viz.attention(np.zeros(2), ["a", "b"]), r"\(Q, K\)"),
        (lambda: viz.attention(np.full((1, 1), np.nan), ["a"]), "finite"),
        (lambda: viz.attention(np.zeros((0, 0)), []), r"\(Q, K\)"),
    ],
)
def test_errors_say_what_is_wrong_in_one_sentence(draw, message):
    with pytest.raises(InvalidInput, match=message) as error:
        draw()
    assert len(str(error.value).splitlines()) == 1


def test_no_torch_and_nothing_at_import():
    code = (
        "import sys; from xai_nlp import viz\n"
        "assert not {'torch', 'matplotlib', 'jinja2', 'numpy'} & set(sys.modules)\n"
        "drawing = viz.tokens(['not', 'bad'], [-0.4, 0.9])\n"
        "drawing.html, drawing.png, drawing.ansi, viz.attention([[1.0]], ['a']).html\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = viz.nothing
    assert sorted(viz.__all__) == ["Drawing", "attention", "image", "tokens"]


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", DRAWINGS)
def test_drawings_are_quiet_and_fit_a_phone(opened, kind, scheme):
    tab = opened(None, html=DRAWINGS[kind]().html, width=390, color_scheme=scheme)
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
