"""Saved explanations with one field changed: each is refused as unreadable, or it is read, drawn and saved again."""

from __future__ import annotations

import json
import tempfile
import warnings
from pathlib import Path

from tests.core.test_result import with_arrays
from tests.hostile.trial import Trial, family
from xai_nlp import Explanation, Explanations
from xai_nlp.errors import UnreadableFile
from xai_nlp.viz.page.html import page
from xai_nlp.viz.page.report import report
from xai_nlp.viz.terminal.ansi import printed
from xai_nlp.viz.terminal.heads import render_attention

SAVED = Path(__file__).parents[1] / "core" / "saved"
DEEP = 100_000  # brackets
PICTURE = 0.02  # of the files are drawn by matplotlib too, which takes a quarter of a second

#: What a field is replaced by, as JSON text. Some are no JSON to the letter, but parsers read them.
VALUES = {
    "null": "null",
    "true": "true",
    "text": '"x"',
    "empty text": '""',
    "lone surrogate": r'"\ud800"',
    "NUL": r'"\u0000"',
    "zero": "0",
    "negative": "-1",
    "negative fraction": "-0.5",
    "minus zero": "-0.0",
    "below 64 bits": "-9223372036854775809",
    "huge integer": "9" * 400,
    "beyond digits": "9" * 5000,
    "just finite": "1.7976931348623157e308",
    "smallest": "5e-324",
    "overflow": "1e999",
    "NaN": "NaN",
    "infinity": "-Infinity",
    "list": "[]",
    "object": "{}",
    "nested": '[[{"x": [1]}]]',
    "deep list": "[" * 2000 + "]" * 2000,
    "deeper list": "[" * DEEP + "]" * DEEP,
    "deep object": '{"x":' * 500 + "1" + "}" * 500,
}
REMOVED, LONGER, SHORTER, RENAMED, NEGATED, SAME = "removed", "longer", "shorter", "key renamed", "negated", "twice"


def places(data, path=()):
    """The path to every value of parsed JSON."""
    parts = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for name, value in parts:
        yield (*path, name)
        yield from places(value, (*path, name))


def kinds_of_field(data):
    """The paths to the values, those together that differ in their places in lists: "boxes[3][0]", "boxes[7][2]"."""
    kinds = {}
    for path in places(data):
        kinds.setdefault(tuple(step for step in path if isinstance(step, str)), []).append(path)
    return list(kinds.values())


def changed(data, path, change):
    """The JSON text of the data with the value at the path changed; None where this change makes none."""
    data = json.loads(json.dumps(data))
    place = data
    for step in path[:-1]:
        place = place[step]
    name, value = path[-1], place[path[-1]]
    mark = "@the place@"
    if change in VALUES:
        place[name] = mark
        return json.dumps(data).replace(json.dumps(mark), VALUES[change])
    if change == REMOVED:
        del place[name]
    elif change == LONGER and isinstance(value, list) and value:
        value.append(value[-1])
    elif change == LONGER and isinstance(value, str):
        place[name] = value * 2 + "e\u0301\U0001f600"
    elif change == SHORTER and isinstance(value, (list, str)) and value:
        place[name] = value[:-1]
    elif change == NEGATED and isinstance(value, (int, float)) and value:
        place[name] = -value * 1000
    elif change == RENAMED and isinstance(place, dict):
        place[f"{name}\ud800"] = place.pop(name)
    elif change == SAME and isinstance(place, dict):
        place[mark] = None
        return json.dumps(data).replace(json.dumps(mark), json.dumps(name))
    else:
        return None
    return json.dumps(data)


def spoilt(whole, random):
    """Files that are wrong as a whole: (name, content)."""
    cut = random.randrange(len(whole))
    flipped = bytearray(whole)
    flipped[cut] ^= 1 << random.randrange(8)
    yield f"cut at byte {cut}", whole[:cut]
    yield f"one bit of byte {cut} changed", bytes(flipped)
    yield "another file's half behind it", whole + whole[:cut]
    yield "a byte order mark", b"\xef\xbb\xbf" + whole
    yield "UTF-16", whole.decode().encode("utf-16")
    yield "Latin-1 inside", whole[:cut] + b"\xe9\xff" + whole[cut:]
    yield "NUL inside", whole[:cut] + b"\0" + whole[cut:]
    yield "a list with itself twice", b"[" + whole + b"," + whole + b"]"
    yield "lines, the last one cut", whole + b"\n" + whole + b"\n" + whole[:cut]
    yield "lines", b"\n" + whole + b"\r\n\n" + whole
    yield "a deep list", b"[" * DEEP
    yield "a deep list around it", b"[" * 900 + whole + b"]" * 900
    yield "nothing but space", b" \n" * cut


def draw(why):
    """Everything that shows, tells or saves an explanation."""
    several = Explanations([why])
    assert page(several) and report(several)
    assert why.to_ansi() and printed(render_attention(why)) and repr(why)
    str(why.target)
    assert len(several.to_pandas()) == len(why.tokens) + len(why.image.scores if why.image else ())
    if why.tokens:
        several.summary()
    several.words()[0].top(), why.prediction, why.correct, why.shares, why.residual, why.explained
    for stack in why.attention:
        several.head_importance(stack)
    again = Explanation.from_json(why.to_json())
    assert again == why and hash(why.target) == hash(again.target)


def loaded(kind, file):
    """(what is read from the file, ""), or (None, why it cannot be read)."""
    try:
        return kind.load(file), ""
    except UnreadableFile as error:
        return None, str(error)


def read_and_draw(content, folder, picture):
    """Raise if a file is neither refused as unreadable nor shown; what reads one file and what reads several agree."""
    file = folder / "why.json"
    file.write_bytes(content)
    why, refusal = loaded(Explanation, file)
    several, _ = loaded(Explanations, file)
    assert len(refusal) < 1000, "the message is too long"
    assert why is None or several == [why], "read alone, and refused among several"
    for one in several or ():
        draw(one)
        if picture:
            one.to_png(folder / "why.png")


@family("fields", quick=400, long=12_000)
def trials(random):
    documents = {file.stem: json.loads(file.read_bytes()) for file in sorted(SAVED.glob("*.json"))}
    with tempfile.TemporaryDirectory() as folder:
        with_arrays(heads=2000).save(Path(folder) / "beside.json")
        documents["beside"] = json.loads((Path(folder) / "beside.json").read_bytes())
        beside = {file.name: file.read_bytes() for at in (SAVED, Path(folder)) for file in at.glob("*.safetensors")}
    fields = {name: kinds_of_field(data) for name, data in documents.items()}
    changes = [*VALUES, REMOVED, LONGER, SHORTER, RENAMED, NEGATED, SAME]

    def run(content):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("error")
            for name, arrays in beside.items():
                if name.encode() in content:
                    (Path(folder) / name).write_bytes(arrays)
            read_and_draw(content, Path(folder), random.random() < PICTURE)

    while True:
        for name, data in random.sample(sorted(documents.items()), 3):
            for wrong, content in spoilt(json.dumps(data, ensure_ascii=False).encode(), random):
                yield Trial(f"{name}: {wrong}", lambda content=content: run(content))
        for _ in range(300):
            name = random.choice(sorted(documents))
            path = random.choice(random.choice(fields[name]))
            text = changed(documents[name], path, change := random.choice(changes))
            if text is not None:
                content = text.encode("utf-8", "surrogatepass")
                yield Trial(f"{name} at {path}: {change}", lambda content=content: run(content))
