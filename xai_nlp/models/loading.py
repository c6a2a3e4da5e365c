"""Models with their tokenizers, by name, by folder, or given as objects; the hub is asked for hub names only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from xai_nlp.errors import InvalidInput, NoOffsets, UnknownName, Unsupported, XaiError
from xai_nlp.models.model_folder import base_of_adapter, check_folder, holds_tokenizer
from xai_nlp.models.sentence_embedding import EmbeddingHead, encoder_of_object

#: Embedded models: name -> description.
EMBEDDED_MODELS = {
    "sentiment": "NEGATIVE or POSITIVE; BERT, 3 layers, 9.5 M parameters",
    "qa": "answers a question from a text; BERT, 6 layers, 14.7 M parameters",
    "image": "names the largest shape of a drawn scene; ResNet, 4 blocks, 0.6 M parameters",
    "vqa": "answers a question about a drawn scene; ViLT, 5 layers, 1.4 M parameters",
}
#: Options of `from_pretrained` that say where files are; the others belong to the model alone.
FILE_OPTIONS = ("revision", "token", "cache_dir", "subfolder", "local_files_only", "force_download", "proxies")
DTYPES = ("float32", "bfloat16", "float16", "float64")  # by name


class TaskClasses(Protocol):
    """The classes of transformers that do a task: one row of `tasks.table`."""

    @property
    def title(self) -> str: ...

    @property
    def auto_class(self) -> str: ...

    @property
    def class_endings(self) -> tuple[str, ...]: ...


Tasks = Mapping[str, TaskClasses]  # by the task's name, the one to fall back on first

VISION_AUTO_CLASS = "AutoModelForImageTextToText"
ENCODER_AUTO_CLASS = "AutoModel"  # of models without a head, which embed texts
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
    embedding: EmbeddingHead | None = None  # what follows an encoder, where the model says so


def load_model(
    source: Any = "sentiment",
    tokenizer: Any = None,
    *,
    tasks: Tasks,
    processor: Any = None,
    task: str | None = None,
    dtype: torch.dtype | str | None = None,
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> LoadedModel:
    """A model from the name of an embedded one, a folder, a hub name, or a model object with its tokenizer.

    source: also a pipeline of transformers, a compiled or data-parallel model (which is unwrapped), a
        `SentenceTransformer`, or an object that holds a `model` and its `tokenizer`, as a `CrossEncoder` does.
    processor: the image processor of a model object; files bring their own. Its tokenizer is used if none is given.
    tasks: the rows of the task table, by name.
    task: one of them; None reads it from the config, and takes the first task if the config does not say.
    dtype: None is float32 on a CPU, and the dtype of the files on an accelerator or with `device_map`.
    device: where the model is moved to; "auto" is the accelerator if there is one. A model object is moved itself.
    trust_remote_code: run code that comes with a hub model. Models load from safetensors only. A folder or an embedded
        model opens no connection.
    options: others of `from_pretrained`: revision, token, device_map, quantization_config, …

    Raises UnknownName if there is no model or task of that name; InvalidInput for a model object without a tokenizer,
    for files whose head was trained for another task, and for missing weights or tokenizer files; Unsupported for a
    tokenizer that gives no offsets (a slow one), and for files that could run code.

    >>> from xai_nlp.tasks.table import TASKS
    >>> loaded = load_model("qa", tasks=TASKS)
    >>> loaded.name, loaded.task, type(loaded.model).__name__
    ('zoo/qa', 'question-answering', 'BertForQuestionAnswering')
    """
    if device == "auto":
        device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    device, dtype = _device(device), _dtype(dtype)
    if isinstance(source, (str, os.PathLike)):
        if dtype is None:
            on_cpu = device is None or device.type == "cpu"
            dtype = torch.float32 if on_cpu and not {"device_map", "quantization_config"} & set(options) else "auto"
        options = {"dtype": dtype, "trust_remote_code": trust_remote_code, **options}
        with torch.inference_mode(False):
            loaded = _from_files(os.fspath(source), tokenizer, processor, task, tasks, options)
        dtype = None  # the files were read in it
    elif options or trust_remote_code:
        raise InvalidInput(
            f"{', '.join(options) or 'trust_remote_code'} is an option of models from files; this is a "
            f"{type(source).__name__}. A model object takes tokenizer, processor, task, dtype and device."
        )
    else:
        loaded = _from_object(source, tokenizer, processor, task, tasks)
    if device is not None or dtype is not None:
        _move(loaded.model, device, dtype)
    adapter: Any = getattr(loaded.model, "active_peft_config", None)
    if getattr(adapter, "is_prompt_learning", False):
        raise Unsupported(
            f"this model's adapter ({adapter.peft_type.value}) puts learned vectors before the text, which are no "
            "words. Adapters that change weights, such as LoRA, can be explained."
        )
    for path, module in loaded.model.named_modules():
        if "forward" not in vars(module):  # accelerate's own forward brings offloaded weights for each pass
            tensors = chain(module.named_parameters(recurse=False), module.named_buffers(recurse=False))
            for name, tensor in tensors:
                if tensor.is_meta:
                    raise InvalidInput(
                        f"{path}.{name} has no numbers: it is on the meta device. Load the weights first."
                    )
                if tensor.is_inference():
                    raise InvalidInput(
                        f"{path}.{name} was made in torch.inference_mode(), so that no gradient passes it. "
                        "Make the model outside of it."
                    )
    if loaded.tokenizer is not None:
        _check_tokenizer(loaded.tokenizer)
    return loaded


def _check_tokenizer(tokenizer: Any) -> None:
    """Refuse a slow tokenizer, and one whose settings cannot be used."""
    if not getattr(tokenizer, "is_fast", False):
        raise NoOffsets(
            f"{type(tokenizer).__name__} does not give the offsets of its tokens in the text. "
            "Load the fast tokenizer: AutoTokenizer.from_pretrained(…, use_fast=True)."
        )
    longest, names = getattr(tokenizer, "model_max_length", None), getattr(tokenizer, "model_input_names", [])
    if longest is not None and not isinstance(longest, (int, float)):
        raise InvalidInput(f"the tokenizer's model_max_length is a number of tokens; got {longest!r}.")
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise InvalidInput(f"the tokenizer's model_input_names are a list of names; got {names!r}.")
    for name in ("unk_token_id", "pad_token_id", "mask_token_id"):
        try:
            getattr(tokenizer, name, None)
        except Exception as error:  # a special token that is in no vocabulary sends transformers round in circles
            raise InvalidInput(f"the tokenizer has no {name}: {type(error).__name__}. Is its file complete?") from None


def _device(device: Any) -> torch.device | None:
    """The device of that name. Raises InvalidInput."""
    try:
        return None if device is None else torch.device(device)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidInput(f"the model cannot be moved to {device}: {str(error).splitlines()[0]}.") from None


def _dtype(dtype: Any) -> Any:
    """The dtype of that name; "auto", the files' own, as it is. Raises UnknownName, or InvalidInput for no dtype."""
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if not isinstance(dtype, str):
        raise InvalidInput(f"dtype is a torch.dtype or its name, such as 'float32', or 'auto'; got {dtype!r}.")
    if dtype == "auto":
        return dtype
    if dtype.removeprefix("torch.") not in DTYPES:
        raise UnknownName("dtype", dtype, ("auto", *DTYPES))
    return getattr(torch, dtype.removeprefix("torch."))


