"""`xai-nlp evaluate`."""

import json
import random

import pytest

from tests.cli.command import run
from xai_nlp.core.method_comparison import MethodComparison

QUESTION, CONTEXT = "Who wrote Frankenstein?", "Frankenstein was written by Mary Shelley in 1818."


def test_evaluates_a_file(tmp_path):
    qas = [
        {"id": "a", "question": QUESTION, "answers": [{"text": "Mary Shelley", "answer_start": 28}]},
        {"id": "b", "question": "When was it written?", "answers": [{"text": "the year 1818", "answer_start": 0}]},
    ]
    file, out = tmp_path / "dev.json", tmp_path / "answers.json"
    file.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": qas}]}]}))
    done = run("evaluate", "qa", str(file), "--predictions", str(out))
    assert done.exit_code == 0, done.stderr
    assert "2 questions" in done.stdout
    answers = json.loads(out.read_text())
    assert answers["a"] == "Mary Shelley"
    assert "exact match 50.00" in done.stdout
    assert "1 question:" in run("evaluate", "qa", str(file), "--limit", "1").stdout


def test_a_missing_file_is_named():
    done = run("evaluate", "qa", "nowhere.json")
    assert (done.exit_code, "nowhere.json" in done.stderr) == (1, True)


# Explanations --------------------------------------------------------------------------------------------------------

TEXTS = ["a gripping, beautifully acted film", "far too long and rather dull", "a charming story of two friends"]
FEW = ("--method", "saliency", "--method", "occlusion", "--orders", "3")


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    return str(file)


def test_compares_methods_in_a_table_a_page_and_json(rows, tmp_path):
    page, numbers = tmp_path / "methods.html", tmp_path / "methods.json"
    done = run("evaluate", "explain", rows, "--task", "classify", *FEW, "--html", str(page), "--json", str(numbers))
    assert done.exit_code == 0, done.stderr
    comparison = MethodComparison.from_json(numbers.read_bytes())
    assert comparison.ranking[0] in ("saliency", "occlusion")
    assert comparison.examples == 3
    assert all(name in done.stdout for name in ("saliency", "occlusion", "random", "deletion", "holds"))
    headline = comparison.sentence().split(". ")[0]
    assert headline in " ".join(done.stdout.split())
    assert headline in page.read_text()


def test_the_same_seed_samples_the_same_rows(rows):
    def compared(seed):
        done = run("evaluate", "explain", rows, *FEW, "--limit", "2", "--seed", seed, "--json", "-", "-q")
        assert done.exit_code == 0, done.stderr
        return [
            (one["row"], one["method"], one["deletion"], one["level"])
            for one in json.loads(done.stdout)["measurements"]
        ]

    assert compared("1") == compared("1")
    assert {row for row, *_ in compared("1")} == set(random.Random(1).sample(range(3), 2))


def test_options_of_the_task_and_inputs_of_all_rows(tmp_path):
    file = tmp_path / "questions.jsonl"
    file.write_text(json.dumps({"ask": "Who wrote it?"}))
    done = run(
        *("evaluate", "explain", str(file), "--task", "qa", "--column", "ask", "-o", f"context={CONTEXT}"),
        *("-o", "target=start", *FEW, "--removal", "zero", "--json", "-"),
    )
    assert done.exit_code == 0, done.stderr
    comparison = MethodComparison.from_json(done.stdout)
    assert (comparison.task, comparison.removal) == ("question-answering", "zero")


def test_a_bad_row_is_named_and_the_others_are_measured(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text('text\na fine film\n""\na dull and far too long film\n')
    done = run("evaluate", "explain", str(file), *FEW)
    assert done.exit_code == 1
    assert "row 1: the text is empty" in " ".join(done.stderr.split())
    assert "saliency" in done.stdout


def test_after_ctrl_c_what_was_measured_is_shown(rows, monkeypatch, tmp_path):
    from xai_nlp.tasks import method_comparison

    added, tried = method_comparison._Trial.added, []

    def interrupted(trial):
        tried.append(trial)
        if len(tried) == 3:
            raise KeyboardInterrupt
        return added(trial)

    monkeypatch.setattr(method_comparison._Trial, "added", interrupted)
    done = run("evaluate", "explain", rows, *FEW, "--json", str(tmp_path / "methods.json"))
    assert done.exit_code == 130
    assert "stopped: 2 rows" in done.stderr
    assert "saliency" in done.stdout
    assert MethodComparison.from_json((tmp_path / "methods.json").read_bytes()).examples == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--method", "salience"], 1, "Did you mean 'saliency'?"),
        (["--removal", "burn"], 1, "unknown removal 'burn'"),
        (["-o", "tarjet=POSITIVE"], 1, "Did you mean 'target'?"),
        (["--task", "clasify"], 1, "unknown task"),
        (["--html", "no/such/folder.html"], 1, "no folder"),
        (["--limit", "0"], 2, "--limit"),
        (["--column", "sentense"], 1, "column"),
    ],
)
def test_what_is_not_allowed_is_refused(rows, arguments, code, said):
    done = run("evaluate", "explain", rows, *arguments)
    assert done.exit_code == code
    assert said in " ".join(done.stderr.replace("│", " ").split())
    assert done.stdout == ""


def test_all_rows_may_fail(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": " "}\n')
    done = run("evaluate", "explain", str(file), *FEW)
    assert done.exit_code == 1
    assert "no row could be measured" in done.stderr
