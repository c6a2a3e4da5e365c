"""The folder from which the page may open models and data: nothing outside it is opened or listed."""

import json
import os

import pytest
from pydantic import ValidationError

from xai_nlp.errors import InvalidInput
from xai_nlp.web.allowed_root import AllowedRoot, OpenRequest
from xai_nlp.web.limits import Limits


@pytest.fixture
def root(tmp_path):
    """A folder with a model, data and links, beside a secret."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "config.json").write_text("{}")
    (tmp_path / "secret" / "rows.csv").write_text("text\nsecret\n")
    (tmp_path / "root-like").mkdir()  # a name that begins as the root's
    inside = tmp_path / "root"
    (inside / "models" / "own").mkdir(parents=True)
    (inside / "models" / "own" / "config.json").write_text("{}")
    (inside / "rows.csv").write_text("text\na\n")
    (inside / "picture.png").write_text("no table")
    (inside / ".hidden.csv").write_text("text\na\n")
    os.symlink(tmp_path / "secret", inside / "way-out")
    os.symlink(tmp_path / "secret" / "rows.csv", inside / "out.csv")
    os.symlink(inside / "rows.csv", inside / "same.csv")
    os.symlink(inside / "circle", inside / "circle")
    return AllowedRoot.of(inside)


OUTSIDE = [
    "..",
    "../secret",
    "../secret/rows.csv",
    "../nothing",
    "/etc/passwd",
    "/nothing",
    "way-out",
    "way-out/rows.csv",
    "out.csv",
    "models/../../secret",
    "../root-like",
    "../root-like/../secret",
    "models/../../../..",
]


@pytest.mark.parametrize("path", OUTSIDE)
def test_what_lies_outside_is_refused_whether_it_exists_or_not(root, path):
    for look in (root.find, root.listing, root.data_file, root.model_folder):
        with pytest.raises(InvalidInput, match="lies outside the folder 'root', which alone may be opened"):
            look(path)


@pytest.mark.parametrize("path", ["no", "rows.csv/x", "\0", "x" * 5000, "circle", "models/own/no"])
def test_what_is_not_there_is_refused_in_one_sentence(root, path):
    with pytest.raises(InvalidInput) as caught:
        root.find(path)
    assert str(caught.value).endswith(("in the folder 'root'.", "is no path that can be opened."))


def test_what_lies_inside_is_found(root):
    assert root.find("models/own") == root.model_folder("models/own") == root.folder / "models" / "own"
    assert root.find(str(root.folder / "rows.csv")) == root.data_file("rows.csv") == root.data_file("same.csv")


def test_a_folder_is_listed_without_links_that_leave_it(root):
    listed = root.listing("")
    assert [(one["name"], one["kind"]) for one in listed["entries"]] == [
        ("models", "folder"), ("rows.csv", "data"), ("same.csv", "data")
    ]  # fmt: skip
    assert (listed["path"], listed["above"], listed["root"]) == (".", None, "root")
    models = root.listing("models")
    assert models["entries"] == [{"name": "own", "path": "models/own", "kind": "model"}]
    assert (models["path"], models["above"], root.listing("models/own")["above"]) == ("models", ".", "models")
    few = AllowedRoot.of(root.folder, Limits(listed=1)).listing("")
    assert (len(few["entries"]), few["left_out"]) == (1, 2)
    with pytest.raises(InvalidInput, match=r"'rows\.csv' is no folder"):
        root.listing("rows.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("adapter_config.json", {"base_model_name_or_path": "/etc"}),
        ("adapter_config.json", {"base_model_name_or_path": "bert-base-uncased"}),
        ("adapter_config.json", {"base_model_name_or_path": "../../../secret"}),
        ("model.safetensors.index.json", {"weight_map": {"a": "../../../secret/model.safetensors"}}),
        ("model.safetensors.index.json", {"weight_map": {"a": "/etc/model.safetensors"}}),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}),
        ("tokenizer_config.json", {"source_spm": "../../../secret/rows.csv"}),
    ],
)
def test_a_model_whose_files_name_others_outside_is_refused(root, name, content):
    (root.folder / "models" / "own" / name).write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match="'models/own' leads outside the folder 'root', by "):
        root.model_folder("models/own")


def test_a_model_with_a_link_to_the_outside_is_refused(root):
    own = root.folder / "models" / "own"
    (own / "deep").mkdir()
    os.symlink(root.folder.parent / "secret" / "rows.csv", own / "deep" / "model.safetensors")
    with pytest.raises(InvalidInput, match=r"leads outside the folder 'root', by 'model\.safetensors'"):
        root.model_folder("models/own")


def test_an_adapter_of_a_base_inside_is_allowed_but_not_its_links(root):
    base, own = root.folder / "base", root.folder / "models" / "own"
    base.mkdir()
    (own / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    assert root.model_folder("models/own") == own
    os.symlink("/etc", base / "tokenizer")
    with pytest.raises(InvalidInput, match="by 'tokenizer'"):
        root.model_folder("models/own")


def test_broken_files_of_a_model_are_left_to_load(root):
    own = root.folder / "models" / "own"
    for content in ("[]", "{", "5", '{"weight_map": [1]}', "\0"):
        (own / "adapter_config.json").write_text(content)
        (own / "model.safetensors.index.json").write_text(content)
        assert root.model_folder("models/own") == own


def test_folders_and_files_of_another_kind(root):
    with pytest.raises(InvalidInput, match=r"'models' holds no config\.json"):
        root.model_folder("models")
    with pytest.raises(InvalidInput, match="files up to 2 bytes are opened"):
        AllowedRoot.of(root.folder, Limits(file=2)).data_file("rows.csv")
    with pytest.raises(InvalidInput, match="--root DIR"):
        AllowedRoot.of(root.folder / "no")


@pytest.mark.parametrize("values", [{}, {"path": ""}, {"path": "x" * 501}, {"path": 5}, {"path": "x", "more": 1}])
def test_requests_of_another_kind(values):
    with pytest.raises(ValidationError):
        OpenRequest(**values)
