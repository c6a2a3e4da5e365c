"""An image on the page: where its regions are, their colours, what is said of them, whom words drew on."""

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from tests.viz.images import (
    asked,
    boxed,
    grid_boxes,
    gridded,
    looked,
    photograph,
    photographed,
    scene,
    segmented,
    written,
)
from tests.viz.samples import HOSTILE, made
from tests.viz.page.test_html import Reader
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution
from xai_nlp.viz.terminal.ansi import tokens_ansi
from xai_nlp.viz.page.html import fragment, page
from xai_nlp.viz.page.image_regions import middle, region_tables, seen, source, strongest_regions
from xai_nlp.viz.page.contours import loops, outline, shrunk
from xai_nlp.viz.text.text_marks import own_peaks
from xai_nlp.viz.page.score_tables import balance
from xai_nlp.viz.page.view_model import view
from xai_nlp.viz.text.wording import answer_text, headline, output_text, segment_names, shortened

KINDS = {"grid": asked, "boxes": boxed, "shapes": segmented}


def small(region_scores=(0.5, -0.25, 0.0, 1.0), **more):
    """Two by two regions of an image of 40 × 20."""
    size, grid = (40, 20), (2, 2)
    image = written(scene()[0].resize(size))
    picture = ImageAttribution(data=image, size=size, boxes=grid_boxes(size, *grid), scores=region_scores, grid=grid)
    return asked(picture, **more)


def shown(why):
    words = why.words()
    own, _ = own_peaks(why, words)
    return seen(why, words, own, 2 * own)


def regions(read):
    return [attrs for tag, attrs in read.tags if tag == "path"]


# Outlines ------------------------------------------------------------------------------------------------------------


def filled(path, rows, columns):
    """Which cells lie inside a path by the even-odd rule: rays from their middles to the left."""
    inside = np.zeros((rows, columns), bool)
    for loop in path:
        for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True):
            if x == u:  # a wall from y to v: all cells to its right are on the other side of it
                inside[min(y, v) : max(y, v), x:] ^= True
    return inside


@pytest.mark.parametrize("seed", range(20))
def test_an_outline_holds_exactly_its_cells(seed):
    mask = np.random.default_rng(seed).random((7, 9)) < 0.2 + 0.03 * seed
    np.testing.assert_array_equal(filled(loops(mask), 7, 9), mask)
    steps = re.findall(r"([MHV])(\d+)(?: (\d+))?", outline(mask))
    walls, at = [], (0, 0)
    for command, n, m in steps:  # the path as written, corners only, says the same
        n = int(n)
        if command == "M":
            walls.append([(n, int(m))])
        else:
            walls[-1].append((n, at[1]) if command == "H" else (at[0], n))
        at = walls[-1][-1]
    np.testing.assert_array_equal(filled(walls, 7, 9), mask)


def test_outlines_by_hand():
    assert outline(np.zeros((2, 2), bool)) == ""
    assert outline(np.ones((2, 3), bool)) == "M0 0H3V2H0Z"
    ring = np.ones((3, 3), bool)
    ring[1, 1] = False
    assert outline(ring) == "M0 0H3V3H0ZM1 1V2H2V1Z"


def test_a_fine_raster_is_thinned_and_a_coarse_one_kept():
    fine = np.repeat(np.repeat([[0.0, 1.0], [2.0, -1.0]], 500, 0), 400, 1)
    thin = shrunk(fine)
    assert thin.shape == (256, 256)
    assert [thin[0, 0], thin[0, -1], thin[-1, 0], thin[-1, -1]] == [0, 1, 2, -1]
    assert (thin == 0).sum() == 128**2
    np.testing.assert_array_equal(shrunk(np.arange(6.0).reshape(2, 3)), [[0, 1, 2], [3, 4, 5]])


# One scale -----------------------------------------------------------------------------------------------------------


def test_words_and_regions_are_on_one_scale():
    why = small()  # the strongest word 1.41, the strongest region 1.0
    found = shown(why)
    assert [(r.kind, r.own, r.shared, r.number, r.rank) for r in found.regions] == [
        ("p", 35, 18, "+0.50", 2), ("n", 18, 9, "−0.25", 3), ("z", 0, 0, "0", 4), ("p", 71, 35, "+1.00", 1),
    ]  # fmt: skip
    assert found.regions[3].spoken == "+1.00\u00a0logit"
    strong = small((0.5, -0.25, 0.0, -2.82))  # now words are half as strong as the strongest region
    (group,) = view([strong]).groups
    marks = {m.text: m.own for _, paragraph in group.rows[0].words.paragraphs for m in paragraph if m.kind}
    assert marks["star"] == 50
    assert group.rows[0].words.legend.peak == "2.82"
    assert [c.own for line in group.regions[0].lines for c in line.cells] == [100, 18, 9]


