"""The doctor: each planted fault is found by its own check, what is sound is healthy, and the model is handed back."""

import re
from dataclasses import replace

import pytest
import torch

import xai_nlp
from tests.models import faulty
from tests.models.broken_folders import BREAKS, content, good_folder
from tests.models.tiny import tiny
from tests.recipes.architectures import MODELS
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import fingerprint
from xai_nlp.methods import METHODS
from xai_nlp.tasks.doctor import OF_OUTPUTS, doctor
from xai_nlp.tasks.table import find_task

EXAMPLE = {"text": "a dull film"}
FEW = ["integrated_gradients", "occlusion", "attention_rollout"]

#: Planted fault -> its check, the level, words of the sentence, and other checks that may see it too.
FAULTS = {
    faulty.slow_tokenizer: ("tokenizer offsets", "error", "does not give the offsets", set()),
    faulty.wrong_offsets: ("tokenizer offsets", "error", "offsets of .* are wrong", {"methods"}),
    faulty.table_too_small: ("vocabulary", "error", "2 of the tokenizer's", set()),
    faulty.added_tokens: ("vocabulary", "warning", "such as xai", set()),
    faulty.nan_weights: ("weights", "error", r"1 of \d+ weights hold NaN.*layer.1.output.dense.weight", {"prediction"}),
    faulty.infinite_weights_apart: ("weights", "error", "word_embeddings.weight", set()),
    faulty.training_mode: ("evaluation mode", "warning", "left in training mode", set()),
    faulty.half_precision: ("dtype", "warning", "bfloat16", set()),
    faulty.two_dtypes: ("dtype", "warning", "partly float32 and partly float64", set()),
    faulty.int8: ("quantisation", "warning", "quantised", {"gradients", "methods", "padding", "batch order"}),
    faulty.random_output: ("prediction", "error", "random numbers", set()),
    faulty.embedding_called_but_not_used: (
        "embeddings", "error", "embeddings elsewhere", {"gradients", "positions and types", "methods"},
    ),
    faulty.positions_not_used: ("positions and types", "warning", "position .* changes nothing", set()),
    faulty.layer_skipped: ("layers", "error", "Replacing the output of encoder.layer.1 changes nothing", {"attention"}),
    faulty.attention_not_replaced: ("attention", "error", "read, but not replaced", {"methods"}),
    faulty.attention_of_its_own_kind: ("attention", "error", "Reading the attention changes the output", set()),
    faulty.attention_out_of_reach: ("attention", "warning", "cannot be reached", {"methods"}),
    faulty.gradient_detached: ("gradients", "error", "does not depend on the inputs", {"methods"}),
    faulty.gradient_rounded_away: ("gradients", "error", "by the text is 0 everywhere", {"methods"}),
    faulty.without_gradient: ("gradients", "error", "does not depend on the inputs", {"methods"}),
    faulty.gradient_of_a_part: ("gradients", "warning", "apart from a difference quotient", set()),
    faulty.padding_read: ("padding", "error", "Padding changes", set()),
    faulty.without_pad: ("padding", "warning", "pad token", {"batch order", "methods"}),
    faulty.batch_statistics: ("batch order", "error", "runs beside it", set()),
    faulty.batch_order: ("batch order", "error", "its place in the batch", set()),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("plant", FAULTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found_by_its_own_check(plant):
    name, level, words, others = FAULTS[plant]
    diagnosis = doctor(*plant(), example=EXAMPLE, methods=FEW, progress=False)
    check = diagnosis[name]
    assert check.level == level
    assert re.search(words, check.sentence), check.sentence
    assert check.fix
    assert diagnosis.healthy == (level != "error" and not [c for c in diagnosis if c.level == "error"])
    assert {one.name for one in diagnosis if one.level != "ok"} <= {name, *others}, list(diagnosis)


def test_an_image_that_is_not_read_is_found():
    diagnosis = doctor(faulty.image_not_read(), methods=FEW, progress=False)
    assert diagnosis["image"].level == "error" and "no region would have a score" in diagnosis["image"].sentence
    assert {one.name for one in diagnosis if one.level != "ok"} <= {"image", "gradients", "methods"}


@pytest.mark.parametrize("key", MODELS, ids=" ".join)
def test_every_tiny_architecture_is_healthy(key):
    explainer = MODELS[key]()
    explainer.predict(**explainer.example())  # at the first pass transformers attaches hooks of its own
    before, drawn = fingerprint(explainer.model), torch.get_rng_state()
    diagnosis = doctor(explainer, methods=FEW, progress=False)
    assert diagnosis.healthy, [check for check in diagnosis if check.level == "error"]
    assert {check.name for check in diagnosis if check.level == "warning"} <= {"methods", "attention"}
    assert not diagnosis.omitted and diagnosis.task == key[1]
    assert fingerprint(explainer.model) == before
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.parametrize("name", ["sentiment", "qa", "image", "vqa"])
def test_every_embedded_model_is_healthy_by_all_checks(name):
    diagnosis = doctor(name, methods=FEW, progress=False)
    assert {check.level for check in diagnosis} == {"ok"}
    assert diagnosis["files"].sentence.endswith("and no pickle.")


def test_every_method_is_tried():
    diagnosis = doctor(*tiny("bert"), progress=False)
    assert [trial.method for trial in diagnosis.methods] == sorted(METHODS)
    assert diagnosis["methods"].sentence == f"{len(METHODS)} of {len(METHODS)} explain the example."


@pytest.mark.parametrize("plant", [faulty.model, faulty.nan_weights, faulty.random_output, faulty.without_gradient])
def test_the_model_is_handed_back(plant):
    model, tokenizer = plant()
    model.train()
    model.bert.encoder.layer[0].eval()  # a mixed state
    model.classifier.requires_grad_(False)
    before = fingerprint(model)
    doctor(model, tokenizer, methods=FEW, progress=False)
    assert fingerprint(model) == before


def test_a_check_that_raises_does_not_stop_the_others(monkeypatch):
    def raises(probe):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(OF_OUTPUTS, "layers", raises)
    diagnosis = doctor(*tiny("bert"), methods=FEW, progress=False)
    check = diagnosis["layers"]
    assert (check.level, check.sentence) == ("error", "ZeroDivisionError: by zero") and check.fix
    assert [one.name for one in diagnosis if one.level != "ok"] == ["layers"]
    assert len(diagnosis) == len(doctor(*tiny("bert"), methods=FEW, progress=False))


def test_what_needs_an_output_is_omitted_where_there_is_none():
    diagnosis = doctor(*faulty.nan_weights(), progress=False)
    assert diagnosis.omitted == (*OF_OUTPUTS, "cost", "methods") and not diagnosis.methods
    random = doctor(*faulty.random_output(), methods=FEW, progress=False)
    assert random.omitted == tuple(OF_OUTPUTS) and len(random.methods) == len(FEW)


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_folder_is_one_error_in_words(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = good_folder(tmp_path / "model")
    BREAKS[name](folder)
    diagnosis = doctor(folder, methods=["integrated_gradients"], progress=False)
    assert not diagnosis.healthy
    for check in diagnosis:
        assert check.sentence.endswith((".", "…")) or check.level == "ok", check
        assert check.level == "ok" or check.fix
        assert "Traceback" not in check.sentence
    assert not {path.name for path in tmp_path.rglob("*")} & {"unpickled", "code ran"}


def test_a_pickle_beside_the_weights_is_a_warning(tmp_path):
    folder = good_folder(tmp_path / "model")
    content("pytorch_model.bin", b"")(folder)
    check = doctor(folder, methods=FEW, progress=False)["files"]
    assert check.level == "warning" and str(folder / "pytorch_model.bin") in check.fix


def test_a_folder_with_pickles_only_is_refused_by_its_files(tmp_path):
    folder = good_folder(tmp_path / "model")
    BREAKS["weights: pickles only"](folder)
    (check,) = doctor(folder, progress=False)
    assert (check.name, check.level) == ("files", "error")
    assert "model.save_pretrained(folder)" in check.fix


def test_no_connection_is_opened(monkeypatch):
    def refuse(*_):
        raise AssertionError("a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    (check,) = doctor("someone/a-model", progress=False)
    assert (check.name, check.level) == ("loading", "error") and "opens no connection" in check.fix


# Calls ---------------------------------------------------------------------------------------------------------------


def test_it_takes_what_load_takes():
    explainer = xai_nlp.load(*tiny("bert"))
    for source in (explainer, explainer.model):
        tokenizer = None if source is explainer else explainer.tokenizer
        assert xai_nlp.doctor(source, tokenizer, methods=FEW, progress=False).healthy
    assert doctor(*tiny("bert", task="fill-mask"), task="mask", methods=FEW, progress=False).task == "fill-mask"


def test_a_wrong_call_is_refused():
    with pytest.raises(UnknownName, match="Did you mean 'shapley'"):
        doctor("sentiment", methods=["shaply"])
    with pytest.raises(UnknownName, match="unknown task"):
        doctor("sentiment", task="clasify")
    with pytest.raises(InvalidInput, match="dtype: the model is loaded already"):
        doctor(xai_nlp.load(*tiny("bert")), dtype="float64")
    with pytest.raises(InvalidInput, match="question"):
        doctor("qa", example={"context": "a film"})


def test_a_text_of_ones_own_is_tried():
    diagnosis = doctor("sentiment", example={"text": "a dull film"}, methods=FEW, progress=False)
    assert "'NEGATIVE'" in diagnosis["prediction"].sentence


def test_an_example_in_another_language_says_what_to_do():
    diagnosis = doctor(*tiny("bert"), example={"text": "映画"}, progress=False)
    assert [check.name for check in diagnosis.of_level("error")] == ["tokenizer offsets", "prediction"]
    for check in diagnosis.of_level("error"):
        assert "does not know most of the text" in check.sentence
        assert "one of its languages" in check.fix and "example={…}" in check.fix


def test_a_task_of_ones_own_is_examined():
    """The example is made from the inputs of its row."""
    task = replace(find_task("classify"), name="own", command="own", examples=({"text": "a dull film"},))
    explainer = xai_nlp.load(*tiny("bert"))
    own = type(explainer)(explainer.loaded, task)
    assert own.example() == {"text": "a dull film"}
    assert doctor(own, methods=FEW, progress=False).task == "own"
