"""A model and its tokenizer, by name, by folder, or as given; nothing is fetched that is not asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from xai_nlp.errors import InvalidInput, UnknownName, Unsupported

#: Embedded models: name -> what it does.
EMBEDDED_MODELS = {
    "sentiment": "NEGATIVE or POSITIVE; BERT, 3 layers, 9.5 M parameters",
    "qa": "answers a question from a text; BERT, 6 layers, 14.7 M parameters",
    "vqa": "answers a question about a drawn scene; ViLT, 5 layers, 1.4 M parameters",
}


class TaskClasses(Protocol):
    """The classes of transformers that do a task: one row of `tasks.table`."""

    @property
    def auto_class(self) -> str: ...

    @property
    def class_endings(self) -> tuple[str, ...]: ...


Tasks = Mapping[str, TaskClasses]  # by the task's name, the one to fall back on first

VISION_AUTO_CLASS = "AutoModelForImageTextToText"
#: Models that look at images, but whose classes end like those of other tasks, or that no auto class loads.
VISION_CLASSES = {
    "vilt": "ViltForQuestionAnswering",
    "visual_bert": "VisualBertForQuestionAnswering",
    "lxmert": "LxmertForQuestionAnswering",
    "blip": "BlipForQuestionAnswering",
}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with the tokenizer that goes with it, and the name to show."""

    model: Any
    tokenizer: Any
    name: str
    task: str  # the name of a task
    processor: Any = None  # of images, where the model looks at them; with a tokenizer in it, where it writes answers


def load_model(
    source: str | os.PathLike[str] | nn.Module = "sentiment",
    tokenizer: Any = None,
    *,
    tasks: Tasks,
    processor: Any = None,
    task: str | None = None,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
) -> LoadedModel:
    """A model by an embedded one's name, a folder or a hub name; or a model as given, with its tokenizer.

    tasks: the rows of the task table, by name. task: one of them; None goes by the model's config, and is the first
        task if that says nothing.
    processor: of a model that looks at images; its tokenizer serves, where it has one. Files bring their own.
    A folder or an embedded model touches no network. Hub models load from safetensors only, and run code of their own
    only if `trust_remote_code`. Raises UnknownName if nothing of that name is found, Unsupported for a tokenizer that
    cannot tell where its tokens stand in the text.
    """
    if isinstance(source, nn.Module):
        tokenizer = tokenizer or getattr(processor, "tokenizer", None)
        if tokenizer is None:
            raise InvalidInput("a model needs its tokenizer: load(model, tokenizer).")
        config = getattr(source, "config", None)
        name = getattr(config, "name_or_path", "") or type(source).__name__
        kind = _task_name(task, tasks, [cls.__name__ for cls in type(source).__mro__], config)
        loaded = LoadedModel(source, tokenizer, name, kind, processor)
    else:
        options = {"processor": processor, "task": task, "dtype": dtype, "trust_remote_code": trust_remote_code}
        options["tasks"] = tasks
        loaded = _from_files(source, tokenizer, **options)
        if device is not None:
            loaded.model.to(device)
    if not getattr(loaded.tokenizer, "is_fast", False):
        raise Unsupported(
            f"{type(loaded.tokenizer).__name__} does not tell where its tokens stand in the text. "
            "Load the fast tokenizer: AutoTokenizer.from_pretrained(…, use_fast=True)."
        )
    return loaded


def _from_files(source: str | os.PathLike[str], tokenizer: Any, **options: Any) -> LoadedModel:
    name = os.fspath(source)
    known = name.removeprefix("zoo/")
    if known in EMBEDDED_MODELS and not Path(name).is_dir():
        with as_file(files("xai_nlp.zoo") / known) as folder:
            return _pretrained(folder, f"zoo/{known}", tokenizer, **options)
    if Path(name).is_dir():
        return _pretrained(Path(name), Path(name).name, tokenizer, **options)
    try:
        return _pretrained(name, name, tokenizer, **options)
    except OSError as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnknownName(
            "model",
            name,
            EMBEDDED_MODELS,
            f"It is no folder either, and the hub did not give it: {first} List them with `xai-nlp models`.",
        ) from error


def _pretrained(
    where: str | Path,
    name: str,
    tokenizer: Any,
    *,
    tasks: Tasks,
    processor: Any,
    task: str | None,
    dtype: torch.dtype,
    trust_remote_code: bool,
) -> LoadedModel:
    import transformers

    options = {"trust_remote_code": trust_remote_code, "local_files_only": isinstance(where, Path)}
    with _no_loading_bar():
        config = transformers.AutoConfig.from_pretrained(where, **options)
        kind = _task_name(task, tasks, config.architectures or [], config)
        auto_class = tasks[kind].auto_class
        looks = auto_class == VISION_AUTO_CLASS
        loader = getattr(transformers, VISION_CLASSES.get(config.model_type, auto_class) if looks else auto_class)
        own = {} if loader.__name__.startswith("Auto") else {"local_files_only": options["local_files_only"]}
        model = loader.from_pretrained(where, dtype=dtype, use_safetensors=True, **(own or options))
        if looks and processor is None and hasattr(config, "vision_config"):
            processor = transformers.AutoProcessor.from_pretrained(where, **options)
        elif looks and processor is None and config.model_type == "vilt":
            processor = transformers.AutoImageProcessor.from_pretrained(where, **options)
        tokenizer = tokenizer or getattr(processor, "tokenizer", None)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options) if tokenizer is None else tokenizer
    return LoadedModel(model.eval(), tokenizer, name, kind, processor)


def _task_name(name: str | None, tasks: Tasks, classes: Sequence[str], config: Any = None) -> str:
    """The task named, or the one that the names of a model's classes tell. Raises UnknownName."""
    if name is not None:
        if name not in tasks:
            raise UnknownName("task", name, tasks)
        return name
    if getattr(config, "model_type", "") in VISION_CLASSES or hasattr(config, "vision_config"):
        return next(task for task, row in tasks.items() if row.auto_class == VISION_AUTO_CLASS)
    fitting = (task for task, row in tasks.items() if any(one.endswith(row.class_endings) for one in classes))
    return next(fitting, next(iter(tasks)))


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Weights load without a progress bar; whether transformers shows them is left as it was."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