def test_words_tokens_and_regions_share_a_peak():
    """A word's parts may be stronger than the word: regions still have one colour, in both views."""
    why = small(
        tokens=("st", "ar"), offsets=((19, 21), (21, 23)), segment=(0, 0), scores=(3.0, -2.5), links=False, value=2.0
    )
    assert own_peaks(why, why.words()) == (3.0, 3.0)
    assert own_peaks(made("bad", [0.0, 3.0, 0.0]), made("bad", [0.0, 0.5, 0.0])) == (0.5, 3.0)
    (group,) = view([why]).groups
    assert group.rows[0].words.legend.peak == group.rows[0].tokens.legend.peak == "3.00"


def test_several_share_the_scale_of_the_strongest():
    weak, strong = small(), small((5.64, 0.0, 0.0, 0.0), method="occlusion", complete=False)
    (group,) = view([weak, strong]).groups
    assert [row.seen.regions[3].shared for row in group.rows] == [18, 0]
    assert [row.seen.regions[3].own for row in group.rows] == [71, 0]
    (table,) = group.regions
    assert table.heads == ("integrated gradients, logit", "occlusion, logit")
    assert [line.name for line in table.lines] == [
        "row 1, column 1", "row 2, column 2", "row 1, column 2",
    ]  # by the strongest share in one of them  # fmt: skip


def test_faint_regions_are_said_to_be_faint():
    assert shown(small()).faint == ""
    assert shown(small((0.1, 0.0, 0.0, 0.0))).faint == "7.1\u00a0%"
    assert shown(small((0.0,) * 4)).faint == ""
    assert [r.alone for r in shown(small((0.05, -0.025, 0.0, 0.1))).regions] == [50, 25, 0, 100]


def test_the_page_counts_questions():
    both = [small(), small(target=label("blue", kind="answer"))]
    assert "One question, 2\u00a0explanations" in Reader(page(both)).text
    assert "2\u00a0questions explained" in Reader(page([small(), asked()])).text
    assert "2\u00a0texts explained" in Reader(page([small(), made()])).text


def test_another_image_is_another_text():
    other = small(links=False)
    assert len(view([small(), other, photographed(2, 2)]).groups) == 2
    assert len(region_tables(["a", "b"], [small(), asked()], [1.0, 1.0], {"logit": 1.0})) == 2


# Where regions are ---------------------------------------------------------------------------------------------------


def test_a_grid_leaves_a_gap_between_its_cells():
    found = shown(small())
    assert found.kind == "grid"
    assert found.columns == 2
    assert [r.path for r in found.regions][1] == "M20.8 0.4H39.2V9.6H20.8Z"
    assert [r.name for r in found.regions][1] == "row 1, column 2"
    assert [r.badge for r in found.regions] == [("10", "5"), ("30", "5"), ("", ""), ("30", "15")]


def test_of_boxes_the_small_ones_lie_on_top():
    found = shown(boxed())
    assert found.kind == "boxes"
    assert found.columns == 0
    assert [r.index for r in found.regions] == [0, 1, 2, 3, 4]
    assert found.regions[1].path == "M20 190H300V318H20Z"
    backwards = boxed()
    picture = backwards.image
    turned = replace(picture, boxes=picture.boxes[::-1], scores=picture.scores[::-1])
    assert [r.index for r in shown(asked(turned, links=False)).regions] == [4, 3, 2, 1, 0]
    assert len({r.badge for r in found.regions if r.badge[0]}) == 3  # one inside another: numbers stand apart


def test_shapes_are_outlined_cell_by_cell():
    picture = ImageAttribution(
        data=written(photograph()), size=(480, 320), boxes=((0, 0, 480, 320),) * 2, scores=(1.0, -1.0),
        shapes=Array([[0, 0, -1], [0, 1, 1]]),
    )  # fmt: skip
    found = shown(asked(picture, links=False))
    assert found.kind == "shapes"
    assert found.scale == "scale(160 160)"
    assert [r.path for r in found.regions] == ["M0 0H2V1H1V2H0Z", "M1 1H3V2H1Z"]
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
    names = "".join(read.text.split())
    assert all("".join(name.split()) in names for name in why.image.names)


# What is said --------------------------------------------------------------------------------------------------------


def test_the_page_says_answer_share_and_balance():
    why = small()
    text = re.sub(r"\s+", " ", Reader(page([why])).text)
    for part in ("Why “red”?", "red the model’s answer to “what colour is the star?”", "93 % probability of red",
                 "image 38 %", "question 62 %", "of all that was scored lies in the image", "Strongest regions",
                 "regions for +1.50", "regions against −0.25", "Which words drew on which regions",
                 "visual question answering"):  # fmt: skip
        assert part.replace(" ", "") in re.sub(r"[\s\u00a0]+", "", text), part
    assert "tokens," not in text


