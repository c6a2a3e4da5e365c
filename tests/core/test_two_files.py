"""The JSON of an explanation and its arrays beside it: never one without the other, never another's numbers."""

import os
import threading
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.core.test_files import files_of_at_most
from tests.core.test_result import make, with_arrays
from xai_nlp import Explanation, Explanations
from xai_nlp.core import two_files
from xai_nlp.core.arrays import Array
from xai_nlp.core.files import FileInTheMaking
from xai_nlp.errors import InvalidInput, UnreadableFile


def numbered(number, heads=2000):
    """An explanation whose value and whose every number of attention is this number."""
    why = with_arrays(heads=heads)
    numbers = Array(np.full((2, heads, 4, 4), number))
    return replace(why, value=float(number), attention={"self": replace(why.attention["self"], scores=numbers)})


def number_of(why):
    """The number of `numbered`. An assertion that its two files belong together."""
    numbers = set(np.unique(why.attention["self"].scores))
    assert numbers == {why.value}
    return int(why.value)


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_weights_are_never_touched(tmp_path):
    weights = tmp_path / "model.safetensors"
    save_file({"weight": np.ones(3, np.float32)}, weights)
    before = weights.read_bytes()
    numbered(1).save(tmp_path / "model.json")
    for save in (numbered(1).save, make().save, Explanations([make()]).save):
        for name in (weights, tmp_path / "new.safetensors", tmp_path / "NEW.SAFETENSORS"):
            with pytest.raises(InvalidInput, match=r"save as \.json"):
                save(name)
    assert weights.read_bytes() == before
    assert names(tmp_path) == ["model.json", "model.json.safetensors", "model.safetensors"]


def test_names_that_differ_in_their_suffix_have_arrays_of_their_own(tmp_path):
    for number, name in enumerate(("one.json", "one.txt", "one")):
        numbered(number).save(tmp_path / name)
    assert [number_of(Explanation.load(tmp_path / name)) for name in ("one.json", "one.txt", "one")] == [0, 1, 2]


def test_arrays_that_were_replaced_before_they_were_read_are_refused(tmp_path):
    file = tmp_path / "why.json"
    numbered(1).save(file)
    lazy = Explanation.load(file)
    numbered(2).save(file)
    with pytest.raises(UnreadableFile, match="another explanation"):
        lazy.attention["self"].scores.numpy()
    assert number_of(Explanation.load(file)) == 2


@pytest.mark.parametrize("at", range(1, 8))
@pytest.mark.parametrize("cause", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_the_old_or_the_new_explanation(tmp_path, monkeypatch, at, cause):
    file = tmp_path / "why.json"
    numbered(1).save(file)
    lazy = Explanation.load(file)
    left = [at]

    def failing(real, after):
        def step(*arguments, **keywords):
            left[0] -= 1
            if left[0] == 0 and not after:
                raise cause
            done = real(*arguments, **keywords)
            if left[0] == 0:
                raise cause
            return done

        return step

    monkeypatch.setattr(os, "fsync", failing(os.fsync, after=False))
    monkeypatch.setattr(os, "replace", failing(os.replace, after=isinstance(cause, KeyboardInterrupt)))
    if at > 5:
        numbered(2).save(file)  # it has no more steps
    else:
        with pytest.raises(type(cause)):
            numbered(2).save(file)
    monkeypatch.undo()
    number = number_of(Explanation.load(file))
    if number == 1:
        assert number_of(lazy) == 1
    assert names(tmp_path) == ["why.json", "why.json.safetensors"]


def test_a_full_disk_leaves_the_old_explanation(tmp_path):
    file = tmp_path / "why.json"
    numbered(1).save(file)
    for size in (100, 200_000):
        with files_of_at_most(size), pytest.raises(OSError, match="too large"):
            numbered(2).save(file)
    assert number_of(Explanation.load(file)) == 1
    assert names(tmp_path) == ["why.json", "why.json.safetensors"]


def test_a_process_that_was_killed_between_the_two_leaves_the_new_explanation(tmp_path, monkeypatch):
    file = tmp_path / "why.json"
    numbered(1).save(file)

    class Killed(FileInTheMaking):
        def keep(self):
            if self.path.suffix == ".safetensors":
                self._opened.close()
                raise KeyboardInterrupt
            super().keep()

    monkeypatch.setattr(two_files, "FileInTheMaking", Killed)
    with pytest.raises(KeyboardInterrupt):
        numbered(2).save(file)
    monkeypatch.undo()
    assert len(names(tmp_path)) == 3
    lazy = Explanation.load(file)
    (part,) = tmp_path.glob("*.part")
    os.replace(part, tmp_path / "why.json.safetensors")  # a writer that was not killed goes on
    assert number_of(lazy) == number_of(Explanation.load(file)) == 2


def test_a_reader_beside_a_writer_gets_one_of_the_two_whole(tmp_path):
    file = tmp_path / "why.json"
    numbered(0).save(file)
    stop, failures, seen = threading.Event(), [], set()

    def write():
        for number in range(1, 41):
            numbered(number).save(file)
        stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not stop.is_set():
        why = Explanation.load(file)
        try:
            seen.add(number_of(why))
        except UnreadableFile as error:  # it was replaced after it was read
            failures.append(str(error))
    writer.join()
    assert len(seen) > 3
    assert all("another explanation" in failure for failure in failures)
