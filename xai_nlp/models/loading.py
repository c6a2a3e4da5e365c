"""Models with their tokenizers, by name, by folder, or given as objects; the hub is asked for hub names only."""

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

#: Embedded models: name -> description.
EMBEDDED_MODELS = {
    "sentiment": "NEGATIVE or POSITIVE; BERT, 3 layers, 9.5 M parameters",
    "qa": "answers a question from a text; BERT, 6 layers, 14.7 M parameters",
    "image": "names the largest shape of a drawn scene; ResNet, 4 blocks, 0.6 M parameters",
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
IMAGE_AUTO_CLASS = "AutoModelForImageClassification"  # of models that read images alone, and have no tokenizer
#: Vision-language models whose class has the ending of another task, or that no auto class loads: model_type -> class.
VISION_CLASSES = {
    "vilt": "ViltForQuestionAnswering",
    "visual_bert": "VisualBertForQuestionAnswering",
    "lxmert": "LxmertForQuestionAnswering",
    "blip": "BlipForQuestionAnswering",
}


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with its tokenizer and the name to show."""

    model: Any
    tokenizer: Any  # None for a model that reads images alone
    name: str
    task: str  # the name of a task
    processor: Any = None  # of images; for a model that writes its answer, with a tokenizer in it


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
    """A model from the name of an embedded one, a folder, a hub name, or a model object with its tokenizer.

    processor: the image processor of a model object; files bring their own. Its tokenizer is used if none is given.
    tasks: the rows of the task table, by name.
    task: one of them; None reads it from the config, and takes the first task if the config does not say.
    dtype, device, trust_remote_code: for models from files. A folder or an embedded model opens no connection. Hub
        models load from safetensors only, and run code of their own only with `trust_remote_code`.

    Raises UnknownName if there is no model or task of that name, InvalidInput for a model object without a tokenizer,
    Unsupported for a tokenizer that gives no offsets (a slow one).

    >>> from xai_nlp.tasks.table import TASKS
    >>> loaded = load_model("qa", tasks=TASKS)
    >>> loaded.name, loaded.task, type(loaded.model).__name__
    ('zoo/qa', 'question-answering', 'BertForQuestionAnswering')
    """
    if isinstance(source, nn.Module):
        tokenizer = tokenizer or getattr(processor, "tokenizer", None)
        config = getattr(source, "config", None)
        name = getattr(config, "name_or_path", "") or type(source).__name__
        known = _task(task, tasks, [cls.__name__ for cls in type(source).__mro__], config)
        if tokenizer is None and tasks[known].auto_class != IMAGE_AUTO_CLASS:
            raise InvalidInput("a model needs its tokenizer: load(model, tokenizer).")
        loaded = LoadedModel(source, tokenizer, name, known, processor)
    else:
        options = {"processor": processor, "task": task, "tasks": tasks, "dtype": dtype}
        loaded = _from_files(os.fspath(source), tokenizer, trust_remote_code=trust_remote_code, **options)
        if device is not None:
            loaded.model.to(device)
    if loaded.tokenizer is not None and not getattr(loaded.tokenizer, "is_fast", False):
        raise Unsupported(
            f"{type(loaded.tokenizer).__name__} does not give the offsets of its tokens in the text. "
            "Load the fast tokenizer: AutoTokenizer.from_pretrained(…, use_fast=True)."
        )
    return loaded


def _from_files(name: str, tokenizer: Any, **options: Any) -> LoadedModel:
    if Path(name).is_dir():
        return _pretrained(Path(name), Path(name).name, tokenizer, **options)
    embedded = name.removeprefix("zoo/")
    if embedded in EMBEDDED_MODELS:
        with as_file(files("xai_nlp.zoo") / embedded) as folder:
            return _pretrained(folder, f"zoo/{embedded}", tokenizer, **options)
    try:
        return _pretrained(name, name, tokenizer, **options)
    except OSError as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        hint = f"There is no such folder either, and the hub answered: {first} List them with `xai-nlp models`."
        raise UnknownName("model", name, EMBEDDED_MODELS, hint) from error


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
    """The model, tokenizer and processor of a folder or a hub name."""
    import transformers

    local = {"local_files_only": isinstance(where, Path)}
    options = {"trust_remote_code": trust_remote_code, **local}
    with _no_loading_bar():
        config = transformers.AutoConfig.from_pretrained(where, **options)
        known = _task(task, tasks, config.architectures or [], config)
        image = tasks[known].auto_class == IMAGE_AUTO_CLASS
        vision = tasks[known].auto_class == VISION_AUTO_CLASS
        loader, for_model = tasks[known].auto_class, options
        if vision and config.model_type in VISION_CLASSES:
            loader, for_model = VISION_CLASSES[config.model_type], local  # no auto class: it runs no code of the hub
        model = getattr(transformers, loader).from_pretrained(where, dtype=dtype, use_safetensors=True, **for_model)
        if vision and processor is None and hasattr(config, "vision_config"):
            processor = transformers.AutoProcessor.from_pretrained(where, **options)
        elif processor is None and (image or (vision and config.model_type == "vilt")):
            processor = transformers.AutoImageProcessor.from_pretrained(where, **options)
        tokenizer = tokenizer or getattr(processor, "tokenizer", None)
        if tokenizer is None and not image:
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
    return LoadedModel(model.eval(), tokenizer, name, known, processor)


def _task(name: str | None, tasks: Tasks, classes: Sequence[str], config: Any) -> str:
    """The given task, or the one that the names of the model's classes end with. Raises UnknownName."""
    if name is not None:
        if name not in tasks:
            raise UnknownName("task", name, tasks)
        return name
    images = next((task for task, row in tasks.items() if row.auto_class == IMAGE_AUTO_CLASS), None)
    if images is not None and any(cls.endswith(tasks[images].class_endings) for cls in classes):
        return images
    if getattr(config, "model_type", "") in VISION_CLASSES or hasattr(config, "vision_config"):
        return next(task for task, row in tasks.items() if row.auto_class == VISION_AUTO_CLASS)
    fitting = (task for task, row in tasks.items() if any(cls.endswith(row.class_endings) for cls in classes))
    return next(fitting, next(iter(tasks)))


@contextmanager
def _no_loading_bar() -> Iterator[None]:
    """Load weights without the progress bar of transformers; its setting is restored afterwards."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()
