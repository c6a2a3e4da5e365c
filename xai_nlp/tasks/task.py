"""A task: what it reads, what can be chosen, and the options that all tasks share. Importing it imports no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from xai_nlp.core.fields import InputField, OptionField
from xai_nlp.core.trust import EXTENTS

SCORE_UNITS = ("logit", "probability", "log-probability")  # of scores
EVERY = "all"  # a target that stands for each label, or an entity for each that the model reads

#: Options of every task; a method's own options come from its dataclass (`core.registry.method_options`).
COMMON_OPTIONS: tuple[OptionField, ...] = (
    OptionField(
        name="method",
        type=str,
        default="integrated_gradients",
        repeatable=True,
        help="An attribution method; repeat it for several side by side.",
    ),
    OptionField(
        name="baseline", type=str, help="What the input is compared with: pad, mask, zero, mean, reference, or a text."
    ),
    OptionField(name="unit", type=str, choices=SCORE_UNITS, help="The unit of the scores."),
    OptionField(
        name="layer", type=int, least=0, advanced=True, help="Explain the output of this layer, not the embeddings."
    ),
    OptionField(name="layers", type=bool, default=False, help="Also show how much flows through every layer."),
    OptionField(
        name="attention", type=bool, default=False, help="Also show how much flows through every attention matrix."
    ),
    OptionField(
        name="parts", type=bool, default=False, advanced=True, help="Score word, position and type embeddings apart."
    ),
    OptionField(
        name="trust",
        type=str,
        choices=EXTENTS,
        help="Also say how far to trust the scores; full also asks other methods and baselines, and takes longer.",
    ),
    OptionField(
        name="long",
        type=str,
        default="windows",
        choices=("windows", "error"),
        advanced=True,
        help="Read texts longer than the model in overlapping windows, or refuse them.",
    ),
    OptionField(name="max_length", type=int, least=1, advanced=True, help="Tokens of a window at most."),
    OptionField(name="stride", type=int, least=0, advanced=True, help="Tokens that neighbouring windows share."),
    OptionField(name="batch_size", type=int, least=1, advanced=True, help="Model rows in one pass at most."),
    OptionField(
        name="precision",
        type=str,
        choices=("auto", "float32", "tf32", "bf16"),
        advanced=True,
        help="Of the model's products: bf16 and tf32 are faster; auto takes the fastest that leaves the tolerance.",
    ),
    OptionField(
        name="on_error",
        type=str,
        default="raise",
        choices=("raise", "record"),
        advanced=True,
        help="End at the first input that cannot be explained, or record its error and explain the others.",
    ),
)

#: Options of every task that are about words.
TEXT_OPTIONS = {"baseline", "layers", "attention", "parts", "long", "max_length", "stride"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """One row of the table.

    gold: columns of data sets that hold the right label or answer.
    auto_class, class_endings: which class of transformers loads its models, and how the names of model classes end.
    embedded: the embedded model's name; "" if there is none.
    explainer: the class of `tasks.explainer.Explainer` that reads the outputs, or its "module:Class".
    """

    name: str
    title: str
    command: str
    help: str
    inputs: tuple[InputField, ...]
    options: tuple[OptionField, ...] = ()
    gold: tuple[str, ...] = ("label", "labels", "answer", "answers")
    auto_class: str
    class_endings: tuple[str, ...] = ()
    embedded: str = ""
    explainer: Any
    examples: tuple[Mapping[str, Any], ...] = field(default=())  # inputs that forms offer to try

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the inputs that must be given."""
        return tuple(one.name for one in self.inputs if one.required)

    @property
    def main_input(self) -> InputField:
        """The first text, or the first input where there is none: the argument of the command."""
        return next((one for one in self.inputs if one.kind != "image"), self.inputs[0])

    @property
    def call(self) -> str:
        """The required inputs as keywords of a call: "question=…, context=…"."""
        return ", ".join(f"{name}=…" for name in self.required)

    def reads(self, names: Iterable[str]) -> bool:
        """Are these inputs all that the task needs, and none that it does not read?"""
        return set(self.required) <= set(names) <= {one.name for one in self.inputs}

    @property
    def every_option(self) -> tuple[OptionField, ...]:
        """The task's own options, then those of every task; without those about words if it reads none."""
        own = {one.name for one in self.options}
        own |= set() if self.reads_text else TEXT_OPTIONS
        return (*self.options, *(one for one in COMMON_OPTIONS if one.name not in own))

    @property
    def reads_text(self) -> bool:
        """Is there a text among the inputs?"""
        return any(one.kind != "image" for one in self.inputs)

    def explainer_class(self) -> Any:
        """The class that explains models of this task."""
        if not isinstance(self.explainer, str):
            return self.explainer
        module, _, name = self.explainer.partition(":")
        return getattr(import_module(module), name)
