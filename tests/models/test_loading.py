"""Models by name, by folder and as given: each way in works, or is refused in one sentence."""

import json
import pickle
import shutil
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertForTokenClassification,
    BertModel,
    CLIPConfig,
    CLIPForImageClassification,
    TextClassificationPipeline,
)
from transformers.utils import logging

import xai_nlp
from tests.cli.command import run
from tests.models import broken_folders
from tests.models.broken_folders import BREAKS, good_folder
from tests.models.tiny import tiny
from tests.models.tiny_vision_language import loaded
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported, XaiError
from xai_nlp.models import loading, model_folder
from xai_nlp.tasks.table import TASKS
from xai_nlp.web.model_registry import ModelRegistry

load_model = partial(loading.load_model, tasks=TASKS)


def folder_of(path, model, tokenizer=None):
    """A folder as `save_pretrained` writes it."""
    model.save_pretrained(path)
    if tokenizer is not None:
        tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def folder(tmp_path):
    return folder_of(tmp_path / "reviews", *tiny("bert"))


def test_loading(folder):
    model, _ = tiny("bert")
    loaded = load_model(folder)
    assert loaded.name == folder.name
    assert not loaded.model.training
    assert load_model("zoo/sentiment").name == load_model().name == "zoo/sentiment"
    with pytest.raises(InvalidInput, match="needs its tokenizer"):
        load_model(model)
    with pytest.raises(Unsupported, match="fast tokenizer"):
        load_model(model, object())


def test_an_unknown_model_is_named(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UnknownName, match="Did you mean 'sentiment'"):
        load_model("sentimnt")


# Tasks ----------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    title: str
    auto_class: str
    class_endings: tuple[str, ...]


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("BertForQuestionAnswering", "question-answering"),
        ("GPT2LMHeadModel", "text-generation"),
        ("LlamaForCausalLM", "text-generation"),
        ("BertModel", "sentence-similarity"),
        ("BertForPreTraining", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("T5ForConditionalGeneration", "text2text-generation"),
        ("MarianMTModel", "text2text-generation"),
    ],
)
def test_the_task_is_read_from_the_classes(architecture, task):
    model = type(architecture, (torch.nn.Linear,), {})(1, 1)
    assert load_model(model, tiny("bert")[1]).task == task
    assert load_model(model, tiny("bert")[1], task="question-answering").task == "question-answering"


def test_a_task_table_of_ones_own(tmp_path):
    model, tokenizer = tiny("bert")
    tasks = {"masks": Row("Masks", "AutoModelForMaskedLM", ("ForMaskedLM",))}
    folder_of(tmp_path, BertForMaskedLM(model.config), tokenizer)
    loaded = load_model(tmp_path, tasks=tasks)
    assert (loaded.task, type(loaded.model)) == ("masks", BertForMaskedLM)
    with pytest.raises(UnknownName, match="unknown task 'masks'"):
        load_model(tmp_path, task="masks")


# Untrained heads ------------------------------------------------------------------------------------------------------


def config_of(**more):
    return BertConfig(
        vocab_size=len(tiny("bert")[1]), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, **more,
    )  # fmt: skip


def test_a_head_of_another_task_is_refused(tmp_path):
    """Also where its weights have the names and shapes of the other's."""
    folder_of(tmp_path, BertForTokenClassification(config_of(num_labels=2)), tiny("bert")[1])
    says = (
        r"holds a BertForTokenClassification; its head for text classification would be untrained. Load it with task='t"
    )
    with pytest.raises(InvalidInput, match=says):
        load_model(tmp_path, task="text-classification")
    assert load_model(tmp_path).task == "token-classification"
    with pytest.raises(InvalidInput, match=r"zoo/qa holds a BertForQuestionAnswering; .*task='question-answering'"):
        xai_nlp.explain("a film", model="qa", task="text-classification")


@pytest.mark.parametrize(
    ("cls", "says"),
    [
        (BertModel, "holds a BertModel; its head for text classification would be untrained"),
        (BertForPreTraining, "holds a BertForPreTraining; for text classification these weights would be untrained"),
    ],
)
def test_a_model_without_the_head_is_refused(tmp_path, cls, says):
    folder_of(tmp_path, cls(config_of()), tiny("bert")[1])
    with pytest.raises(InvalidInput, match=says):
        load_model(tmp_path, task="text-classification")


