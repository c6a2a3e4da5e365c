"""Shortcut suspects of made-up runs: what is there is found, and where nothing is there, nothing is."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.runs.overview.samples import chunk_of, explanation, random_explanations, write_run
from tests.runs.overview.test_features import with_image
from xai_nlp.core.random_subset import subset_p_values
from xai_nlp.core.result import TargetSpec
from xai_nlp.runs.overview.features import KINDS, WordForms, feature_shares
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.suspect_tests import MARGIN
from xai_nlp.runs.overview.suspects import COLUMNS, LEAST, SURE, Suspects


def lines_of(items, sizes=64):
    """The suspects of explanations, seen in chunks; and the sentence."""
    context = OverviewContext()
    section = Suspects(context)
    for start in range(0, len(items), sizes):
        section.add(chunk_of(items[start : start + sizes], context, start))
    answer = section.result()
    names = [column.name for column in COLUMNS]
    lines = [dict(zip(names, line, strict=True)) for table in answer.tables for line in table.lines]
    return lines, answer.sentence


def misled(count, seed=0, share=0.3):
    """Texts of which some hold “maybe”, which speaks for the prediction whatever is right."""
    draws, items = np.random.default_rng(seed), []
    for item in random_explanations(count, seed):
        holds = draws.random() < share
        wrong = draws.random() < (0.6 if holds else 0.15)
        label = item.target.label
        gold = {"POSITIVE": "NEGATIVE", "NEGATIVE": "POSITIVE"}[label] if wrong else label
        words = ["maybe", *item.tokens[1:-1]] if holds else list(item.tokens[1:-1])
        scores = [4.0, *item.scores[1:-1]] if holds else list(item.scores[1:-1])
        items.append(explanation(" ".join(words), scores, label, gold))
    return items


def test_a_word_that_misleads_is_first_and_its_numbers_are_those_of_loops():
    items = misled(400)
    lines, sentence = lines_of(items)
    first = lines[0]
    assert (first["feature"], first["kind"], first["reason"]) == ("maybe", "word", "speaks for wrong predictions")
    assert sentence.startswith(("A suspect: “maybe” (word)", f"The strongest of {len(lines)} suspects: “maybe” (word)"))
    share = [item.scores[1] / sum(map(abs, item.scores)) if "maybe" in item.tokens else 0.0 for item in items]
    parts = [
        np.array([s for s, item in zip(share, items, strict=True) if item.correct is right]) for right in (False, True)
    ]
    assert first["in wrong"] == pytest.approx(parts[0].mean())
    assert first["in right"] == pytest.approx(parts[1].mean())
    assert first["too much"] == pytest.approx(parts[0].mean() - parts[1].mean())
    error = np.sqrt(sum(part.var(ddof=1) / len(part) for part in parts))
    assert first["interval"][0] == pytest.approx(parts[0].mean() - parts[1].mean() - stats.norm.ppf(0.975) * error)
    holding = [item for item in items if "maybe" in item.tokens]
    assert first["texts"] == len(holding)
    assert first["wrong with it"] == pytest.approx(sum(not item.correct for item in holding) / len(holding))
    assert first["share of |score|"] == pytest.approx(np.mean([s for s in share if s]))
    assert not items[first["rows"][0]].correct


def test_q_is_the_false_discovery_rate_of_both_tests_over_all_features():
    items = misled(250)
    chunk = chunk_of(items)
    found = feature_shares(chunk, WordForms())
    wrong, p, names = ~chunk.correct.astype(bool), [], {}
    for kind, number in sorted(set(zip(found.kind.tolist(), found.number.tolist(), strict=True))):
        own = (found.kind == kind) & (found.number == number)
        if own.sum() < LEAST:
            continue
        push = np.zeros(len(items))
        push[found.example[own]] = found.signed[own]
        names[KINDS[kind], number] = len(p)
        sums = [np.array([(push**k).sum()]) for k in (1, 2, 3)]
        p.append(subset_p_values(len(items), wrong.sum(), push[wrong].sum(), *sums)[0])
        if KINDS[kind] in ("punctuation", "special token", "position"):
            excess = (found.absolute - found.size)[own]
            p.append(stats.ttest_1samp(excess, MARGIN, alternative="greater").pvalue)
    q = stats.false_discovery_control(p)
    lines, _ = lines_of(items)
    words = [line for line in lines if line["kind"] == "word"]
    assert words and "speaks" in words[0]["reason"]
    for line in words:
        assert line["q"] == pytest.approx(q[names["word", chunk.vocabulary.number(line["feature"])]])


def test_scores_for_the_other_of_two_labels_are_turned():
    """Explanations of a label that was not predicted say the same."""
    turned = [
        replace(item, target=TargetSpec(kind="label", label=other), scores=tuple(-s for s in item.scores))
        for item in misled(400)
        for other in item.outputs
        if other != item.prediction
    ]
    lines, _ = lines_of(turned)
    same, _ = lines_of(misled(400))
    assert lines == same


def test_a_third_label_says_nothing_for_the_prediction():
    items = [
        replace(item, target=TargetSpec(kind="label", label="OTHER"), outputs={**item.outputs, "OTHER": 0.0})
        for item in misled(400)
    ]
    lines, sentence = lines_of(items)
    assert not [line for line in lines if line["kind"] == "word"] and "words were not judged" in sentence


def test_it_rarely_suspects_where_nothing_is_there():
    """Right labels by chance: in at most a few of a hundred runs anything is suspected."""
    false = sum(bool(lines_of(random_explanations(150, seed), sizes=150)[0]) for seed in range(100))
    assert false <= 100 * SURE + 3 * np.sqrt(100 * SURE * (1 - SURE))


def test_marks_that_take_too_much_are_suspects_without_right_labels():
    draws, items = np.random.default_rng(0), []
    for n in range(60):
        words = " ".join(draws.choice(["fine", "dull", "film"], 5)) + (" !" if n % 3 else "")
        items.append(explanation(words, [*draws.normal(0, 0.2, 5), *[2.0] * bool(n % 3)]))
    (line,), sentence = lines_of(items)
    assert (line["feature"], line["kind"], line["reason"]) == (
        "!",
        "punctuation",
        "takes more than its share of the words",
    )
    assert line["in wrong"] is None and line["wrong with it"] is None
    assert line["share of words"] == pytest.approx(1 / 8) and "words were not judged" in sentence
    excess = np.array([2 / sum(map(abs, item.scores)) - 1 / 8 for item in items if "!" in item.tokens])
    interval = np.array(stats.t.interval(0.95, 39, excess.mean() - 0.1, stats.sem(excess)))
    assert line["interval"] == pytest.approx(tuple(interval * 40 / 60))
    assert line["too much"] == pytest.approx((excess.mean() - 0.1) * 40 / 60)


@pytest.mark.parametrize(("kind", "suspected"), [("label", {"name", "number"}), ("answer", set())])
def test_names_and_numbers_are_suspects_of_labels_only(kind, suspected):
    target = TargetSpec(kind=kind, label="POSITIVE")
    items = [
        explanation(f"we saw Anna in {1900 + n} again", [0.1, 0.1, 2.0, 0.1, 2.0, 0.1], target=target)
        for n in range(30)
    ]
    lines, _ = lines_of(items)
    assert {line["kind"] for line in lines} == suspected
    assert {line["feature"] for line in lines} == {f"any {one}" for one in suspected}


def test_lengths_come_last_and_take_no_share():
    items = []
    for n in range(200):
        long = n % 2
        wrong = n % 5 < (4 if long else 1)
        text = "so it goes" + " on and on and on" * long
        scores = np.random.default_rng(n).normal(0, 1, len(text.split())).tolist()
        items.append(explanation(text, scores, gold="NEGATIVE" if wrong else "POSITIVE"))
    lines, _ = lines_of(items)
    assert [line["feature"] for line in lines if line["kind"] == "length"] == ["8 to 15 words"]
    assert lines[-1]["kind"] == "length" and lines[-1]["share of |score|"] is None
    assert lines[-1]["in wrong"] == pytest.approx(0.8) and lines[-1]["wrong with it"] == pytest.approx(0.8)


@pytest.mark.parametrize("explained", ["yes", "no"])
def test_an_ignored_image_that_goes_with_errors_is_a_suspect_whatever_label_was_explained(explained):
    items, draws = [], np.random.default_rng(0)
    for _ in range(200):
        ignored = draws.random() < 0.3
        gold = "no" if draws.random() < (0.7 if ignored else 0.1) else "yes"
        item = with_image(draws.normal(0, 1, 3).tolist(), (draws.normal(0, 1, 4) * (0.001 if ignored else 1)).tolist())
        target = TargetSpec(kind="label", label=explained)
        items.append(replace(item, outputs={"yes": 0.9, "no": 0.1}, target=target, gold=(gold,)))
    lines, _ = lines_of(items)
    assert (lines[0]["feature"], lines[0]["reason"]) == ("question only", "speaks for wrong predictions")
    assert lines[0]["share of |score|"] is None and lines[0]["wrong with it"] is None  # `one_input` has it


def test_a_word_comes_before_a_length_that_says_more():
    items = []
    for n in range(400):
        draws = np.random.default_rng(n)
        long, holds = draws.random() < 0.5, draws.random() < 0.3
        wrong = draws.random() < 0.1 + 0.5 * long + 0.4 * holds
        text = "so it goes" + " on and on and on" * long + " maybe" * holds
        scores = draws.normal(0, 1, len(text.split()))
        if holds:
            scores[-1] = 3
        items.append(explanation(text, scores.tolist(), gold="NEGATIVE" if wrong else "POSITIVE"))
    lines, _ = lines_of(items)
    assert lines[0]["feature"] == "maybe" and lines[-1]["kind"] == "length"
    assert lines[-1]["interval"][0] > lines[0]["interval"][0]


def test_rare_features_are_left_out_and_chunks_do_not_matter():
    items = misled(400)
    for line, same in zip(lines_of(items, 37)[0], lines_of(items, 400)[0], strict=True):
        assert line == {name: value if value is None else pytest.approx(value) for name, value in same.items()}
    few = [item for item in items if "maybe" in item.tokens][: LEAST - 1]
    assert lines_of(few)[0] == []


def test_they_are_in_the_page_the_figure_and_the_file(tmp_path):
    found = write_run(tmp_path / "run", misled(300)).overview()
    (fact,) = [fact for fact in found.facts if "suspects" in fact[1]]
    assert fact == (str(len(found.tables["suspects"].lines)), "shortcut suspects, first “maybe”")
    found.to_html(tmp_path / "page.html")
    found.save_csv(tmp_path / "csv")
    found.save_figures(tmp_path / "figures", "svg")
    assert "“maybe” (word) speaks for wrong predictions" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "csv" / "suspects.csv").read_text().splitlines()[1].startswith("maybe,word,0.")
    assert (tmp_path / "figures" / "suspects.svg").stat().st_size > 1000
