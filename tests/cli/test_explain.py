"""`xai-nlp explain` and `xai-nlp attention`: for each task, and for a task of one's own."""

import io
import json
import signal
import subprocess
import sys
import time
from inspect import Parameter, signature
from pathlib import Path

import pytest

import xai_nlp
from tests.cli.command import run
from tests.models.tiny_generation import writing
from xai_nlp.cli.explain import read_data, task_command
from xai_nlp.data.scenes import labelled_scenes, scenes
from xai_nlp.tasks.table import TASKS, find_task
from xai_nlp.tasks.task import COMMON_OPTIONS, TEXT_OPTIONS

QUESTION, CONTEXT = "Who wrote Frankenstein?", "Frankenstein was written by Mary Shelley in 1818."
#: Parameters of every command.
SHARED = {"model", "device", "dtype", "data", "columns", "limit", "method_options", "seed", "html", "json_to", "tokens",
          "quiet"}  # fmt: skip
ASKED = ("--question", QUESTION, "--context", CONTEXT)
EXAMPLE = next(scenes(1, seed=12, types=["colour"]))
SCENE_QUESTION = EXAMPLE.question.text


@pytest.fixture
def image(tmp_path):
    EXAMPLE.scene.image().save(tmp_path / "scene.png")
    return tmp_path / "scene.png"


def test_explains_to_stdout():
    done = run("explain", "classify", "a gripping film")
    assert done.exit_code == 0
    assert "gripping" in done.stdout
    assert "POSITIVE" in done.stdout


def test_json_and_html(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("a gripping film\n\na dull mess\n", encoding="utf-8")
    done = run("explain", "classify", "--file", str(file), "--json", "-", "--html", str(tmp_path / "page.html"))
    whys = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.prediction for why in whys] == ["POSITIVE", "NEGATIVE"]
    assert "dull" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert whys == list(xai_nlp.explain(["a gripping film", "a dull mess"]))
    run("explain", "classify", "--file", "-", "--json", str(tmp_path / "out.jsonl"), stdin="a gripping film")
    assert json.loads((tmp_path / "out.jsonl").read_text())["segments"] == ["a gripping film"]


def test_options_reach_the_method():
    arguments = [
        "-o",
        "steps=12",
        "--target",
        "NEGATIVE",
        "--baseline",
        "mask",
        "--unit",
        "probability",
        "--layer",
        "1",
        "--json",
        "-",
    ]
    why = json.loads(run("explain", "classify", "a film", *arguments).stdout)
    assert (why["params"]["steps"], why["params"]["layer"], why["target"]["label"]) == (12, 1, "NEGATIVE")
    assert (why["baseline"], why["unit"]) == ("mask", "probability")
    several = run("explain", "classify", "a film", "--method", "saliency", "--method", "random", "--json", "-")
    assert [json.loads(line)["method"] for line in several.stdout.splitlines()] == ["saliency", "random"]
    pair = run("explain", "classify", "a film", "--pair", "a book", "--json", "-")
    assert json.loads(pair.stdout)["segments"] == ["a film", "a book"]


def test_seeds():
    def scores(*args):
        return json.loads(run("explain", "classify", "a film", "--method", "random", "--json", "-", *args).stdout)[
            "scores"
        ]

    assert scores("--seed", "1") == scores("--seed", "1") != scores("--seed", "2")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["a film", "--method", "integrated_gradient"], "Did you mean 'integrated_gradients'"),
        (["a film", "--target", "POSITVE"], "Did you mean 'POSITIVE'"),
        ([" "], "nothing to explain"),
        (["--file", "no-such-file.txt"], "no-such-file.txt"),
        (["a film", "-o", "step=3"], "Did you mean 'steps'"),
    ],
)
def test_failures_are_one_line_and_exit_1(args, said):
    done = run("explain", "classify", *args)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["explain", "classify"],
        ["explain", "classify", "a", "--file", "b"],
        ["nothing"],
        ["explain", "classify", "a", "-o", "steps"],
        ["explain", "classify", "a", "--layer", "x"],
    ],
)
def test_usage_is_exit_2(args):
    assert run(*args).exit_code == 2