# Objects -------------------------------------------------------------------------------------------------------------


def _from_object(source: Any, tokenizer: Any, processor: Any, task: str | None, tasks: Tasks) -> LoadedModel:
    """A model object, or an object that holds a model and its tokenizer: a pipeline, one of sentence-transformers."""
    model, own_tokenizer, embedding = encoder_of_object(source)
    if model is not source:
        processor = processor or getattr(source, "processor", None) or getattr(source, "image_processor", None)
        of_pipeline = getattr(source, "task", None)
        task = task or (of_pipeline if of_pipeline in tasks else None)
    if not isinstance(model, nn.Module):
        raise InvalidInput(
            "a model is a name, a folder, a torch module with its tokenizer, or a pipeline; "
            f"got {type(source).__name__} {str(source)[:60]!r}."
        )
    model = unwrapped(model)
    tokenizer = tokenizer or own_tokenizer or getattr(processor, "tokenizer", None)
    config = getattr(model, "config", None)
    if embedding is not None and task is None:
        task = next(name for name, row in tasks.items() if row.auto_class == ENCODER_AUTO_CLASS)
    known = _task(task, tasks, [cls.__name__ for cls in type(model).__mro__], config)
    if tokenizer is None and tasks[known].auto_class != IMAGE_AUTO_CLASS:
        raise InvalidInput("a model needs its tokenizer: load(model, tokenizer).")
    name = getattr(config, "name_or_path", "") or type(model).__name__
    return LoadedModel(model, tokenizer, name, known, processor, embedding)


