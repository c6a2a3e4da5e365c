"""Shortcuts that were planted in models, trained here, are named first; in models without them none is named."""

import numpy as np
import pytest
from PIL import Image

import xai_nlp
from tests.runs.planted import (
    MARK,
    facts,
    first_sentence_qa,
    marked_sentiment,
    question_only_vqa,
    reviews,
    scenes_told_by_the_question,
)
from xai_nlp.data.scenes import scenes
from xai_nlp.runs.overview.run_overview import chunks
from xai_nlp.runs.overview.section import OverviewContext
from xai_nlp.runs.overview.suspects import COLUMNS, SURE, Suspects

pytestmark = pytest.mark.slow  # models are trained

QUIET = {"steps": 4, "progress": False}


def suspects(run, tmp_path):
    """The lines of the table of suspects, and the section; the page says so too."""
    found = run.overview()
    (section,) = [one for one in found.sections if one.name == "suspects"]
    found.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Shortcut suspects" in page and section.sentence.split("”")[0] in page
    names = [column.name for column in COLUMNS]
    return [dict(zip(names, line, strict=True)) for table in section.tables for line in table.lines], found


def test_a_harmless_word_that_marks_the_label(tmp_path):
    """The model calls all texts with the word POSITIVE; the right labels are their tones."""
    model = marked_sentiment()
    run = xai_nlp.run(reviews(200, seed=9), model.model, tokenizer=model.tokenizer, directory=tmp_path / "run", **QUIET)
    marked = [item for item in run if MARK in item.segments[0]]
    assert len(marked) > 30 and sum(item.prediction == "POSITIVE" for item in marked) > 0.9 * len(marked)
    lines, found = suspects(run, tmp_path)
    first = lines[0]
    assert (first["feature"], first["kind"], first["reason"]) == (MARK, "word", "speaks for wrong predictions")
    assert first["q"] < 1e-4 and first["texts"] == len(marked)
    assert first["interval"][0] > 5 * max(
        [line["interval"][0] for line in lines[1:] if line["kind"] != "length"], default=0
    )
    wrong, right = (
        [
            sum(s for t, s in item.words() if t == MARK) / sum(map(abs, item.words().scores))
            for item in run
            if same(item)
        ]
        for same in (lambda item: not item.correct, lambda item: item.correct)
    )
    assert first["in wrong"] == pytest.approx(sum(wrong) / len(wrong))
    assert first["in right"] == pytest.approx(sum(right) / len(right))
    assert first["wrong with it"] == pytest.approx(sum(not item.correct for item in marked) / len(marked))
    assert not run[first["rows"][0]].correct and MARK in run[first["rows"][0]].segments[0]
    fooled = [item for item in marked if not item.correct]
    without = [model.predict(item.segments[0].replace(f" {MARK}", "")) for item in fooled]
    cured = [max(of, key=of.get) in item.gold for of, item in zip(without, fooled, strict=True)]
    assert np.mean(cured) > 0.8  # by passes: without the word the model reads them right
    told = [line for line in found.tables["kinds"].lines if f"“{MARK}”" in line[1]]
    assert told and f"“{MARK}”" in told[0][1].split(", ")[0]  # one kind of reasons is told by it first


def test_the_same_reviews_with_true_labels_have_no_suspect(tmp_path):
    model = marked_sentiment(plant=False)
    run = xai_nlp.run(reviews(200, seed=9), model.model, tokenizer=model.tokenizer, directory=tmp_path / "run", **QUIET)
    assert 0 < sum(not item.correct for item in run) < 20
    assert suspects(run, tmp_path)[0] == []


