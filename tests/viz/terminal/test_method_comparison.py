"""A comparison of methods in a terminal."""

from tests.viz.comparisons import compared
from xai_nlp.viz.terminal.ansi import printed
from xai_nlp.viz.terminal.method_comparison import render_comparison


def test_it_fits_into_80_columns_with_the_best_method_first():
    drops = {"attention_integrated_gradients": 0.6, "shapley": 1.4, "random": 0.0}
    comparison = compared(drops)
    text = printed(render_comparison(comparison), colour=False)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("Shapley explains zoo/sentiment best")
    tables = text[text.index("method ") :].splitlines()
    rows = [line.split()[0] for line in tables if line.startswith(tuple(drops))]
    assert rows == [*comparison.ranking] * 2
    for told in ("+1.4", "±0.1", "seed 3", "examples 30 of 31", "holds", "passes"):
        assert told in " ".join(text.split())


def test_a_name_cannot_command_the_terminal():
    assert "\x1b[31m" not in printed(render_comparison(compared(model="\x1b[31mred")), colour=False)
