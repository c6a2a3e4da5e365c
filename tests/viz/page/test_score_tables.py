"""Tables of scores: strongest lines once, explanations cut alike together, sums that add up."""

from tests.viz.samples import made
from xai_nlp.viz.page.score_tables import balance_table, score_tables
from xai_nlp.viz.text.text_marks import cell

IG = {"scores": [0.0, 1.0, -0.5, 0.25, 0.0]}
OCCLUSION = {"scores": [0.0, 2.0, -1.0, 0.0, 0.0], "method": "occlusion", "complete": False}


def tables(*items, top=None):
    rows = zip(("ig", "occlusion"), items, (2.0, 2.0), strict=False)
    return score_tables(rows, "token", top)


def test_the_strongest_words_come_first_and_once():
    (table,) = tables(made(**IG), made(**OCCLUSION), top=2)
    assert table.heads == ("ig, logit", "occlusion, logit")
    assert [(line.name, [c.number for c in line.cells]) for line in table.lines] == [
        ("a", ["+1.00", "+2.00"]),
        ("fine", ["−0.50", "−1.00"]),
    ]
    assert [(c.own, c.shared) for c in table.lines[0].cells] == [(100, 50), (100, 100)]


def test_strength_comes_before_place():
    (table,) = tables(made(scores=[0.0, 0.25, -0.5, 1.0, 2.0]), top=10)
    assert [line.name for line in table.lines] == ["film", "fine", "a"]  # without [SEP], whatever its score


def test_explanations_cut_differently_get_tables_of_their_own():
    other = made(tokens=("a", "fine film"), offsets=((0, 1), (2, 11)), segment=(0, 0), scores=(1.0, 2.0))
    assert [len(table.lines) for table in tables(made(**IG), other)] == [5, 2]


def test_the_parts_add_up_to_the_whole():
    table = balance_table(made(scores=[0.0, 1.0, -0.5, 0.25, 0.125]))  # f(x) − f(x₀) = 1, so 0.125 is left
    assert [(line.name, line.cells[0].number) for line in table.lines] == [
        ("words for", "+1.25"),
        ("words against", "−0.50"),
        ("added by the tokenizer", "+0.12"),
        ("left unexplained", "+0.12"),
        ("change of the output", "+1.00"),
    ]
    assert table.both
    assert balance_table(made(complete=False)) is None
    assert balance_table(made(baseline="none")) is None


def test_places_and_one_scale_for_both():
    (table,) = tables(made("a b", pair="c"))
    assert tuple(line.place for line in table.lines) == (
        "special",
        "text 1, 0–1",
        "text 1, 2–3",
        "special",
        "text 2, 0–1",
        "special",
    )
    assert (cell(-0.5, 2.0).own, cell(-0.5, 2.0).shared, cell(-0.5, 2.0, 1.0).shared) == (25, 25, 50)
