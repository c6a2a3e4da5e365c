"""`doctor`: independent checks of a model, before anybody believes its explanations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from xai_nlp.core.diagnosis import Check, Diagnosis, MethodTrial, error, ok, warning
from xai_nlp.core.progress import Bar
from xai_nlp.errors import InvalidInput, NoOffsets, UnknownName, XaiError
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.methods import METHODS, find_method
from xai_nlp.models.loading import place_of
from xai_nlp.models.model_folder import base_of_adapter, check_folder, pickles_in
from xai_nlp.tasks import model_checks, pass_checks
from xai_nlp.tasks.api import load
from xai_nlp.tasks.cost_prediction import cost
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.method_trials import methods as methods_check
from xai_nlp.tasks.method_trials import tried
from xai_nlp.tasks.probe import Probe
from xai_nlp.tasks.run import VERSIONS
from xai_nlp.tasks.table import find_task

ModelCheck = Callable[[Probe], "Check | None"]  # None where the check does not apply

#: Checks of any model, by name.
OF_MODEL: dict[str, ModelCheck] = {
    "tokenizer offsets": model_checks.tokenizer,
    "vocabulary": model_checks.vocabulary,
    "weights": model_checks.weights,
    "dtype": model_checks.dtype,
    "quantisation": model_checks.quantisation,
    "devices": model_checks.devices,
    "evaluation mode": model_checks.evaluation_mode,
    "prediction": pass_checks.prediction,
}
#: Checks that compare outputs; they are omitted where the model gives none, or random ones.
OF_OUTPUTS: dict[str, ModelCheck] = {
    "embeddings": pass_checks.embeddings,
    "image": pass_checks.image,
    "positions and types": pass_checks.parts,
    "layers": pass_checks.layers,
    "attention": pass_checks.attention,
    "gradients": pass_checks.gradients,
    "padding": pass_checks.padding,
    "batch order": pass_checks.batch_order,
}
OF_EXAMPLE = ("tokenizer offsets", "prediction")  # checks that fail where the example does not suit the model
PLAIN_WORDS = ("a", "an", "every", "neither", "the", "this", "unknown")  # that a message may begin with

# What to do where an error does not say it.
MEND = "Run the model on this input yourself, and mend what it says."
EXAMPLE = "If the example is at fault, give one that the model reads: doctor(model, example={…}), --input NAME=VALUE."
OBJECT = "Give the model as xai_nlp.load takes it: a name, a folder, or a torch module with its tokenizer."
FOLDER = (
    "Give a folder that save_pretrained wrote, with safetensors and the tokenizer's files. A hub model must be in the "
    "cache: the doctor opens no connection."
)
FIXES = {"files": FOLDER, "batch order": f"{pass_checks.BATCH_OF_ONE}."}


def doctor(
    model: Any = "sentiment",
    tokenizer: Any = None,
    *,
    task: str | None = None,
    processor: Any = None,
    example: Mapping[str, Any] | None = None,
    methods: Sequence[str] | None = None,
    seconds: float = 120.0,
    progress: bool = True,
    **options: Any,
) -> Diagnosis:
    """What works on a model: files, tokenizer, embeddings, layers, attention, gradients, batches, every method, cost.

    model, tokenizer, task, processor, options: as `xai_nlp.load` takes them; model may be an explainer that it gave. No
        connection is opened: a hub model must be in the cache.
    example: a short input of the task by name, with options of the task, to try things on, such as one in the model's
        own language; None takes the task's own.
    methods: names of those to try; None tries all. seconds: no method begins after so many.
    progress: show a bar where it takes longer than 2 s.

    A check that cannot be made is an error with its reason, and the others go on; so is a model that cannot be loaded.
    The model is handed back as it was.
    Raises UnknownName for a task or a method that does not exist, InvalidInput for an example of another task.

    >>> diagnosis = doctor("sentiment", methods=["integrated_gradients"])
    >>> diagnosis.healthy, diagnosis["layers"].sentence
    (True, '3 layers, known by name; replacing any changes the prediction.')
    """
    began = time.monotonic()
    names = sorted(METHODS) if methods is None else [find_method(name).name for name in methods]
    row = None if task is None else find_task(task).name
    examination = Examination()
    explainer = model if isinstance(model, Explainer) else None
    given = {
        name: value for name, value in (("tokenizer", tokenizer), ("task", task), ("processor", processor)) if value
    }
    if explainer is not None and (given or options):
        raise InvalidInput(f"{' and '.join([*given, *options])}: the model is loaded already; give it to xai_nlp.load.")
    if explainer is None:
        explainer = examination.load(model, tokenizer, task=row, processor=processor, **options)
    if explainer is not None:
        inputs = explainer.example() if example is None else dict(example)
        explainer.request(*explainer.named_inputs((), inputs))
        bar = Bar("examining", "check")
        bar.total = len(OF_MODEL) + len(OF_OUTPUTS) + len(names)
        with closing(bar):
            examination.examine(explainer, inputs, names, seconds, bar.update if progress else lambda: None)
    return Diagnosis(
        model=_name(model) if explainer is None else explainer.name,
        checks=tuple(examination.checks),
        task="" if explainer is None else explainer.task.name,
        architecture="" if explainer is None else explainer.adapter.architecture,
        methods=examination.trials,
        omitted=examination.omitted,
        versions=VERSIONS,
        seconds=time.monotonic() - began,
    )


@dataclass
class Examination:
    """The checks so far; one that raises becomes an error check, and the next one follows."""

    checks: list[Check] = field(default_factory=list)
    trials: tuple[MethodTrial, ...] = ()
    omitted: tuple[str, ...] = ()

    def make(self, name: str, check: Callable[[], Check | None]) -> Check | None:
        """Make one check, and list it under its name if it applies."""
        try:
            made = check()
        except Exception as failure:
            made = failed(failure, FIXES.get(name, MEND))
            if name in OF_EXAMPLE:
                made = replace(made, fix=f"{made.fix} {EXAMPLE}")
        if made is not None:
            made = replace(made, name=name)
            self.checks.append(made)
        return made

    def load(self, source: Any, tokenizer: Any, **options: Any) -> Explainer | None:
        """The explainer of a model; None, with an error check, if it cannot be loaded."""
        named = isinstance(source, (str, os.PathLike))
        if named:
            made = self.make("files", partial(files, os.fspath(source), tokenizer is None))
            if made is not None and made.level == "error":
                return None
            options = {"local_files_only": True, **options}
        try:
            return load(source, tokenizer, **options)
        except Exception as failure:
            name = "tokenizer offsets" if isinstance(failure, NoOffsets) else "loading"
            self.checks.append(replace(failed(failure, FOLDER if named else OBJECT), name=name))
            return None

    def examine(
        self,
        explainer: Explainer,
        example: Mapping[str, Any],
        names: Sequence[str],
        seconds: float,
        done: Callable[[], None],
    ) -> None:
        """Make all checks of a loaded model, and try the methods."""
        training = [path for path, module in explainer.model.named_modules() if module.training]
        with frozen_model(explainer.model, evaluate=True):
            probe = Probe(explainer, example, training)
            for name, check in OF_MODEL.items():
                self.make(name, partial(check, probe))
                done()
            try:
                same = probe.noise <= probe.rounding
            except Exception:  # the check of the prediction has said why
                self.omitted = (*OF_OUTPUTS, "cost", "methods")
                return
            self.omitted = () if same else tuple(OF_OUTPUTS)
            for name, check in OF_OUTPUTS.items():
                if same:
                    self.make(name, partial(check, probe))
                done()
            self.make("cost", partial(cost, probe))
            self.trials = tried(probe, names, seconds, done)
            self.make("methods", lambda: methods_check(probe, self.trials))


def failed(failure: Exception, fix: str) -> Check:
    """The error check of an exception: its first sentence, and what to do next, which follows in our own messages."""
    message = " ".join(str(failure).split())
    if not isinstance(failure, XaiError):
        return error(f"{type(failure).__name__}: {message[:400] or 'no message'}", fix)
    if message.partition(" ")[0] in PLAIN_WORDS:  # the name of a model stays as it is
        message = message[0].upper() + message[1:]
    if isinstance(failure, UnknownName):
        return error(message, fix)
    sentence, _, rest = message.partition(". ")
    return error(sentence.removesuffix(".") + ".", rest or fix)


def files(source: str, needs_tokenizer: bool) -> Check | None:
    """Are a model's files safe to read, and complete?"""
    where, name = place_of(source)
    if not isinstance(where, Path):
        return None  # a name of the hub, whose files are checked as they are read
    check_folder(where, name, needs_tokenizer=needs_tokenizer)
    base_of_adapter(where)
    weights = sorted(where.glob("*.safetensors"))
    size = sum(file.stat().st_size for file in weights)
    noun = "file" if len(weights) == 1 else "files"
    sentence = f"{len(weights)} {noun} of safetensors, {size / 1e6:,.1f} MB"
    if pickles := pickles_in(where):
        return warning(
            f"{sentence}; {', '.join(pickles[:3])} beside them could run code where other programs read it.",
            f"It is not read here: delete it if nothing needs it, rm {where / pickles[0]}.",
            bytes=size,
        )
    return ok(f"{sentence}, and no pickle.", bytes=size, files=len(weights))


def _name(source: Any) -> str:
    """What a model that cannot be loaded is called: its folder, its hub name, or its class."""
    return Path(source).name[:60] if isinstance(source, (str, os.PathLike)) else type(source).__name__
