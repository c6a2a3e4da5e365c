"""Saved explanations: format 4, large arrays beside the JSON, and errors that name the path."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.core.test_result import make, with_arrays
from tests.recipes.saved import DOUBT
from tests.viz.images import written
from xai_nlp.core.arrays import Array
from xai_nlp.core.image import ImageAttribution
from xai_nlp.core.result import Explanation, TargetSpec
from xai_nlp.errors import InvalidInput, UnreadableFile

BOX = (0.0, 0.0, 2.0, 2.0)


def full():
    """An explanation that has all fields."""
    return replace(
        with_arrays(),
        image=ImageAttribution(
            data=written(Image.new("RGB", (2, 2))),
            size=(2, 2),
            boxes=(BOX,),
            scores=(0.5,),
            grid=(1, 1),
            shapes=Array([[0, -1]]),
        ),
        target=TargetSpec(kind="token", label=" od", answer="go od", position=1, unit="log-probability"),
        gold=("good", ""),
        trust=DOUBT,
        params={"steps": 9, "names": ["a"], "nested": {"x": None}},
    )


def changed(*path, value):
    """The JSON of `full` with one value in it changed; `...` is a new field."""
    data = json.loads(full().to_json())
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data)


def test_all_fields_come_back(tmp_path):
    assert Explanation.from_json(full().to_json()) == full()
    assert Explanation.from_json(full().to_json(indent=1).encode()) == full()
    full().save(tmp_path / "why.json")
    assert Explanation.load(tmp_path / "why.json") == full()


@pytest.mark.parametrize("text", ["", "not json", "[]", "{}", "[" * 100_000, "3", '{"format": true}', '{"format": "4"}',
                                  '{"format": 0}', b"\xff"])  # fmt: skip
def test_other_files_are_refused(text):
    with pytest.raises(UnreadableFile):
        Explanation.from_json(text)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_missing_field_is_named(number):
    with pytest.raises(UnreadableFile, match="missing required field"):
        Explanation.from_json(json.dumps({"format": number}))


def test_a_newer_format_says_so():
    with pytest.raises(UnreadableFile, match="format 5, which is newer than this version"):
        Explanation.from_json(changed("format", value=5))


WRONG = {
    "$.scores[1]": ("scores", 1, "0.5"),
    "$.scores[2]": ("scores", 2, True),
    "$.scores[0]": ("scores", 0, None),
    "$.offsets[1][1]": ("offsets", 1, 1, 2.5),
    "$.offsets[2]": ("offsets", 2, [1, 2, 3]),
    "$.tokens[3]": ("tokens", 3, 4),
    "$.tokens": ("tokens", "so good"),
    "$.complete": ("complete", 1),
    "$.seed": ("seed", "0"),
    "$.outputs[...]": ("outputs", "POSITIVE", "0.9"),
    "$.outputs": ("outputs", [0.9]),
    "$.params": ("params", []),
    "$.target": ("target", "POSITIVE"),
    "$.target.kind": ("target", "kind", "sentence"),
    "$.target.position": ("target", "position", "1"),
    "$.answer": ("answer", "yes"),
    "$.answer[0]": ("answer", 0, "x"),
    "$.gold": ("gold", "good"),
    "$.trust": ("trust", 0.5),
    "$.parts[...][1]": ("parts", "word", 1, "a"),
    "$.layers": ("layers", 5),
    "$.layers ": ("layers", {"shape": [9, 9], "float32": ""}),
    "$.layers  ": ("layers", {"shape": [-1, 5], "float32": ""}),
    "$.layers   ": ("layers", {"shape": [10**9, 10**9], "float32": "AAAA"}),
    "$.layers    ": ("layers", {"shape": [1, 1], "float32": "%%%"}),
    "$.layers     ": ("layers", {"shape": [1], "float32": "AAAA", "more": 1}),
    "$.layers      ": ("layers", {"shape": [1], "float32": "AADAfw=="}),  # NaN
    "$.attention[...]": ("attention", "self", {}),
    "$.attention[...].scores": ("attention", "self", "scores", "x"),
    "$.attention[...].row_stochastic": ("attention", "self", "row_stochastic", "no"),
    "$.attention[...].layers[0]": ("attention", "self", "layers", 0, 5),
    "$.attention[...] ": ("attention", "self", "layers", ["one"]),
    "$.image": ("image", "x"),
    "$.image.data": ("image", "data", "%%%"),
    "$.image.size": ("image", "size", [1]),
    "$.image ": ("image", "scores", []),
    "$.image  ": ("image", "size", [10**30, 2]),
    "image of this explanation cannot be drawn": ("image", "data", "iVBORw0KGgo="),
    "$.image.boxes[0]": ("image", "boxes", 0, [1, 2, 3]),
    "$.image.scores[0]": ("image", "scores", 0, 10**400),
    "`$`": ("extra", 1),
    "`$.target`": ("target", "extra", 1),
    "`$.attention.self`": ("attention", "self", "extra", 1),
    "`$.image`": ("image", "extra", 1),
    "$.offsets[1]`": ("offsets", 1, [0, 99]),
    "$.offsets[2]`": ("offsets", 2, [5, 3]),
    "$.offsets[3]`": ("offsets", 3, [-2, 7]),
    "$.offsets[0]`": ("offsets", 0, [0, 1]),  # a special token has no characters
    "$.offsets[1]` ": ("segment", 1, 1),
    "$.offsets[1]`  ": ("segment", 1, -2),
    "$.answer`": ("answer", [0, [3, 999]]),
    "$.answer` ": ("answer", [-1, [0, 0]]),
}


@pytest.mark.parametrize("path", WRONG)
def test_wrong_fields_are_refused_by_their_path(path):
    *place, value = WRONG[path]
    with pytest.raises(UnreadableFile) as caught:
        Explanation.from_json(changed(*place, value=value))
    assert path.strip() in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["value", "baseline_value", "scores", "outputs", "parts", "boxes"])
def test_numbers_are_finite(number, field):
    places = {"scores": ("scores", 1), "outputs": ("outputs", "POSITIVE"), "parts": ("parts", "word", 0),
              "boxes": ("image", "boxes", 0, 2)}  # fmt: skip
    text = changed(*places.get(field, (field,)), value="@").replace('"@"', number)
    with pytest.raises(UnreadableFile, match="finite"):
        Explanation.from_json(text)


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00"', '"a\\ud83d b"'])
def test_half_characters_are_refused(text):
    for path in (("tokens", 1), ("params", "x"), ("outputs", "POSITIVE")):
        with pytest.raises(UnreadableFile, match="no JSON"):
            Explanation.from_json(changed(*path, value="@").replace('"@"', text))
    with pytest.raises(UnreadableFile, match="not UTF-8"):
        Explanation.from_json(full().to_json().replace("so good", "so \ud800ood"))


def test_a_byte_order_mark_is_read():
    text = "\ufeff" + full().to_json()
    assert Explanation.from_json(text) == Explanation.from_json(text.encode()) == full()


@pytest.mark.parametrize("params", [{"x": float("nan")}, {"x": object()}, {"x": np.zeros(2)}])
def test_values_that_json_cannot_hold_are_refused(params, tmp_path):
    with pytest.raises(InvalidInput, match="cannot be saved"):
        make(params=params).save(tmp_path / "why.json")
    assert list(tmp_path.iterdir()) == []


def test_versions_and_numpy_numbers_are_texts_and_numbers():
    class Version(str):
        pass

    why = make(versions={"torch": Version("2.0")}, value=np.float64(0.25))
    assert Explanation.from_json(why.to_json()) == why


# Large arrays --------------------------------------------------------------------------------------------------------


def test_large_arrays_are_saved_beside_and_read_when_they_are_used(tmp_path):
    item = replace(full(), attention=with_arrays(heads=2000).attention)
    item.save(tmp_path / "why.json")
    assert (tmp_path / "why.json").stat().st_size < 10_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["why.json", "why.json.safetensors"]
    back = Explanation.load(tmp_path / "why.json")
    assert back.attention["self"].scores._values is None
    assert back == item
    assert back.attention["self"].scores._values is not None


def changed_shape(text, shape):
    data = json.loads(text)
    data["attention"]["self"]["scores"]["shape"] = shape
    return json.dumps(data)


def test_a_missing_or_foreign_array_file_is_refused(tmp_path):
    item = with_arrays(heads=2000)
    item.save(tmp_path / "why.json")
    text = (tmp_path / "why.json").read_text()
    file = tmp_path / "why.json.safetensors"
    with pytest.raises(UnreadableFile, match=r"Explanation\.load"):
        Explanation.from_json(text)
    for elsewhere in ("../why.json.safetensors", "/why.json.safetensors", "..", ""):
        with pytest.raises(UnreadableFile):
            Explanation.from_json(text.replace(file.name, elsewhere), folder=tmp_path)
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    with pytest.raises(UnreadableFile, match="no safetensors file"):
        Explanation.load(tmp_path / "why.json")
    for shape in ([2, 2000, 4, 5], [2, 8000], [0]):
        file.write_bytes(whole)
        (tmp_path / "other.json").write_text(changed_shape(text, shape))
        with pytest.raises(UnreadableFile, match=r"\$\.attention"):  # when it is read, not when it is drawn
            Explanation.load(tmp_path / "other.json")
    file.unlink()
    with pytest.raises(UnreadableFile, match="missing"):
        Explanation.load(tmp_path / "why.json")


def test_the_two_files_belong_together(tmp_path):
    """Another explanation's arrays are refused at once, changed numbers when they are read."""
    one, other = with_arrays(heads=2000), with_arrays(heads=2000)
    ones = Array(np.ones((2, 2000, 4, 4)))
    other = replace(other, attention={"self": replace(other.attention["self"], scores=ones)})
    one.save(tmp_path / "one.json")
    other.save(tmp_path / "other.json")
    file = tmp_path / "one.json.safetensors"
    whole = file.read_bytes()
    file.write_bytes((tmp_path / "other.json.safetensors").read_bytes())
    with pytest.raises(UnreadableFile, match="another explanation"):
        Explanation.load(tmp_path / "one.json")
    file.write_bytes(whole[:-4] + b"\0\0\0\0")
    back = Explanation.load(tmp_path / "one.json")
    with pytest.raises(UnreadableFile, match="changed after it was saved"):
        back.layers.numpy()  # the last in the file


def test_a_file_that_is_not_ours_is_never_replaced(tmp_path):
    file = tmp_path / "why.json.safetensors"
    save_file({"weight": np.ones(3, np.float32)}, file)
    weights = file.read_bytes()
    with pytest.raises(InvalidInput, match="another name"):
        with_arrays(heads=2000).save(tmp_path / "why.json")
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert file.read_bytes() == weights
    with_arrays().save(tmp_path / "why.json")  # small: it needs no second file
    file.unlink()
    for _ in range(2):  # its own it replaces
        with_arrays(heads=2000).save(tmp_path / "why.json")
