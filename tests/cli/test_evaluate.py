"""`xai-nlp evaluate`."""

import json

from tests.cli.command import run

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
