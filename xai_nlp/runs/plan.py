"""What a run will do: which rows, which model, which method, and what it will take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from xai_nlp.core.files import read_file, write_file
from xai_nlp.errors import InvalidInput, UnreadableFile

FORMAT = 1
PLAN_FILE = "plan.json"
UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a run will take, judged by a trial on this machine.

    memory: bytes at the peak, of all processes. disk: bytes of the files. trial_rows: rows that the trial explained.
    """

    seconds: float
    memory: int
    disk: int
    trial_rows: int
    trial_seconds: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run. Its `name` is a hash of all that its results depend on.

    data, model: as messages name them. data_fingerprint: of the inputs and right answers in the rows.
    model_fingerprint: of weights, config and tokenizer. options: those of the task and of the method that were given.
    columns: input, or "gold", -> column, where that was given. tokens: those in the texts of all rows.
    layout: how rows are put into batches and files.
    """

    data: str
    data_fingerprint: str
    rows: int
    tokens: int
    model: str
    model_fingerprint: str
    task: str
    method: str | list[str]
    options: dict[str, Any]
    columns: dict[str, str]
    versions: dict[str, str]
    layout: dict[str, int]
    prediction: Prediction | None = None
    format: int = field(default=FORMAT)

    @property
    def identity(self) -> dict[str, Any]:
        """What the results depend on; paths, the device and the number of workers are not among it."""
        data = {"fingerprint": self.data_fingerprint, "rows": self.rows, "columns": self.columns}
        return {
            "data": data,
            "model": {"fingerprint": self.model_fingerprint, "task": self.task},
            "method": self.method,
            "options": self.options,
            "versions": self.versions,
            "layout": self.layout,
        }

    @property
    def name(self) -> str:
        """A hash of the identity."""
        text = json.dumps(self.identity, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def differences(self, other: Plan) -> list[str]:
        """How another plan differs in its identity: one sentence a difference."""
        pairs = ((name, value, other.identity[name]) for name, value in self.identity.items())
        return [sentence for name, old, new in pairs if old != new for sentence in self._differences(name, old, new)]

    def _differences(self, name: str, old: Any, new: Any) -> list[str]:
        if not isinstance(old, dict):
            return [f"the {name} was {old} and is {new}"]
        return [
            f"the {name} has other {'rows or answers' if name == 'data' else 'weights, config or tokenizer'}"
            if key == "fingerprint"
            else f"{name}: {key} was {old.get(key, 'not given')} and is {new.get(key, 'not given')}"
            for key in dict.fromkeys((*old, *new))
            if old.get(key) != new.get(key) and not (key == "fingerprint" and old.get("rows") != new.get("rows"))
        ]

    def __str__(self) -> str:
        """The plan in a few lines, for people."""
        methods = self.method if isinstance(self.method, str) else ", ".join(self.method)
        options = "".join(f", {name}={value}" for name, value in self.options.items())
        lines = [
            f"run {self.name}: {methods}{options}",
            f"  data    {self.data}: {self.rows:,} rows, {self.tokens:,} tokens",
            f"  model   {self.model} ({self.task})",
        ]
        if self.prediction is not None:
            one = self.prediction
            lines += [
                f"  time    {duration(one.seconds)}, judged by {one.trial_rows:,} rows in {one.trial_seconds:.1f} s",
                f"  memory  {size(one.memory)}",
                f"  disk    {size(one.disk)}",
            ]
        return "\n".join(lines)

    def write_to(self, directory: Path) -> None:
        """Write the plan's file. Raises OSError."""
        data = {"name": self.name, **msgspec.to_builtins(self)}
        write_file(directory / PLAN_FILE, f"{json.dumps(data, indent=1)}\n".encode())

    @classmethod
    def load(cls, directory: Path) -> Plan:
        """The plan of the run in this folder. Raises InvalidInput if there is none, UnreadableFile for a broken one."""
        file = directory / PLAN_FILE
        if not file.is_file():
            raise InvalidInput(f"{directory} holds no run: there is no {PLAN_FILE} in it.")
        try:
            data = msgspec.json.decode(read_file(file))
            if isinstance(data, dict) and data.get("format") != FORMAT:
                raise UnreadableFile(
                    f"{file} has format {data.get('format')!r}; this version of xai_nlp reads {FORMAT}."
                )
            plan = msgspec.convert(data, cls)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise UnreadableFile(f"{file} is no plan of a run: {error}.") from None
        if plan.name != data.get("name"):
            raise UnreadableFile(f"{file} was changed after it was written: its name is not the hash of its contents.")
        return plan


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a plan holds them. Raises InvalidInput for one that JSON cannot hold."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(msgspec.to_builtins(dict(options)), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"options of a run are written into its plan, as texts, numbers and lists: {error}."
        ) from None
    return plain


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(8.2), duration(200), duration(40000)
    ('8 s', '3 min 20 s', '11 h 6 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    return f"{hours} h {left} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(812), size(3_200_000)
    ('812 B', '3.2 MB')
    """
    power = 0
    while count >= 1000 and power < len(UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.1f} {UNITS[power]}" if power else f"{count:.0f} {UNITS[0]}"