def test_binary_files_are_refused(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    done = run("explain", "classify", "--file", str(tmp_path / "x.txt"))
    assert done.exit_code == 1
    assert "not UTF-8" in done.stderr


def test_explains_an_answer_to_stdout_json_and_html(tmp_path):
    done = run("explain", "qa", *ASKED)
    assert done.exit_code == 0, done.stderr
    assert "The model answers “Mary Shelley” (" in done.stdout
    page = tmp_path / "why.html"
    done = run("explain", "qa", *ASKED, "--target", "start", "--target", "end", "--layers", "--attention",
               "--json", "-", "--html", str(page))  # fmt: skip
    whys = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.target.kind for why in whys] == ["start", "end"]
    assert whys[0].attention["self"].scores.shape[:2] == (6, 12)
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
    done = run("attention", "classify", "a gripping film", "--method", method, "--json", "-")
    assert xai_nlp.Explanation.from_json(done.stdout).method == method


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (("explain", "qa", "--question", QUESTION), 2, "--context"),
        (("explain", "qa", *ASKED, "--answer", "Ada"), 1, "does not hold"),
        (("explain", "qa", *ASKED, "--target", "middle"), 1, "unknown target"),
        (("attention", "qa", *ASKED, "--method", "saliency"), 1, "does not look at attention"),
        (("attention", "qa", *ASKED, "--method", "attention_role"), 1, "unknown method"),
    ],
)
def test_mistakes(given, code, said):
    done = run(*given)
    assert done.exit_code == code
    assert said in done.stderr


def test_explains_what_a_model_writes(tmp_path):
    model, tokenizer = writing("gpt2")
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    done = run("explain", "generation", "The plot is thin", "--model", str(tmp_path), "--answer", " great movie",
               "--target", "words", "--json", "-")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    whys = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert len(whys) == len(tokenizer(" great movie")["input_ids"])
    assert {why.task for why in whys} == {"text-generation"}
    assert {why.unit for why in whys} == {"log-probability"}
    refused = run("explain", "generation", "The plot", "--model", str(tmp_path), "--chat")
    assert refused.exit_code == 1
    assert "has no chat template" in refused.stderr


