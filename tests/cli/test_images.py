"""Questions about images from the command line."""

import pytest

import xai_nlp
from tests.cli.test_app import run
from xai_nlp.data.scenes import scenes

EXAMPLE = next(scenes(1, seed=12, types=["colour"]))
QUESTION = EXAMPLE.question.text


@pytest.fixture
def image(tmp_path):
    EXAMPLE.scene.image().save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def test_explains_an_answer_in_the_terminal_json_and_html(image, tmp_path):
    done = run("explain", "vqa", "--image", str(image), "--question", QUESTION)
    assert done.exit_code == 0, done.stderr
    assert f"Why “{EXAMPLE.question.answer}”?" in done.stdout
    assert "lies in the image" in done.stdout
    page = tmp_path / "why.html"
    done = run("explain", "vqa", "--image", str(image), "--question", QUESTION, "--attention",
               "--json", "-", "--html", str(page))  # fmt: skip
    (why,) = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert why.prediction == EXAMPLE.question.answer and why.image.size == (96, 96)
    assert why.attention["image"].scores.shape == (5, 3, len(why.tokens), 64)
    assert "data:image/" in page.read_text(encoding="utf-8")


def test_contrasts_regions_sides_and_options(image):
    done = run("explain", "vqa", "--image", str(image), "--question", QUESTION, "--answer", "red", "--rather-than",
               "blue", "--regions", "grid:4", "--image-baseline", "blur", "--moves", "image", "-o", "steps=9",
               "--json", "-")  # fmt: skip
    why = xai_nlp.Explanation.from_json(done.stdout)
    assert (why.target.label, why.target.contrast) == ("red", "blue")
    assert len(why.image.boxes) == 16 and why.shares["image"] == 1
    assert (why.params["moves"], why.params["image_baseline"]) == ("image", "blur")


def test_attention(image):
    done = run("attention", "vqa", "--image", str(image), "--question", QUESTION)
    assert done.exit_code == 0, done.stderr
    assert "layer" in done.stdout


def test_what_is_no_image_is_told_in_one_line(tmp_path):
    (tmp_path / "scene.png").write_text("hello")
    done = run("explain", "vqa", "--image", str(tmp_path / "scene.png"), "--question", QUESTION)
    assert done.exit_code == 1 and "scene.png" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert run("explain", "vqa", "--image", str(tmp_path / "none.png"), "--question", QUESTION).exit_code == 2
