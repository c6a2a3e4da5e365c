"""An image on the page: outlines, scales and numbers of its regions, shares, attention from words."""

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.viz.html_reader import Reader
from tests.viz.images import (
    asked,
    boxed,
    gridded,
    looked,
    photograph,
    photographed,
    scene,
    segmented,
    small,
    written,
)
from tests.viz.samples import HOSTILE, label, made
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution
from xai_nlp.viz.page.html import fragment, page
from xai_nlp.viz.page.image_regions import data_url, image_view, middle
from xai_nlp.viz.page.score_tables import balance_table, score_tables
from xai_nlp.viz.page.view_model import view
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.text.text_spans import strongest

KINDS = {"grid": asked, "boxes": boxed, "shapes": segmented}


def shown(why):
    """The image as a page shows it, where the shared scale goes up to twice the image's peak."""
    return image_view(why.image, why, why.words(), 2 * own_peaks(why)[1])


def regions(read):
    return [attrs for tag, attrs in read.tags if tag == "path"]


# Scales --------------------------------------------------------------------------------------------------------------


def test_words_and_regions_have_a_scale_each():
    why = small()  # the strongest word 1.41, the strongest region 1.0
    result = shown(why)
    assert [(r.kind, r.own, r.shared, r.number, r.rank) for r in result.regions] == [
        ("p", 50, 25, "+0.50", 2), ("n", 25, 12, "−0.25", 3), ("z", 0, 0, "0", 4), ("p", 100, 50, "+1.00", 1),
    ]  # fmt: skip
    assert result.regions[3].description == "+1.00\u00a0logit"
    faint = small((0.05, -0.025, 0.0, 0.1))  # far below the words: as visible as any
    (example,) = view([faint]).examples
    (row,) = example.rows
    marks = {m.text: m.own for _, paragraph in row.words.paragraphs for m in paragraph if m.kind}
    assert marks["star"] == 100
    assert max(region.own for region in row.image.regions) == 100
    assert row.words.legend.peak == 1.41
    assert row.image.peak == "0.100\u00a0logit"
    assert [c.own for line in example.tables("region")[0].lines for c in line.cells] == [100, 50, 25]
    text = re.sub(r"\s+", " ", Reader(page([faint])).text)
    assert "a scale of their own; so has the image" in text
    assert "On a scale of their own, up to 0.100 logit" in text


def test_the_shared_scale_is_one_for_words_tokens_and_regions():
    why = small(
        tokens=("st", "ar"), offsets=((19, 21), (21, 23)), segment=(0, 0), scores=(3.0, -2.5), links=False, value=2.0
    )
    page_view = view([why])
    (row,) = page_view.examples[0].rows
    assert page_view.several  # there is a scale to share, though there is one explanation
    assert row.shared == 3.0  # a part of the word
    assert [legend.peak for legend in page_view.legends] == [3.0]
    assert [row.words.legend.peak, row.tokens.legend.peak] == [0.5, 3.0]
    assert row.image.regions[3].shared == 33
    assert not view([made()]).several


def test_several_share_the_scale_of_the_strongest():
    weak, strong = small(), small((5.64, 0.0, 0.0, 0.0), method="occlusion", complete=False)
    (example,) = view([weak, strong]).examples
    assert [row.image.regions[3].shared for row in example.rows] == [18, 0]
    assert [row.image.regions[3].own for row in example.rows] == [100, 0]
    (table,) = example.tables("region")
    assert table.heads == ("integrated gradients, logit", "occlusion, logit")
    assert [line.name for line in table.lines] == [
        "row 1, column 1", "row 2, column 2", "row 1, column 2",
    ]  # by the strongest share in one of them  # fmt: skip


def test_the_page_counts_questions():
    assert "1\u00a0question explained" in page([small(), small(target=label("blue", kind="answer"))])
    assert "2 explanations follow." in Reader(page([small(), small(target=label("blue", kind="answer"))])).text
    assert "2\u00a0questions explained" in Reader(page([small(), asked()])).text
    assert "2\u00a0texts explained" in Reader(page([small(), made()])).text


def test_another_image_is_another_text():
    other = small(links=False)
    assert len(view([small(), other, photographed(2, 2)]).examples) == 2
    assert len(score_tables([("a", why, 1.0) for why in (small(), asked())], "region")) == 2


# Where regions are ---------------------------------------------------------------------------------------------------


