"""Questions, attention and evaluation from the command line."""

import json

import pytest

import xai_nlp
from tests.cli.test_app import run
from tests.models.tiny_generation import writing
from xai_nlp.methods import METHODS

QUESTION, CONTEXT = "Who wrote Frankenstein?", "Frankenstein was written by Mary Shelley in 1818."
ASKED = ("--question", QUESTION, "--context", CONTEXT)


def test_explains_an_answer_to_stdout_json_and_html(tmp_path):
    done = run("explain", "qa", *ASKED)
    assert done.exit_code == 0, done.stderr
    assert "Why “Mary Shelley”?" in done.stdout
    page = tmp_path / "why.html"
    done = run("explain", "qa", *ASKED, "--target", "start", "--target", "end", "--layers", "--attention",
               "--json", "-", "--html", str(page))  # fmt: skip
    found = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.target.kind for why in found] == ["start", "end"]
    assert found[0].attention["self"].scores.shape[:2] == (6, 12)
    assert "table" in page.read_text(encoding="utf-8")


def test_the_context_comes_from_a_file_or_stdin(tmp_path):
    (tmp_path / "text.txt").write_text(CONTEXT, encoding="utf-8")
    from_file = run(
        "explain", "qa", "--question", QUESTION, "--context-file", str(tmp_path / "text.txt"), "--json", "-"
    )
    from_stdin = run("explain", "qa", "--question", QUESTION, "--context-file", "-", "--json", "-", stdin=CONTEXT)
    assert from_file.stdout == from_stdin.stdout
    assert json.loads(from_file.stdout)["segments"] == [QUESTION, CONTEXT]


def test_given_answers_contrasts_parts_and_options():
    done = run("explain", "qa", *ASKED, "--answer", "1818", "--rather-than", "Mary Shelley", "--parts",
               "--baseline", "reference", "-o", "steps=9", "--json", "-")  # fmt: skip
    why = xai_nlp.Explanation.from_json(done.stdout)
    assert CONTEXT[slice(*why.answer[1])] == "1818"
    assert (why.params["steps"], set(why.parts)) == (9, {"word", "position", "type"})


@pytest.mark.parametrize("method", ["attention_rollout", "attention_x_gradient"])
def test_attention_shows_heads_and_pairs(method):
    done = run("attention", "qa", *ASKED, "--method", method)
    assert done.exit_code == 0, done.stderr
    assert "what each head carries" in done.stdout and "layer 5" in done.stdout
    assert "strongest pairs" in done.stdout
    done = run("attention", "sentiment", "a gripping film", "--method", method, "--json", "-")
    assert xai_nlp.Explanation.from_json(done.stdout).method == method


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("explain", "qa", "--question", QUESTION), 2, "--context"),
        (("explain", "qa", *ASKED, "--answer", "Ada"), 1, "does not hold"),
        (("explain", "qa", *ASKED, "--target", "middle"), 1, "unknown target"),
        (("attention", "qa", *ASKED, "--method", "saliency"), 1, "does not look at attention"),
        (("attention", "qa", *ASKED, "--method", "attention_role"), 1, "unknown method"),
        (("evaluate", "qa", "nowhere.json"), 1, "nowhere.json"),
    ],
)
def test_mistakes(given, code, said):
    done = run(*given)
    assert done.exit_code == code
    assert said in done.stderr


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
    assert "1 question:" in run("evaluate", "qa", str(file), "--most", "1").stdout


def test_methods_lists_those_over_attention():
    done = run("methods")
    assert all(name[:12] in done.stdout for name in METHODS)


def test_explains_what_a_model_writes(tmp_path):
    model, tokenizer = writing("gpt2")
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    done = run("explain", "generation", "The plot is thin", "--model", str(tmp_path), "--answer", " great movie",
               "--target", "words", "--json", "-")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    found = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert len(found) == len(tokenizer(" great movie")["input_ids"])
    assert {why.task for why in found} == {"text-generation"}
    assert {why.unit for why in found} == {"log-probability"}
    refused = run("explain", "generation", "The plot", "--model", str(tmp_path), "--chat")
    assert refused.exit_code == 1
    assert "has no chat template" in refused.stderr
