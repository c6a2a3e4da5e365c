"""The checks of a model's folder: tests/models/broken_folders.py has the ways, test_loading.py tries each."""

import json

import pytest

from xai_nlp.errors import InvalidInput, Unsupported
from xai_nlp.models.model_folder import base_of_adapter, check_folder, holds_tokenizer


def test_a_hub_name_may_hold_a_tokenizer_and_an_empty_folder_does_not(tmp_path):
    assert holds_tokenizer("org/model") and not holds_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("a")
    assert holds_tokenizer(tmp_path)


def test_the_base_of_an_adapter(tmp_path):
    assert base_of_adapter(tmp_path) == tmp_path
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    assert base_of_adapter(tmp_path) == "org/model"
    with pytest.raises(Unsupported, match="holds no weights"):
        check_folder(tmp_path, "mine", needs_tokenizer=False)
    with pytest.raises(InvalidInput, match="holds no config"):
        check_folder(tmp_path.parent, "mine", needs_tokenizer=False)