def test_explains_an_answer_in_the_terminal_json_and_html(image, tmp_path):
    done = run("explain", "vqa", "--image", str(image), "--question", SCENE_QUESTION)
    assert done.exit_code == 0, done.stderr
    assert f"The model answers “{EXAMPLE.question.answer}” (" in done.stdout
    assert "lies in the image" in done.stdout
    page = tmp_path / "why.html"
    done = run("explain", "vqa", "--image", str(image), "--question", SCENE_QUESTION, "--attention",
               "--json", "-", "--html", str(page))  # fmt: skip
    (why,) = [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert why.prediction == EXAMPLE.question.answer and why.image.size == (96, 96)
    assert why.attention["image"].scores.shape == (5, 3, len(why.tokens), 64)
    assert "data:image/" in page.read_text(encoding="utf-8")


def test_contrasts_regions_sides_and_options(image):
    done = run("explain", "vqa", "--image", str(image), "--question", SCENE_QUESTION, "--answer", "red",
               "--rather-than", "blue", "--regions", "grid:4", "--image-baseline", "blur", "--moves", "image",
               "-o", "steps=9",
               "--json", "-")  # fmt: skip
    why = xai_nlp.Explanation.from_json(done.stdout)
    assert (why.target.label, why.target.contrast) == ("red", "blue")
    assert len(why.image.boxes) == 16 and why.shares["image"] == 1
    assert (why.params["moves"], why.params["image_baseline"]) == ("image", "blur")


def test_attention(image):
    done = run("attention", "vqa", "--image", str(image), "--question", SCENE_QUESTION)
    assert done.exit_code == 0, done.stderr
    assert "layer" in done.stdout


def test_what_is_no_image_is_told_in_one_line(tmp_path):
    (tmp_path / "scene.png").write_text("hello")
    done = run("explain", "vqa", "--image", str(tmp_path / "scene.png"), "--question", SCENE_QUESTION)
    assert done.exit_code == 1 and "scene.png" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert run("explain", "vqa", "--image", str(tmp_path / "none.png"), "--question", SCENE_QUESTION).exit_code == 2


# Files of records -----------------------------------------------------------------------------------------------------


def explained(*arguments, stdin=None):
    done = run("explain", *arguments, "--json", "-", stdin=stdin)
    assert done.exit_code == 0, done.stderr
    return [xai_nlp.Explanation.from_json(line) for line in done.stdout.splitlines()]


def test_a_table_with_columns_of_other_names_and_what_is_right(tmp_path):
    file = tmp_path / "reviews.csv"
    file.write_text("Body,Second,stars\na gripping film,,1\na dull mess,NA,1\n", encoding="utf-8")
    columns = ("--column", "text=body", "--column", "pair=Second", "--column", "gold=stars")
    first, second = explained("classify", "--data", str(file), *columns)
    assert (first.segments, second.segments) == (("a gripping film",), ("a dull mess", "NA"))
    assert (first.gold, first.correct, second.gold, second.correct) == (("POSITIVE",), True, ("POSITIVE",), False)


def test_every_method_and_target_of_a_record_knows_what_is_right(tmp_path):
    rows = [{"question": QUESTION, "context": CONTEXT, "answers": answers} for answers in (["the Mary Shelley"], ["x"])]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    targets = ("--target", "start", "--target", "end", "--method", "saliency", "--method", "occlusion")
    results = explained("qa", "--data", str(tmp_path / "a.jsonl"), *targets)
    assert [why.gold for why in results] == [("the Mary Shelley",)] * 4 + [("x",)] * 4
    assert [why.correct for why in results] == [True] * 4 + [False] * 4


def test_images_lie_beside_their_table(image):
    row = ",".join(["scene.png", SCENE_QUESTION, EXAMPLE.question.answer])
    (image.parent / "a.csv").write_text(f"image,question,answer\n{row}\n")
    (why,) = explained("vqa", "--data", str(image.parent / "a.csv"))
    assert (why.prediction, why.correct) == (EXAMPLE.question.answer, True)


def test_records_on_stdin():
    line = json.dumps({"question": QUESTION, "context": CONTEXT})
    assert [why.prediction for why in explained("qa", "--data", "-", stdin=f"{line}\n{line}")] == ["Mary Shelley"] * 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--data", "a.csv", "a film"), 2, "give TEXT, or --file, not both"),
        (("a film", "--column", "text=body"), 2, "--column and --limit are about the rows of --file"),
        (("a film", "--limit", "3"), 2, "--column and --limit are about the rows of --file"),
        (("--data", "a.csv", "--column", "txt"), 1, "unknown column of a.csv 'txt'"),
        (("--data", "a.csv"), 1, "a.csv has no column for text"),
        (("--data", "a.csv", "--column", "text=bodies"), 1, "unknown column of a.csv 'bodies'"),
        (("--data", "b.csv"), 1, "b.csv, line 2: 1 cells, where the header has 2"),
    ],
)
def test_wrong_files_and_columns(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("Body\na film\n")
    (tmp_path / "b.csv").write_text("text,label\na film\n")
    done = run("explain", "classify", *arguments)
    assert done.exit_code == code, done.output
    assert message in " ".join(done.stderr.replace("│", " ").split())


def test_pictures_are_named_on_the_command_line(tmp_path):
    """One argument or several; a table of paths with the right labels works, too."""
    examples = list(labelled_scenes(2, seed=7))
    for n, example in enumerate(examples):
        example.scene.image().save(tmp_path / f"{n}.png")
    names = [str(tmp_path / f"{n}.png") for n in range(2)]
    done = run("explain", "image", *names, "--method", "grad_cam", "--json", "-")
    whys = [xai_nlp.core.result.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.prediction for why in whys] == [example.label for example in examples]
    rows = "".join(f"{name},{example.label}\n" for name, example in zip(names, examples, strict=True))
    (tmp_path / "table.csv").write_text("image,label\n" + rows)
    done = run("explain", "image", "--data", str(tmp_path / "table.csv"), "--method", "saliency", "--json", "-")
    whys = [xai_nlp.core.result.Explanation.from_json(line) for line in done.stdout.splitlines()]
    assert [why.correct for why in whys] == [True, True]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a film\n\n another \n", [{"text": "a film"}, {"text": "another"}]),
        ('\n{"review": "a film"}\n{"review": "b"}', [{"text": "a film"}, {"text": "b"}]),
    ],
)
def test_stdin_holds_lines_of_text_or_json_lines(monkeypatch, text, rows):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert [record.inputs for record in read_data(Path("-")).records(find_task("classify").inputs)] == rows


def test_files_are_tables(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"text": "a film"}]))
    assert list(read_data(tmp_path / "a.json")) == [{"text": "a film"}]