def test_a_head_that_holds_another_is_taken(tmp_path):
    folder_of(tmp_path, BertForPreTraining(config_of()), tiny("bert")[1])
    assert load_model(tmp_path, task="fill-mask").task == "fill-mask"


def test_a_head_for_another_number_of_labels_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): f"L{i}" for i in range(5)}
    config["label2id"] = {f"L{i}": i for i in range(5)}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(InvalidInput, match=r"these weights would be untrained: classifier.bias, classifier.weight"):
        load_model(folder)


# Folders --------------------------------------------------------------------------------------------------------------


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    model, tokenizer = tiny("bert")
    folder_of(tmp_path, model)
    with pytest.raises(InvalidInput, match=r"holds no tokenizer: none of tokenizer.json, vocab.txt"):
        load_model(tmp_path)
    assert load_model(tmp_path, tokenizer).tokenizer is tokenizer


def test_a_folder_with_pickles_only_says_how_to_convert_it(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(Unsupported, match=r"only pytorch_model.bin, which could run code.*save_pretrained"):
        load_model(folder)


def test_folders_that_hold_no_model(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(Unsupported, match="holds no weights"):
        load_model(folder)
    (folder / "config.json").unlink()
    with pytest.raises(InvalidInput, match=r"holds no config\.json"):
        load_model(folder)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return good_folder(tmp_path_factory.mktemp("models") / "good")


@pytest.fixture
def no_pickle(monkeypatch, tmp_path):
    """Unpickling fails, and leaves a trace where code could run."""

    def refuse(*_, **__):
        pytest.fail("something was unpickled")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    yield
    assert not {"unpickled", "code ran"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("way", BREAKS)
def test_a_broken_folder_is_refused_in_one_line(way, good, tmp_path, no_pickle, capfd):
    folder = tmp_path / "broken"
    shutil.copytree(good, folder)
    BREAKS[way](folder)
    said = set()
    for call in (
        lambda: xai_nlp.load(folder).explain("a dull film"),
        lambda: xai_nlp.explain("a dull film", model=str(folder)),
        lambda: ModelRegistry.of([str(folder)]).explainer(str(folder)).predict("a dull film"),
    ):
        with pytest.raises(XaiError) as error:
            call()
        said.add(str(error.value))
    (sentence,) = said
    assert "\n" not in sentence and len(sentence) < 700
    capfd.readouterr()
    result = run("explain", "classify", "a dull film", "--model", str(folder))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"error: {sentence}\n"
    assert "Traceback" not in "".join(capfd.readouterr())


def test_there_are_enough_broken_folders():
    assert len(BREAKS) >= 33


def test_a_file_that_cannot_be_read_is_refused(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")  # a link to itself, which not even root can read
    with pytest.raises(InvalidInput, match=r"model\.safetensors cannot be read: Too many levels of symbolic links"):
        load_model(folder)


def test_whole_shards_in_the_own_folder_are_read(folder):
    expected = xai_nlp.load(folder).explain("a dull film", method="saliency")
    broken_folders.index(broken_folders.SHARD)(folder)
    assert xai_nlp.load(folder).explain("a dull film", method="saliency") == expected


def test_an_index_of_a_subfolder_is_checked_too(folder, no_pickle):
    shutil.copytree(folder, folder / "inner")
    BREAKS["index: names pickles"](folder / "inner")
    with pytest.raises(Unsupported, match=r"names 'pytorch_model\.bin', and models load from safetensors"):
        load_model(folder, subfolder="inner")


def test_a_model_made_in_inference_mode(folder):
    with torch.inference_mode():
        made = BertForTokenClassification(config_of(num_labels=2))
        with pytest.raises(InvalidInput, match=r"was made in torch.inference_mode\(\).*outside"):
            load_model(made, tiny("bert")[1])
        explainer = xai_nlp.load(folder)
    assert explainer.explain("a film", method="saliency").scores


def test_an_adapter_needs_its_library(tmp_path, monkeypatch):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "bert"}')
    (tmp_path / "adapter_model.safetensors").write_bytes(b"")
    monkeypatch.setattr(model_folder, "find_spec", lambda name: None)
    with pytest.raises(Unsupported, match=r"is a PEFT adapter.*pip install peft"):
        load_model(tmp_path, tiny("bert")[1])


# Objects --------------------------------------------------------------------------------------------------------------


compiled = partial(torch.compile, backend="eager")


def test_a_pipeline_brings_its_model_and_tokenizer():
    model, tokenizer = tiny("bert")
    pipeline = TextClassificationPipeline(model=model, tokenizer=tokenizer)
    loaded = load_model(pipeline)
    assert (loaded.model, loaded.tokenizer, loaded.task) == (model, tokenizer, "text-classification")
    why = xai_nlp.explain("a film", model=pipeline, method="saliency")
    assert why.outputs[why.prediction] == pytest.approx(pipeline("a film")[0]["score"], abs=1e-5)


def test_wrapped_models_are_unwrapped():
    model, tokenizer = tiny("bert")
    for wrapped in (nn.DataParallel(model), compiled(model), compiled(nn.DataParallel(model))):
        assert load_model(wrapped, tokenizer).model is model
    plain = xai_nlp.explain("a film", model=model, tokenizer=tokenizer, method="saliency")
    assert xai_nlp.explain("a film", model=compiled(model), tokenizer=tokenizer, method="saliency") == plain


def test_device_and_dtype_of_a_model_object():
    model, tokenizer = tiny("bert", fresh=True)
    assert load_model(model, tokenizer, dtype=torch.float64, device="auto").model.dtype == torch.float64
    with pytest.raises(InvalidInput, match="the model cannot be moved to nowhere"):
        load_model(model, tokenizer, device="nowhere")
    with pytest.raises(InvalidInput, match="revision is an option of models from files; this is a BertFor"):
        load_model(model, tokenizer, revision="main")


@pytest.mark.parametrize("source", [None, 3, ["a"], {"model": 1}, lambda text: text])
def test_what_is_no_model(source):
    with pytest.raises(InvalidInput, match="a model is a name, a folder, a torch module with its tokenizer"):
        load_model(source)


def test_models_that_take_images():
    vilt = loaded("vilt")
    assert load_model(vilt.model, vilt.tokenizer, processor=vilt.processor).task == "visual-question-answering"
    llava = loaded("llava")
    model = load_model(llava.model, processor=llava.processor)
    assert (model.task, model.tokenizer) == ("visual-question-answering", llava.processor.tokenizer)
    assert load_model("vqa").processor is not None


def test_models_that_take_images_alone(tmp_path):
    """They have a processor and no tokenizer; files and class names tell them from models that read text, too."""
    image = load_model("image")
    assert (image.task, image.tokenizer) == ("image-classification", None)
    resnet = load_model(image.model, processor=image.processor)
    assert (resnet.task, resnet.processor) == ("image-classification", image.processor)
    for part in (image.model, image.processor):
        part.save_pretrained(tmp_path)
    assert load_model(tmp_path).task == "image-classification"
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = CLIPConfig(vision_config={**small, "image_size": 32, "patch_size": 8}, text_config=small)
    assert load_model(CLIPForImageClassification(config)).task == "image-classification"


# Options --------------------------------------------------------------------------------------------------------------


def test_loading_is_quiet_and_leaves_the_settings(tmp_path, capfd):
    folder_of(tmp_path, BertForPreTraining(config_of()), tiny("bert")[1])
    for enabled in (True, False):
        (logging.enable_progress_bar if enabled else logging.disable_progress_bar)()
        verbosity = logging.get_verbosity()
        capfd.readouterr()
        load_model(tmp_path, task="fill-mask")
        assert capfd.readouterr() == ("", "")
        assert logging.is_progress_bar_enabled() == enabled
        assert logging.get_verbosity() == verbosity
    logging.enable_progress_bar()


def test_options_of_files(folder):
    model = load_model("sentiment", dtype=torch.float64, device="cpu").model
    assert model.dtype == torch.float64
    assert load_model(folder, attn_implementation="eager").model.config._attn_implementation == "eager"
    shutil.copytree(folder, folder / "inner")
    with pytest.raises(UnknownName, match=r"unknown option of load 'tokeniser'. Did you mean 'tokenizer'"):
        xai_nlp.load(folder, tokeniser=3)
