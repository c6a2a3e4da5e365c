"""Models by name, by folder and as given."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from transformers import BertForMaskedLM, CLIPConfig, CLIPForImageClassification
from transformers.utils import logging

from tests.models.tiny import tiny
from tests.models.tiny_vision_language import loaded
from xai_nlp.errors import InvalidInput, UnknownName, Unsupported
from xai_nlp.models import loading
from xai_nlp.tasks.table import TASKS

load_model = partial(loading.load_model, tasks=TASKS)


def test_loading(tmp_path):
    model, tokenizer = tiny("bert")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.name == tmp_path.name
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


class Row(NamedTuple):
    auto_class: str
    class_endings: tuple[str, ...]


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        ("BertForQuestionAnswering", "question-answering"),
        ("GPT2LMHeadModel", "text-generation"),
        ("LlamaForCausalLM", "text-generation"),
        ("BertModel", "text-classification"),
        ("BertForTokenClassification", "token-classification"),
        ("BertForNextSentencePrediction", "text-classification"),
    ],
)
def test_the_task_is_read_from_the_classes(architecture, task):
    model = type(architecture, (torch.nn.Linear,), {})(1, 1)
    assert load_model(model, tiny("bert")[1]).task == task
    assert load_model(model, tiny("bert")[1], task="question-answering").task == "question-answering"


def test_a_task_table_of_ones_own(tmp_path):
    model, tokenizer = tiny("bert")
    tasks = {"words": Row("AutoModelForMaskedLM", ("ForMaskedLM",)), **TASKS}
    BertForMaskedLM(model.config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_model(tmp_path, tasks=tasks)
    assert (loaded.task, type(loaded.model)) == ("words", BertForMaskedLM)
    with pytest.raises(UnknownName, match="unknown task 'words'"):
        load_model(tmp_path, task="words")


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


def test_the_progress_bar_is_left_as_it_was():
    for enabled in (True, False):
        (logging.enable_progress_bar if enabled else logging.disable_progress_bar)()
        load_model("sentiment")
        assert logging.is_progress_bar_enabled() == enabled
    logging.enable_progress_bar()


def test_options_of_files():
    model = load_model("sentiment", dtype=torch.float64, device="cpu").model
    assert model.dtype == torch.float64