def unwrapped(model: nn.Module) -> nn.Module:
    """The module inside `torch.compile`, DataParallel or DistributedDataParallel: hooks need its own modules."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            inner = model.module
        if inner is None:
            return model
        model = inner


def _move(model: Any, device: Any, dtype: Any) -> None:
    target = {name: value for name, value in (("device", device), ("dtype", dtype)) if value is not None}
    try:
        model.to(**target)
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise InvalidInput(
            f"the model cannot be moved to {' and '.join(map(str, target.values()))}: {first}."
        ) from None


# Files ---------------------------------------------------------------------------------------------------------------


def place_of(name: str) -> tuple[str | Path, str]:
    """Where a model lies, and the name to show: the folder of an embedded model or of files, or a hub name.

    Raises InvalidInput for a file.

    >>> place_of("no-such/model"), place_of("sentiment")[1]
    (('no-such/model', 'no-such/model'), 'zoo/sentiment')
    """
    embedded = name.removeprefix("zoo/")
    if Path(name).is_dir():
        return Path(name), Path(name).name
    if Path(name).is_file():
        raise InvalidInput(f"{name} is a file. A model is a folder that save_pretrained wrote; give the folder.")
    if embedded in EMBEDDED_MODELS:
        return Path(str(files("xai_nlp.zoo") / embedded)), f"zoo/{embedded}"
    return name, name


def _from_files(
    name: str, tokenizer: Any, processor: Any, task: str | None, tasks: Tasks, options: dict[str, Any]
) -> LoadedModel:
    """The model, tokenizer and processor of an embedded model, a folder or a hub name."""
    import transformers

    where, name = place_of(name)
    of_files = {key: value for key, value in options.items() if key in (*FILE_OPTIONS, "trust_remote_code")}
    base = where
    if isinstance(where, Path):
        of_files["local_files_only"] = options["local_files_only"] = True
        base = base_of_adapter(where)
        check_folder(where / options.get("subfolder", ""), name, needs_tokenizer=tokenizer is None)
    try:
        with _quiet_loading():
            config = transformers.AutoConfig.from_pretrained(base, **of_files)
            known = _task(task, tasks, _architectures(config), config)
            row, vision_class = tasks[known], None
            reads_text = row.auto_class != IMAGE_AUTO_CLASS
            if row.auto_class == VISION_AUTO_CLASS:
                vision_class = VISION_CLASSES.get(config.model_type)
                if processor is None and hasattr(config, "vision_config"):
                    processor = transformers.AutoProcessor.from_pretrained(where, **of_files)
                elif processor is None and config.model_type == "vilt":
                    processor = transformers.AutoImageProcessor.from_pretrained(where, **of_files)
            else:
                _check_architecture(name, config, known, tasks)
                if processor is None and not reads_text:
                    processor = transformers.AutoImageProcessor.from_pretrained(where, **of_files)
            if vision_class:  # a class by its own name runs no code of the hub
                options.pop("trust_remote_code")
            cls = getattr(transformers, vision_class or row.auto_class)
            safe = {"use_safetensors": True, "ignore_mismatched_sizes": True, "output_loading_info": True}
            model, report = cls.from_pretrained(where, **safe, **options)
            _check_weights(name, config, row, report)
            tokenizer = tokenizer or getattr(processor, "tokenizer", None)
            if tokenizer is None and reads_text:
                own = where if holds_tokenizer(where) else base
                tokenizer = transformers.AutoTokenizer.from_pretrained(own, **of_files)
            of_hub = {key: value for key, value in of_files.items() if key != "trust_remote_code"}
            encodes = row.auto_class == ENCODER_AUTO_CLASS
            embedding = EmbeddingHead.of_files(where, **of_hub) if encodes else None
    except XaiError:
        raise
    except Exception as error:  # broken files make transformers fail by errors of any type
        reason = " ".join(str(error).split())[:400]
        if isinstance(where, Path) or not isinstance(error, OSError):
            kind = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
            raise InvalidInput(f"{name} cannot be loaded: {kind}{reason}") from error
        hint = f"There is no such folder either, and the hub answered: {reason} List them with `xai-nlp models`."
        raise UnknownName("model", name, EMBEDDED_MODELS, hint) from error
    return LoadedModel(model.eval(), tokenizer, name, known, processor, embedding)


def _architectures(config: Any) -> list[str]:
    """The names of the classes that a config was saved with."""
    named = getattr(config, "architectures", None)
    return [cls for cls in named if isinstance(cls, str)] if isinstance(named, (list, tuple)) else []


def _check_architecture(name: str, config: Any, task: str, tasks: Tasks) -> None:
    """Refuse files whose head was trained for another task, even if its weights have the same names."""
    trained = (_architectures(config) or [""])[0]
    other = _fitting(trained, tasks)
    if other is not None and not trained.endswith(tasks[task].class_endings or ("",)):
        raise InvalidInput(
            f"{name} holds a {trained}; its head for {tasks[task].title.lower()} would be untrained. "
            f"Load it with task={other!r}."
        )


def _check_weights(name: str, config: Any, row: TaskClasses, report: Mapping[str, Any]) -> None:
    """Refuse a model of which some weights are not in the files: they are random numbers."""
    missing = sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
    if row.auto_class == "AutoModel":
        missing = [key for key in missing if "pooler" not in key]  # a pooler that no embedding passes
    if missing:
        trained = (_architectures(config) or ["model without a head"])[0]
        listed = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise InvalidInput(
            f"{name} holds a {trained}; for {row.title.lower()} these weights would be untrained: {listed}. "
            "Train the model for this task first, or load one that was."
        )


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
    fitting = (task for cls in classes if (task := _fitting(cls, tasks)) is not None)
    return next(fitting, next(iter(tasks)))


def _fitting(cls: str, tasks: Tasks) -> str | None:
    """The first task whose classes end as this one; None if there is none."""
    return next((task for task, row in tasks.items() if row.class_endings and cls.endswith(row.class_endings)), None)


@contextmanager
def _quiet_loading() -> Iterator[None]:
    """Load weights without the progress bar and the report of transformers; both settings are restored afterwards."""
    from transformers.utils import logging

    enabled, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if enabled:
            logging.enable_progress_bar()
