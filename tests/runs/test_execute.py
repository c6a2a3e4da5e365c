"""A run from the plan to the files: what it writes, what ends it, and how it goes on."""

import itertools
import os
import random
import signal
import time

import pyarrow.parquet
import pytest

import xai_nlp
from tests.models.tiny import tiny
from xai_nlp.errors import InvalidInput, UnknownName, UnreadableFile
from xai_nlp.runs import batch, execute, rows
from xai_nlp.runs.execute import locked, prepare
from xai_nlp.runs.shards import finished

WORDS = ["a", "fine", "dull", "film", "that", "never", "ends", "and", "so", "on", "for", "ever", "with", "a", "plot"]
TEXTS = [" ".join(itertools.islice(itertools.cycle(WORDS[n % 7 :]), 1 + n % 13)) for n in range(60)]
DATA = {"text": TEXTS, "label": [str(n % 2) for n in range(60)]}
QUIET = {"method": "input_x_gradient", "progress": False}


@pytest.fixture
def small(monkeypatch):
    """Batches and files are small, so that there are many."""
    monkeypatch.setattr(rows, "BATCH_TOKENS", 32)
    monkeypatch.setattr(rows, "SHARD_ROWS", 8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a tiny model."""
    folder = tmp_path_factory.mktemp("model")
    for part in tiny("bert"):
        part.save_pretrained(folder)
    return folder


def stopped_after(count, monkeypatch, stop):
    """`stop` is called once so many batches are explained."""
    explained = iter(range(count))

    def explain_rows(*arguments):
        table = batch.explain_rows(*arguments)
        if next(explained, None) is None:
            stop()
        return table

    monkeypatch.setattr("xai_nlp.runs.engines.explain_rows", explain_rows)


def test_the_rows_are_those_of_explain(model, tmp_path, small):
    found = xai_nlp.run(DATA, model, directory=tmp_path, **QUIET)
    one_by_one = [xai_nlp.explain({k: v[n : n + 1] for k, v in DATA.items()}, model=model, **QUIET)[0] for n in (0, 31)]
    assert len(found) == 60 and found.inputs == tuple(range(60))
    assert [item.segments for item in found] == [(text,) for text in TEXTS]
    for item, same in zip((found[0], found[31]), one_by_one, strict=True):
        assert (item.tokens, item.gold, item.target, item.params) == (same.tokens, same.gold, same.target, same.params)
        assert item.scores == pytest.approx(same.scores, abs=1e-6)
    assert {item.gold for item in found} == {(label,) for label in xai_nlp.load(model).labels.names[:2]}
    files = finished(tmp_path)
    assert len(files) > 5 and [place for part in files for place in part] == list(range(60))
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["plan.json", *(f.name for f in files.values())])


def test_ctrl_c_ends_after_the_batch_and_the_same_call_goes_on(model, tmp_path, small, monkeypatch):
    undisturbed = xai_nlp.run(DATA, model, directory=tmp_path / "whole", **QUIET)
    with monkeypatch.context() as patch:
        stopped_after(5, patch, lambda: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            xai_nlp.run(DATA, model, directory=tmp_path / "run", **QUIET)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    done = finished(tmp_path / "run")
    batches = prepare(DATA, model, directory=tmp_path / "run", method="input_x_gradient").survey.batches
    assert [place for part in done for place in part] == list(range(batches[5].stop))  # six of them
    before = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in done.values()}
    half = xai_nlp.read_run(tmp_path / "run")
    assert len(half) == batches[5].stop and list(half) == [undisturbed[row] for row in half.inputs]
    resumed = xai_nlp.run(DATA, model, directory=tmp_path / "run", **QUIET)
    assert resumed == undisturbed and resumed.plan.identity == undisturbed.plan.identity
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in before} == before


def test_a_disk_that_is_full_ends_the_run_which_goes_on_later(model, tmp_path, small, monkeypatch):
    writes = iter(range(4))

    def full(_):
        if next(writes, None) is None:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            xai_nlp.run(DATA, model, directory=tmp_path, **QUIET)
    assert len(finished(tmp_path)) == 3  # the plan was the first write
    assert not list(tmp_path.glob("*.part"))
    assert xai_nlp.run(DATA, model, directory=tmp_path, **QUIET).inputs == tuple(range(60))


def test_a_row_that_fails_is_a_row_with_its_error(model, tmp_path, small, monkeypatch):
    def explain_and_record(explainer, request):
        if any(example["text"] == "raise" for example in request.examples):
            raise RuntimeError("out of luck")
        return explain(explainer, request)

    explain = batch.explain_and_record
    monkeypatch.setattr(batch, "explain_and_record", explain_and_record)
    texts = [*TEXTS[:5], "raise", "", "fine " * 500, *TEXTS[5:9]]
    found = xai_nlp.run({"text": texts}, model, directory=tmp_path / "run", long="error", **QUIET)
    assert found.inputs == (0, 1, 2, 3, 4, 8, 9, 10, 11)
    assert list(found.errors) == [5, 6, 7]
    assert found.errors[5] == "RuntimeError: out of luck"
    assert "empty" in found.errors[6] and "tokens" in found.errors[7]
    tables = [pyarrow.parquet.read_table(file) for file in finished(tmp_path / "run").values()]
    assert sorted(row for table in tables for row in table["row"].to_pylist()) == list(range(12))
    fine = {"text": [texts[row] for row in found.inputs]}
    undisturbed = xai_nlp.run(fine, model, directory=tmp_path / "fine", **QUIET)
    for item, same in zip(found, undisturbed, strict=True):
        assert (item.tokens, item.target) == (same.tokens, same.target)
        assert item.scores == pytest.approx(same.scores, abs=1e-6)


def test_a_cell_that_is_no_text_is_an_error_of_its_row(model, tmp_path):
    found = xai_nlp.run([{"text": "a film"}, {"text": ["a", "list"]}], model, directory=tmp_path, **QUIET)
    assert found.inputs == (0,) and "list" in found.errors[1]


def test_a_dry_run_writes_nothing_and_has_numbers(model, tmp_path):
    plan = xai_nlp.run(DATA, model, directory=tmp_path / "run", dry_run=True, **QUIET)
    assert not (tmp_path / "run").exists()
    assert plan.rows == 60 and plan.tokens == sum(len(ids) for ids in xai_nlp.load(model).tokenizer(TEXTS)["input_ids"])
    assert plan.prediction.seconds > 0 and plan.prediction.memory > 2**20 and plan.prediction.disk > 100


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "saliency"}, "the method was input_x_gradient and is saliency"),
        ({"baseline": "zero"}, "options: baseline was not given and is zero"),
        ({"data": {"text": [*TEXTS[:-1], "other"], "label": DATA["label"]}}, "the data has other rows or answers"),
        ({"data": {"text": TEXTS, "label": ["0"] * 60}}, "the data has other rows or answers"),
        ({"limit": 9}, "data: rows was 60 and is 9"),
        ({"model": "sentiment"}, "the model has other weights, config or tokenizer"),
    ],
)
def test_a_changed_plan_is_refused_with_the_difference(model, tmp_path, change, named):
    call = {"data": DATA, "model": model, "directory": tmp_path, **QUIET}
    first = xai_nlp.run(**call)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(InvalidInput, match="holds another run") as caught:
        xai_nlp.run(**{**call, **change})
    assert named in str(caught.value)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before
    assert xai_nlp.run(**call, batch_size=3) == first  # results do not depend on it


def test_one_changed_weight_is_another_model(tmp_path):
    model, tokenizer = tiny("bert")
    call = {"tokenizer": tokenizer, "directory": tmp_path, **QUIET}
    xai_nlp.run(DATA, model, **call)
    model.base_model.embeddings.word_embeddings.weight.data[5, 0] += 1
    with pytest.raises(InvalidInput, match="the model has other weights"):
        xai_nlp.run(DATA, model, **call)


def test_folders_and_data_that_cannot_be_used_are_named(model, tmp_path, monkeypatch):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("review_text,stars\na,1\nb,2\n")
    call = {"model": model, "directory": tmp_path / "run", **QUIET}
    with pytest.raises(UnreadableFile, match=r"empty\.csv is empty"):
        xai_nlp.run(tmp_path / "empty.csv", **call)
    with pytest.raises(InvalidInput, match=r"other.csv has no column for text.*'review_text'"):
        xai_nlp.run(tmp_path / "other.csv", **call)
    with pytest.raises(UnknownName, match=r"'review_txt'\. Did you mean 'review_text'"):
        xai_nlp.run(tmp_path / "other.csv", column="review_txt", **call)
    with pytest.raises(UnknownName, match="stepz"):
        xai_nlp.run(DATA, stepz=3, **call)
    with pytest.raises(InvalidInput, match="holds other files"):
        xai_nlp.run(DATA, **{**call, "directory": tmp_path})
    with pytest.raises(InvalidInput, match="is a file"):
        xai_nlp.run(DATA, **{**call, "directory": tmp_path / "empty.csv"})
    with pytest.raises(InvalidInput, match="on_error is set by the run itself"):
        xai_nlp.run(DATA, on_error="raise", **call)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(InvalidInput, match="may not be written"):
        xai_nlp.run(DATA, **call)
    assert not (tmp_path / "run").exists()


def test_one_process_at_a_time(model, tmp_path):
    call = {"directory": tmp_path, **QUIET}
    xai_nlp.run(DATA, model, **call)
    with locked(tmp_path), pytest.raises(InvalidInput, match="another process executes"):
        xai_nlp.run(DATA, model, **call)


def test_several_methods_and_columns_of_other_names(model, tmp_path):
    table = {"comment": TEXTS[:4], "truth": ["1", "0", "1", "0"]}
    names = xai_nlp.load(model).labels.names
    found = xai_nlp.run(
        table, model, directory=tmp_path, method=["saliency", "input_x_gradient"],
        column={"text": "comment", "gold": "truth"}, progress=False,
    )  # fmt: skip
    assert found.inputs == (0, 0, 1, 1, 2, 2, 3, 3)
    assert [item.method for item in found] == ["saliency", "input_x_gradient"] * 4
    assert [item.gold for item in found[::2]] == [(names[1],), (names[0],)] * 2


def test_questions_with_their_answers(tmp_path):
    context = "Frankenstein was written by Mary Shelley in 1818."
    table = {"question": ["Who wrote it?", "When?"], "context": [context] * 2, "answers": [["Mary Shelley"], ["1818"]]}
    found = xai_nlp.run(table, directory=tmp_path, attention=True, **QUIET | {"method": "integrated_gradients"})
    direct = xai_nlp.explain(table, attention=True, progress=False)
    assert [item.gold for item in found] == [("Mary Shelley",), ("1818",)]
    assert found.plan.task == "question-answering" and found.inputs == tuple(direct.inputs)
    for item, same in zip(found, direct, strict=True):
        assert item.answer == same.answer
        assert item.attention["self"].scores.numpy() == pytest.approx(same.attention["self"].scores.numpy(), abs=1e-5)


def test_inputs_that_serve_all_rows(tmp_path):
    """One context for many questions."""
    context = "Frankenstein was written by Mary Shelley in 1818."
    found = xai_nlp.run({"question": ["Who?", "When?"]}, "qa", context=context, directory=tmp_path, **QUIET)
    assert {item.segments[1] for item in found} == {context}


# Workers --------------------------------------------------------------------------------------------------------------


def test_workers_load_the_model_themselves(tmp_path):
    model, tokenizer = tiny("bert")
    with pytest.raises(InvalidInput, match="give its name or folder, or engine='local' with workers=1"):
        xai_nlp.run(DATA, model, tokenizer=tokenizer, workers=2, directory=tmp_path, **QUIET)
    with pytest.raises(InvalidInput, match="at least 1"):
        xai_nlp.run(DATA, "sentiment", workers=0, directory=tmp_path, **QUIET)


@pytest.mark.slow
def test_a_killed_worker_loses_nothing_and_doubles_nothing(model, tmp_path, small, monkeypatch):
    undisturbed = xai_nlp.run(DATA, model, directory=tmp_path / "whole", **QUIET)
    pids, random_ = [], random.Random(0)
    process, write = execute.in_processes, execute.write_shard

    def begun(*arguments):
        from xai_nlp.runs import engines

        start = engines._Process.__init__

        def init(self, worker):
            start(self, worker)
            pids.append(self.process.pid)

        monkeypatch.setattr(engines._Process, "__init__", init)
        return process(*arguments)

    def write_and_kill(*arguments):
        write(*arguments)
        if len(pids) < 4:
            time.sleep(random_.uniform(0, 0.1))
            os.kill(pids[-1], signal.SIGKILL)

    monkeypatch.setattr(execute, "in_processes", begun)
    monkeypatch.setattr(execute, "write_shard", write_and_kill)
    found = xai_nlp.run(DATA, model, directory=tmp_path / "run", workers=2, **QUIET)
    assert len(pids) >= 4  # two of them are those that others took the place of
    assert found.inputs == undisturbed.inputs and not found.errors
    for item, same in zip(found, undisturbed, strict=True):
        assert (item.tokens, item.prediction) == (same.tokens, same.prediction)
        assert item.scores == pytest.approx(same.scores, abs=1e-6)


@pytest.mark.slow
def test_a_worker_that_cannot_load_the_model_says_why(model, tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "_on_device", lambda load, number: {**load, "source": "no such model"})
    with pytest.raises(InvalidInput, match="a worker cannot load the model"):
        xai_nlp.run(DATA, model, directory=tmp_path, workers=2, **QUIET)