def test_a_grid_leaves_a_gap_between_its_cells():
    result = shown(small())
    assert result.kind == "grid"
    assert [r.path for r in result.regions][1] == "M20.8 0.4H39.2V9.6H20.8Z"
    assert [r.name for r in result.regions][1] == "row 1, column 2"
    assert [r.badge for r in result.regions] == [("10", "5"), ("30", "5"), ("", ""), ("30", "15")]


def test_of_boxes_the_small_ones_lie_on_top():
    result = shown(boxed())
    assert result.kind == "boxes"
    assert [r.index for r in result.regions] == [0, 1, 2, 3, 4]
    assert result.regions[1].path == "M20 190H300V318H20Z"
    backwards = boxed()
    picture = backwards.image
    turned = replace(picture, boxes=picture.boxes[::-1], scores=picture.scores[::-1])
    assert [r.index for r in shown(asked(turned, links=False)).regions] == [4, 3, 2, 1, 0]
    assert len({r.badge for r in result.regions if r.badge[0]}) == 3  # one inside another: numbers stand apart


def test_shapes_are_outlined_cell_by_cell():
    picture = ImageAttribution(
        data=written(photograph()), size=(480, 320), boxes=((0, 0, 480, 320),) * 2, scores=(1.0, -1.0),
        shapes=Array([[0, 0, -1], [0, 1, 1]]),
    )  # fmt: skip
    result = shown(asked(picture, links=False))
    assert result.kind == "shapes"
    assert result.transform == "scale(160 160)"
    assert [r.path for r in result.regions] == ["M0 0H2V1H1V2H0Z", "M1 1H3V2H1Z"]
    for r in (0, 1):
        x, y = middle(picture, r)
        assert picture.shapes.numpy()[int(y // 160), int(x // 160)] == r  # a number stands on its own region


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_region_is_drawn(kind):
    why = KINDS[kind]()
    read = Reader(page([why]))
    drawn = regions(read)
    assert {int(r["data-r"]) for r in drawn} == set(range(len(why.image.scores)))
    assert all(r["d"].startswith("M") and r["d"].endswith("Z") for r in drawn)
    for r in drawn:
        score = why.image.scores[int(r["data-r"])]
        assert r["class"].split()[2] == ("n" if score < 0 else "p" if score else "z")
    (columns,) = [attrs["data-columns"] for tag, attrs in read.tags if tag == "svg"]
    assert columns == ("8" if kind == "grid" else "0")
    names = "".join(read.text.split())
    assert all("".join(name.split()) in names for name in why.image.names)


# What is said --------------------------------------------------------------------------------------------------------


def test_the_page_says_answer_share_and_balance():
    why = small()
    text = re.sub(r"\s+", " ", Reader(page([why])).text)
    for part in (
        "The model answers “red” (93 %) to “what colour is the star?” “star”, “colour” and row 2 column 2 of the "
        "image speak for it most.",
        "image 38 %",
        "question 62 %",
        "How much of all that counts",
        "Strongest regions",
        "regions for +1.50",
        "regions against −0.25",
        "Which words drew on which regions",
        "visual question answering",
    ):
        assert part.replace(" ", "") in re.sub(r"[\s\u00a0]+", "", text), part


def test_the_parts_add_up_to_the_whole():
    table = balance_table(small().words())
    numbers = {line.name: line.cells[0].number for line in table.lines}
    assert numbers == {
        "words for": "+2.49", "words against": "−0.29", "added by the tokenizer": "−0.02", "regions for": "+1.50",
        "regions against": "−0.25", "left unexplained": "+0.01", "change of the output": "+3.44",
    }  # fmt: skip
    assert [line.name for line in balance_table(made()).lines][:3] == [
        "words for",
        "words against",
        "left unexplained",  # no special token scores
    ]
    assert not any("region" in line.name for line in balance_table(made()).lines)


def test_the_strongest_regions_come_first_and_zeros_not_at_all():
    picture = small((0.5, -0.75, 0.0, 0.25)).image
    assert strongest(picture.scores) == [1, 0, 3]
    assert strongest(picture.scores, 1) == [1]


def test_zero_scores_are_no_trouble():
    nothing = small((0.0,) * 4, scores=(0.0,) * 8, links=False)
    text = Reader(page([nothing])).text
    assert "No region has a score other than 0" in text
    assert "every score is 0" in text
    assert "nan" not in text.lower()
    assert 'class="split"' not in page([nothing])
    silent = small(attention={"image": replace(looked(small().image), scores=Array(np.zeros((2, 2, 8, 4))))})
    assert 'class="card linked"' not in page([silent])


def test_shares_in_the_bar_add_up():
    for scores in ((0.001, 0, 0, 0), (900.0, 0, 0, 0), (0.5, 0.5, 0.5, -0.5)):
        shares = shown(small(scores)).shares
        assert sum(hundredths for _, _, hundredths in shares) == 100
    assert "100" not in shown(small((90000.0, 0, 0, 0))).shares[1][1]  # never a false 100 %


# Words and regions ---------------------------------------------------------------------------------------------------


def test_links_are_sums_over_layers_and_heads_of_each_token():
    why = small()
    links = shown(why).links.data
    expected = why.attention["image"].scores.numpy().astype(float).sum((0, 1))
    np.testing.assert_allclose(links["rows"], expected, rtol=5e-3)
    assert (links["unit"], links["weights"]) == ("logit", False)
    weights = replace(why, attention={"image": looked(why.image, row_stochastic=True)})
    links = shown(weights).links.data
    np.testing.assert_allclose(
        links["rows"], weights.attention["image"].scores.numpy().astype(float).mean((0, 1)), rtol=5e-3
    )
    assert "mean over layers and heads" in shown(weights).links.about


def test_words_are_listed_with_the_regions_they_drew_on_most():
    why = small()
    linked = dict(shown(why).links.words)
    assert "[CLS]" not in linked
    name, cell = linked["star"][0]
    assert name == "row 2, column 2"  # the region with the largest score, by construction
    assert (cell.kind, cell.own) == ("p", 100)
    assert all(len(cells) <= 3 for cells in linked.values())


def test_without_image_attention_there_are_no_links():
    for why in (small(links=False), replace(small(), attention={"self": small().attention["image"]})):
        assert shown(why).links is None
    other = replace(small().attention["image"], queries=tuple("abcdefgh"))
    assert shown(replace(small(), attention={"image": other})).links is None


# The page is safe ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("draw", [page, fragment])
def test_no_inline_style_no_handler_no_id_and_only_data_images(kind, draw):
    read = Reader(draw([KINDS[kind]()]))
    assert not [a for a in read.attributes if a[1].startswith("on") or a[1] in ("style", "id", "srcdoc")]
    images = [attrs for tag, attrs in read.tags if tag == "img"]
    assert len(images) == 2
    assert all("alt" in attrs and attrs["src"].startswith("data:image/") for attrs in images)
    assert {tag for tag, _ in read.tags} & {"image", "use", "foreignobject", "a", "iframe"} == set()


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_questions_are_text(kind):
    text = HOSTILE[kind]
    why = replace(
        made(text, task="visual-question-answering", target=label(text[:50]), outputs={text[:50]: 0.9, "b": 0.1}),
        image=small().image,
    )
    read = Reader(page([why]))
    assert text in read.paragraphs[0]
    assert [tag for tag, _ in read.tags].count("img") == 2
    assert [tag for tag, _ in read.tags].count("script") == 2


def test_same_input_same_bytes():
    for make in KINDS.values():
        assert page([make()]) == page([make()])
    assert not re.search(r"https?:|@import|url\((?!data:)", page([segmented()]))


def test_the_image_is_told_by_its_first_bytes():
    image, _ = scene()
    for kind, name in (("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")):
        picture = gridded(image, 2, 2, (0.5, 0.5), kind=kind)
        head, _, data = data_url(picture).partition(",")
        assert head == f"data:image/{name};base64"
        assert base64.b64decode(data) == picture.data


def test_what_can_be_read_without_a_script():
    read = Reader(page([small()]))
    titles = re.findall(r"<title>([^<]*)</title></path>", page([small()]))
    assert titles == [
        "row 1, column 1: +0.50\u00a0logit", "row 1, column 2: −0.25\u00a0logit", "row 2, column 1: 0\u00a0logit",
        "row 2, column 2: +1.00\u00a0logit",
    ]  # fmt: skip
    (svg,) = [attrs for tag, attrs in read.tags if tag == "svg"]
    assert (svg["role"], svg["viewbox"]) == ("group", "0 0 40 20")
    assert svg["aria-label"]
    assert all(region["role"] == "img" for region in regions(read))
    assert "x 20–40, y 10–20" in read.text  # every number, with its place
    assert re.search(r"star\s*row 2, column 2", read.text)
