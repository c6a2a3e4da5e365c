"""Models by name, by folder and as given."""

from functools import partial

import pytest

from tests.models.tiny import tiny
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