@pytest.fixture
def reviews(tmp_path, monkeypatch):
    """A table of three reviews, one of them empty, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews.csv").write_text("id,body,label\n1,a gripping film,1\n2, ,0\n3,a dull mess,1\n")
    return tmp_path


def test_a_bare_column_is_that_of_the_first_input_and_rows_are_limited(reviews):
    (why,) = explained("classify", "--file", "reviews.csv", "--column", "body", "--limit", "1")
    assert (why.segments, why.gold, why.correct) == (("a gripping film",), ("POSITIVE",), True)


def test_the_first_failure_ends_the_command_and_names_the_row(reviews):
    done = run("explain", "classify", "--file", "reviews.csv", "--column", "body", "--json", "out.jsonl")
    assert done.exit_code == 1
    assert "error: reviews.csv, record 1: the text is empty" in done.stderr
    assert "2 explanations in out.jsonl" in done.stderr


def test_failures_are_recorded_and_printed_at_the_end(reviews):
    done = run("explain", "classify", "--file", "reviews.csv", "--column", "body", "--json", "out.jsonl",
               "--on-error", "record", "--quiet")  # fmt: skip
    assert (done.exit_code, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first == "1 of the inputs could not be explained:"
    assert second.startswith("error: reviews.csv, record 1: the text is empty")
    assert [why.gold for why in xai_nlp.Explanations.load("out.jsonl")] == [("POSITIVE",)] * 2


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_paths_are_checked_before_a_model_is_loaded(tmp_path, monkeypatch, option):
    monkeypatch.setattr(xai_nlp, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    for path, message in ((tmp_path / "no" / "a", "there is no folder"), (tmp_path, "is a folder; name a file in it")):
        done = run("explain", "classify", "a film", option, str(path))
        assert (done.exit_code, message in done.stderr) == (1, True), done.stderr


def test_device_dtype_and_batch_size_reach_the_model(monkeypatch):
    loaded, load = [], xai_nlp.load

    def recorded(source, **options):
        loaded.append(options)
        return load(source, **options)

    monkeypatch.setattr(xai_nlp, "load", recorded)
    options = ("--device", "cpu", "--dtype", "float64", "--batch-size", "2", "--json", "-")
    (why,) = explained("classify", "a film", *options[:-2])
    assert loaded == [{"task": "text-classification", "device": "cpu", "dtype": "float64"}]
    assert why.residual == pytest.approx(0, abs=0.05)
    assert "cannot be moved to moon" in run("explain", "classify", "a film", "--device", "moon").stderr


def test_the_first_text_is_the_argument_of_every_command():
    as_argument = explained("qa", QUESTION, "--context", CONTEXT)
    assert as_argument == explained("qa", "--question", QUESTION, "--context", CONTEXT)
    both = explained("classify", "a film", "--text", "a mess")
    assert [why.segments for why in both] == [("a film",), ("a mess",)]


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m xai_nlp.cli explain classify {'film ' * 40} --quiet --json - | head -c 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("{", "")


def test_ctrl_c_keeps_what_is_done(tmp_path):
    (tmp_path / "a.txt").write_text("a gripping film that I liked very much\n" * 2000)
    command = [sys.executable, "-m", "xai_nlp.cli", "explain", "classify", "--file", "a.txt", "--json", "out.jsonl",
               "--html", "out.html", "--method", "shapley"]  # fmt: skip
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    out = tmp_path / "out.jsonl"
    for _ in range(1200):
        if any(part.stat().st_size for part in tmp_path.glob("out.jsonl*")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    done = xai_nlp.Explanations.load(out)
    assert process.returncode == 130, err
    assert 8 <= len(done) < 2000
    assert err.strip().splitlines()[-1] == f"stopped: {len(done):,} explanations in out.jsonl and out.html."
    assert "gripping" in (tmp_path / "out.html").read_text(encoding="utf-8")


# Every task -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.command)
def test_every_task_has_all_common_options(task, attention):
    parameters = signature(task_command(task, attention=attention)).parameters
    common = {one.name for one in COMMON_OPTIONS} - (set() if task.reads_text else TEXT_OPTIONS)
    assert set(parameters) >= SHARED | common | {one.name for one in (*task.inputs, *task.options)}
    # a model must be named if none is embedded
    assert parameters["model"].default == (task.embedded or Parameter.empty)
    if attention and not task.reads_text:  # there is no such command
        return
    shown = task_help(task, attention)
    assert "Examples:" in shown and f"{task.command} --file rows.csv" in shown


def task_help(task, attention):
    done = run("attention" if attention else "explain", task.command, "--help")
    return " ".join(done.stdout.split())