@pytest.mark.eval
def test_real_reviews_have_no_suspect_and_rarely_one_if_errors_are_drawn(tmp_path, data):
    run = xai_nlp.run(data / "sst2_dev.jsonl", "sentiment", directory=tmp_path / "run", limit=200, **QUIET)
    assert suspects(run, tmp_path)[0] == []
    context, false = OverviewContext(), 0
    seen_chunks = list(chunks(run, run.plan.method, context))
    correct = np.concatenate([chunk.correct for chunk in seen_chunks])
    assert 10 < (correct == 0).sum() < 40
    ends = np.cumsum([len(chunk) for chunk in seen_chunks])[:-1]
    for seed in range(40):
        section, drawn = Suspects(context), np.random.default_rng(seed).permutation(correct)
        for chunk, part in zip(seen_chunks, np.split(drawn, ends), strict=True):
            vars(chunk)["correct"] = part
            section.add(chunk)
        false += bool(section.result().tables)
    assert false <= 40 * SURE + 3 * np.sqrt(40 * SURE * (1 - SURE))


def answered(rows, tmp_path, model, **loaded):
    data = {name: [row[name] for row in rows] for name in rows[0]}
    return xai_nlp.run(data, model, directory=tmp_path / "run", **QUIET, **loaded)


def test_answers_that_are_always_in_the_first_sentence(tmp_path):
    model = first_sentence_qa()
    run = answered(facts(24, seed=11), tmp_path, model.model, tokenizer=model.tokenizer)
    assert all(item.correct for item in run)
    lines, _ = suspects(run, tmp_path)
    first = lines[0]
    assert (first["feature"], first["kind"]) == ("first sentence of the context", "position")
    assert first["share of |score|"] > 0.7 > 0.4 > first["share of words"]
    for row in facts(12, seed=12, first=False):  # by passes: where the answer is elsewhere, it is not found
        (answers,) = model.predict(row["question"], row["context"])
        assert answers[0].text in row["context"].split(". ")[0]


def test_a_model_that_reads_has_no_suspect(tmp_path):
    run = answered(facts(24, seed=11, first=False), tmp_path, "qa")
    assert suspects(run, tmp_path)[0] == []


def seen(pairs, tmp_path, model, **loaded):
    examples, answers = zip(*pairs, strict=True)
    data = {
        "image": [example.scene.image() for example in examples],
        "question": [example.question.text for example in examples],
        "answer": list(answers),
    }
    return xai_nlp.run(data, model, directory=tmp_path / "run", **QUIET, **loaded)


def kept_on_grey(pairs, explainer, run):
    """The share of answers that stay when each image is grey: what the shares of scores are to tell, by passes."""
    grey = Image.new("RGB", (96, 96), (128, 128, 128))
    outputs = [explainer.predict(image=grey, question=example.question.text) for example, _ in pairs]
    return np.mean([max(of, key=of.get) == item.prediction for of, item in zip(outputs, run, strict=True)])


def test_scenes_where_the_question_alone_gives_the_answer(tmp_path):
    model = question_only_vqa()
    told = scenes_told_by_the_question(600, seed=21)
    pairs = [(example, answer) for example, answer in told if answer == example.question.answer][:24]
    run = seen(pairs, tmp_path, model.model, tokenizer=model.tokenizer, processor=model.family.processor)
    assert all(item.correct for item in run)  # the question is enough, and the image would be, too
    lines, found = suspects(run, tmp_path)
    assert (lines[0]["feature"], lines[0]["kind"]) == ("question only", "input")
    alone = {line[0]: line[1] for line in found.tables["one_input"].lines}
    assert alone == {"question only": 1.0, "image only": 0.0}
    (said, _) = found.tables["repeated_inputs"].lines
    assert said[:3] == ("question", "predicted", 1.0) and said[4] < 0.4
    assert kept_on_grey(pairs, model, run) == 1


def test_a_model_that_looks_has_no_suspect(tmp_path):
    pairs = [(one, one.question.answer) for one in scenes(24, seed=22)]
    run = seen(pairs, tmp_path, "vqa")
    lines, found = suspects(run, tmp_path)
    assert lines == [] and {line[1] for line in found.tables["one_input"].lines} == {0.0}
    assert kept_on_grey(pairs, xai_nlp.load("vqa"), run) < 0.5
