"""Every file is written by `core.files`, whole or not at all."""

import ast
import os
from pathlib import Path

import pytest

from tests.contract.test_layers import FILES

ROOT = Path(os.environ.get("XAI_SOURCES", Path(__file__).parents[2]))
#: Calls that write, by their last name.
WRITERS = ("write_text", "write_bytes", "to_csv", "to_parquet", "to_excel", "to_pickle", "to_feather", "tofile",
           "save_file", "save_pretrained", "savetxt", "savez", "imsave", "imwrite", "dump", "touch", "copyfile",
           "copytree", "move", "NamedTemporaryFile", "mkstemp")  # fmt: skip
OPENERS = ("open", "fdopen")
READING = ("r", "rb")
#: (file, call) -> why it is no file of the user's that is written here.
ALLOWED = {
    ("xai_nlp/core/files.py", "open"): "the one writer",
    ("xai_nlp/web/history.py", "open"): "makes an empty file for SQLite, which writes in transactions",
    ("xai_nlp/core/arrays.py", "save"): "safetensors' function, which gives bytes",
    ("xai_nlp/concept/tensor_files.py", "save"): "safetensors' function, which gives bytes",
    ("xai_nlp/influence/activation_files.py", "save"): "safetensors' function, which gives bytes",
    ("xai_nlp/runs/ray_engine.py", "open"): "os.devnull, for what Ray prints",
    ("xai_nlp/web/examples.py", "save"): "into a buffer",
    ("viz/figure/column.py", "save"): "in a temporary folder",
}


def name_of(call):
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def opens_for_reading(call):
    """Whether an `open` only reads: a context of a hook point or of an image has no mode, and is no file."""
    path_first = isinstance(call.func, ast.Name)  # open(path, mode), but path.open(mode)
    places = call.args[1:2] if path_first else call.args[:1]
    modes = [*places, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    flags = [part.attr for part in ast.walk(call) if isinstance(part, ast.Attribute) and part.attr.startswith("O_")]
    unknown = [mode for mode in modes if isinstance(mode, ast.IfExp)]
    return all(text in READING for text in texts) and not unknown and set(flags) <= {"O_RDONLY"}


def in_memory(call):
    """Whether a call writes into a buffer: `save(buffer := io.BytesIO(), …)`, `save(buffer, …)`."""
    target = call.args[0] if call.args else None
    return "BytesIO" in ast.dump(target) or getattr(target, "id", "") == "buffer" if target is not None else False


def writes(tree):
    """The calls that write files, by name."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        name = name_of(call)
        to_a_place = name in ("savefig", "save") and call.args and not in_memory(call)
        if to_a_place or name in WRITERS or (name in OPENERS and not opens_for_reading(call)):
            yield name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_written_by_the_one_writer(path):
    here = str(path.relative_to(ROOT))
    found = {name for name in writes(ast.parse(path.read_text(encoding="utf-8"))) if (here, name) not in ALLOWED}
    assert not found, f"{here} writes a file by {found}; use core.files.write_file"


@pytest.mark.parametrize(
    "code",
    [
        'open(path, "w")', 'open(path, mode="ab")', 'path.open("xb")', 'path.open("w" if new else "a")',
        "path.write_text(text)", "os.open(path, os.O_CREAT | os.O_RDWR)", "figure.savefig(path)",
        "image.save(path)", "table.to_csv(path)", "json.dump(data, file)", "save_file(arrays, path)",
    ],
)  # fmt: skip
def test_writers_are_found(code):
    assert list(writes(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    ["open(path)", 'open(path, "rb")', "path.open()", "point.open(edit)", "image.save(buffer := io.BytesIO(), 'PNG')",
     "webbrowser.open(url)", "Image.open(io.BytesIO(data))", "os.open(path, os.O_RDONLY)"],
)  # fmt: skip
def test_what_reads_is_no_writer(code):
    assert not list(writes(ast.parse(code)))