def test_the_parts_add_up_to_the_whole():
    table = balance(small().words())
    numbers = {line.name: line.cells[0].number for line in table.lines}
    assert numbers == {
        "words for": "+2.49", "words against": "−0.29", "special tokens": "−0.02", "regions for": "+1.50",
        "regions against": "−0.25", "left unexplained": "+0.01", "f(x) − f(x₀)": "+3.44",
    }  # fmt: skip
    assert [line.name for line in balance(made()).lines][:3] == ["words for", "words against", "special tokens"]
    assert not any("region" in line.name for line in balance(made()).lines)


@pytest.mark.parametrize(
    ("sides", "question", "answers"),
    [
        (("red", None), "Why “red”?", ("red",)),
        (("blue", None), "Why “blue”?", ("blue",)),  # not the answer that the model gives
        (("red", "blue"), "Why “red” rather than “blue”?", ("red", "blue")),
        (("blue", "red"), "Why “blue” rather than “red”?", ("blue", "red")),
        (("red", "teal"), "Why “red” rather than “teal”?", ("red", "teal")),  # written: “teal” has no probability
    ],
)
def test_the_headline_names_the_answer_that_is_explained(sides, question, answers):
    why = small(target=label(*sides, kind="answer"))
    assert headline(why) == question
    assert labels_of(why.target) == answers
    assert segment_names(why) == ("Question",)
    assert segment_names(made()) == ("",)


def test_a_word_of_a_written_answer_and_its_probability():
    why = small(target=label("red", kind="token", answer="two red"), outputs={"two red": 0.25})
    assert headline(why) == "Why “red” in “two red”?"
    assert output_text(why, "two red") == "25\u00a0%"
    assert "25\u00a0% probability of two red" in Reader(page([why])).text
    assert output_text(made(outputs={"score": 0.25}), "score") == "+0.250"  # a regression's


def test_a_long_question_is_shortened_in_the_facts():
    assert shortened("short") == "short"
    assert shortened("word " * 40).endswith("…")
    assert len(shortened("word " * 40)) <= 80


def test_the_strongest_regions_come_first_and_zeros_not_at_all():
    picture = small((0.5, -0.75, 0.0, 0.25)).image
    assert strongest_regions(picture) == [1, 0, 3]
    assert strongest_regions(picture, 1) == [1]


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
        assert sum(share.hundredths for share in shares) == 100
    assert "100" not in shown(small((90000.0, 0, 0, 0))).shares[1].text  # never a false 100 %


# Words and regions ---------------------------------------------------------------------------------------------------


def test_links_are_sums_over_layers_and_heads_of_each_token():
    why = small()
    told = json.loads(shown(why).links)
    expected = why.attention["image"].scores.numpy().astype(float).sum((0, 1))
    np.testing.assert_allclose(told["rows"], expected, rtol=5e-3)
    assert (told["unit"], told["weights"]) == ("logit", False)
    weights = replace(why, attention={"image": looked(why.image, row_stochastic=True)})
    told = json.loads(shown(weights).links)
    np.testing.assert_allclose(
        told["rows"], weights.attention["image"].scores.numpy().astype(float).mean((0, 1)), rtol=5e-3
    )
    assert "mean over layers and heads" in shown(weights).how


def test_words_are_listed_with_the_regions_they_drew_on_most():
    why = small()
    linked = {line.word: line.cells for line in shown(why).linked}
    assert "[CLS]" not in linked
    name, cell = linked["star"][0]
    assert name == "row 2, column 2"  # the region with the largest score, by construction
    assert (cell.kind, cell.own) == ("p", 100)
    assert all(len(cells) <= 3 for cells in linked.values())


def test_without_image_attention_there_are_no_links():
    for why in (small(links=False), replace(small(), attention={"self": small().attention["image"]})):
        assert (shown(why).links, shown(why).linked) == ("", ())
    other = replace(small().attention["image"], queries=tuple("abcdefgh"))
    assert shown(replace(small(), attention={"image": other})).links == ""


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
        head, _, data = source(picture).partition(",")
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


# Terminal ------------------------------------------------------------------------------------------------------------


def test_the_terminal_says_share_and_regions():
    text = tokens_ansi(small(), colour=False)
    for part in ("38\u00a0% of all that was scored lies in the image", "per word and region", "Question"):
        assert part in text, part
    lines = [line.split(maxsplit=2) for line in text.splitlines() if "━" in line]
    assert [(number, len(bar), name) for number, bar, name in lines][-3:] == [
        ("+1.00", 9, "row 2, column 2"), ("+0.50", 4, "row 1, column 1"), ("−0.25", 2, "row 1, column 2"),
    ]  # bars of words and regions are on one scale  # fmt: skip
    assert ("+1.41", 12, "star") in [(number, len(bar), name) for number, bar, name in lines]
    assert "lies in the image" not in tokens_ansi(made(), colour=False)
    strong = tokens_ansi(small((2.82, 0.0, 0.0, 0.0)), colour=False)
    bars = {line.split(maxsplit=2)[2]: len(line.split()[1]) for line in strong.splitlines() if "━" in line}
    assert (bars["row 1, column 1"], bars["star"]) == (12, 6)
    assert "+2.82 for" in strong
