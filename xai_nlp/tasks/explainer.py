"""Explainer: a model bound to a task. The base class of every task."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from xai_nlp.core.arrays import AttentionAttribution
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.fields import InputField
from xai_nlp.core.registry import Method
from xai_nlp.core.result import SPECIAL, Explanation
from xai_nlp.core.trust import Extent, Trust
from xai_nlp.data.scenes import scenes
from xai_nlp.data.table import is_table, read_table
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.model_state import frozen_model
from xai_nlp.hooks.offload import device_of
from xai_nlp.hooks.points import Points
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.models.adapter import Adapter
from xai_nlp.models.layout import text_config
from xai_nlp.models.loading import LoadedModel
from xai_nlp.models.tokenization import Text, TokenWindow, batches, encode, pad_batch
from xai_nlp.tasks import run
from xai_nlp.tasks.batch import WindowBatch, batch_forward
from xai_nlp.tasks.example_target import ExampleTarget
from xai_nlp.tasks.options import ExplainOptions, Request
from xai_nlp.tasks.table import find_task
from xai_nlp.tasks.task import Task

BATCH_ENTRIES = 2**23  # entries of the texts whose scores are in memory at once


class Explainer:
    """A model, its tokenizer and its task. The model is handed back after each call as it was.

    A task overrides `read` (how outputs are read) and `targets` (which numbers are explained), and `encode`, `batch`,
    `run` where its inputs are more than a text or a pair.
    """

    task_name: ClassVar[str] = ""
    unit: ClassVar[str] = "logit"  # the unit of scores if none is named
    divided_segment: ClassVar[int | None] = None  # the text of a pair that is read in windows; None for the longer
    token_axis: ClassVar[int | None] = None  # of the outputs (*C) of a row: the one that runs over its tokens
    one_target: ClassVar[bool] = False  # `targets` gives one for each example
    mean_of_windows: ClassVar[bool] = False  # a long text is explained as the mean over its windows
    python_options: ClassVar[tuple[str, ...]] = ()  # options that only Python can give, such as arrays

    def __init__(self, loaded: LoadedModel, task: Task | None = None) -> None:
        self.task = task or find_task(self.task_name)
        self.loaded = loaded
        self.model, self.tokenizer, self.name = loaded.model, loaded.tokenizer, loaded.name
        self.adapter = Adapter.of(self.model)
        self.pad = self.token_id("pad_token_id")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} ({self.adapter.architecture})>"

    def explain(self, *inputs: Any, **options: Any) -> Any:
        """Scores of the task's inputs: an Explanation, or Explanations for a list.

        inputs: in the order of the task's row, or by name. options: those of the task, of every task
        (`tasks.options.ExplainOptions`) and of the method.
        Raises InvalidInput for inputs that cannot be explained, UnknownName for an option that does not exist.
        """
        return self._explain(*self.named_inputs(inputs, options))

    def explain_table(
        self, source: Any, *, column: str | Mapping[str, str] | None = None, **options: Any
    ) -> Explanations:
        """Explanations of the rows of a table, with their right labels or answers.

        source: anything that `data.table.read_table` reads: a pandas frame, a data set, a dict of columns, a file.
        column: the column of the first input, or a mapping from inputs, and "gold", to columns.
        """
        shared, others = self.named_inputs((), options)
        table = {one.name: read_table(source) for one in self.task.inputs[:1]}
        explanations = self._explain({**shared, **table}, {"column": column, **others})
        return explanations if isinstance(explanations, Explanations) else Explanations([explanations])

    def trust(self, explanation: Explanation, extent: Extent = "quick", **call: Any) -> Trust:
        """How far an explanation of this model can be trusted; `explain(…, trust=True)` asks it at once.

        extent: "quick" checks whether the scores add up, whether there is anything to explain, and whether the output
            falls faster when words with high scores go first than in random orders. "full" tries more orders, compares
            with the best order found, and also asks another baseline, another method and another seed.
        call: inputs and options of the call that made the explanation, where it does not hold them, such as the image.

        Raises InvalidInput if the model does not give the explanation's outputs.

        >>> import xai_nlp
        >>> explainer = xai_nlp.load("sentiment")
        >>> why = explainer.explain("The cast is great, but the story is dull and lifeless, and far too long.")
        >>> explainer.trust(why).level
        'holds'
        """
        from xai_nlp.tasks import trust

        return trust.trust(self, explanation, extent, call)

    def predict(self, *inputs: Any, **options: Any) -> Any:
        """The outputs with their probabilities: one dict, or one for each example of a list."""
        request = self.request(*self.named_inputs(inputs, options))
        results = self.outputs(request)
        return results[0] if request.single else results

    def outputs(self, request: Request) -> list[dict[str, float]]:
        """The outputs of each example of a request, with their probabilities."""
        with frozen_model(self.model, evaluate=True):
            windows = self.encode(request)
            targets = self.targets(request, windows, run.predict(self, windows, request.options.batching))
        return [dict(target.outputs) for target in targets]

    # What a task says -----------------------------------------------------------------------------------------------

    def read(self, output: Any) -> Tensor:
        """The numbers of a model's output that can be explained: (R, *C)."""
        raise NotImplementedError

    def targets(
        self, request: Request, windows: Sequence[TokenWindow], outputs: Sequence[Tensor]
    ) -> list[ExampleTarget]:
        """What is explained of each example, given the outputs (*C) of each window."""
        raise NotImplementedError

    def texts(self, request: Request) -> list[Text]:
        """The text, or the pair of texts, of each example."""
        names = [one.name for one in self.task.inputs]
        columns = [[example[name] for name in names if example.get(name) is not None] for example in request.examples]
        return [texts[0] if len(texts) == 1 else tuple(texts) for texts in columns]

    def encode(self, request: Request) -> list[TokenWindow]:
        """The token windows of each example."""
        return self.encode_texts(self.texts(request), request.options)

    def batch(self, windows: Sequence[TokenWindow]) -> WindowBatch:
        """Windows side by side, as the model takes them."""
        return WindowBatch(windows, *pad_batch(windows, self.pad, device_of(self.model)))

    def run(self, batch: WindowBatch, arguments: Mapping[str, Tensor], owner: Tensor) -> Tensor:
        """The numbers (R, *C) of rows that belong to `owner` (R,), under whatever hooks are open.

        arguments: moved inputs that enter the model as arguments, by name.
        """
        return self.read(batch_forward(self.model, batch.inputs, owner))

    def matrices(
        self, request: Request, windows: Sequence[TokenWindow], targets: Sequence[ExampleTarget]
    ) -> Sequence[Mapping[str, AttentionAttribution]]:
        """Matrices of each explanation that do not depend on the method, by name."""
        return [{} for _ in targets]

    def batch_key(self, window: TokenWindow) -> Hashable:
        """Windows of different keys do not share a batch."""
        return None

    def baseline_name(self, request: Request) -> str:
        """The baseline of a request: pad, or zero without a pad token, if none is named."""
        return request.options.baseline or ("zero" if self.pad is None else "pad")

    def row_entries(self, batch: WindowBatch) -> int:
        """Numbers of one row of a batch, for the size of the parts in which it runs."""
        return batch.movable.shape[1] * self.width

    def takes(self, method: Method | type[Method]) -> bool:
        """Can the method score what this task reads, with this model?"""
        return True

    def gives_several(self, request: Request) -> bool:
        """Does the request ask for several explanations of one example, by a list of targets?"""
        repeatable = [one.name for one in self.task.options if one.repeatable]
        return any(isinstance(request.own.get(name), (list, tuple)) for name in repeatable)

    def example(self) -> dict[str, Any]:
        """One short input that this model reads, by the names of the task's inputs, to try things on."""
        given = next(iter(self.task.examples), {})
        return {one.name: given.get(one.name) or _sample(one) for one in self.task.inputs if one.required}

    # Shared ---------------------------------------------------------------------------------------------------------

    def named_inputs(self, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs by name, from a call that gives them in the table's order or by name; and the other keywords."""
        names = [one.name for one in self.task.inputs]
        if len(inputs) > len(names):
            raise InvalidInput(f"{self.task.title} has {len(names)} inputs, {', '.join(names)}; got {len(inputs)}.")
        by_name = dict(zip(names, inputs, strict=False))
        for name in names:
            if name in keywords and name in by_name:
                raise InvalidInput(f"{name} is given twice.")
        by_name |= {name: keywords[name] for name in names if name in keywords}
        return by_name, {name: value for name, value in keywords.items() if name not in names}

    def request(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Request:
        """One call, checked. A table among the inputs (a frame, a data set, a mapping of columns) holds all of them."""
        options = dict(options)
        column = options.pop("column", None)
        gold: list[tuple[str, ...]] = []
        if options.get("unit") is None:
            options["unit"] = self.unit
        tables = [value for value in inputs.values() if is_table(value)]
        if tables:
            shared = {name: value for name, value in inputs.items() if value is not None and not is_table(value)}
            inputs, gold = self._columns(tables[0], column, shared)
        elif column is not None:
            raise InvalidInput(
                "column=… names the columns of a table: a pandas frame, a data set or a dict of columns."
            )
        return replace(Request.of(self.task, inputs, options, self.python_options), gold=gold)

    def _columns(
        self, source: Any, column: str | Mapping[str, str] | None, shared: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
        """The inputs in a table by name, and the right labels or answers of each row.

        column: the column of the first input, or input -> column. shared: inputs that serve all rows.
        """
        names = {self.task.inputs[0].name: column} if isinstance(column, str) else column
        labels = getattr(getattr(self, "labels", None), "names", ())
        fields = [one for one in self.task.inputs if one.name not in shared]
        records = list(read_table(source).records(fields, self.task.gold, names, labels))
        inputs = {one.name: [record.inputs.get(one.name) for record in records] for one in fields}
        inputs = {name: values for name, values in inputs.items() if any(value is not None for value in values)}
        return {**inputs, **shared}, [record.gold for record in records]

    def _explain(self, inputs: Mapping[str, Any], options: Mapping[str, Any]) -> Explanation | Explanations:
        request = self.request(inputs, options)
        records = request.options.on_error == "record" and not request.single
        explanations = run.explain_and_record(self, request) if records else run.explain(self, request)
        one = request.single and isinstance(request.options.method, str) and not self.gives_several(request)
        return explanations[0] if one and len(explanations) == 1 else explanations

    def token_id(self, name: str) -> int | None:
        """The id of a special token, by the name of the tokenizer's attribute; None if there is none."""
        value = getattr(self.tokenizer, name, None)
        return getattr(self.model.config, name, None) if value is None else value

    @property
    def points(self) -> Points:
        """The named hook points of the model."""
        return self.adapter.points

    def layer(self, k: int) -> ModulePoint:
        """The output of layer k, counted from 0. Raises UnknownName."""
        return self.adapter.layer(k)

    @property
    def width(self) -> int:
        """Numbers of one word vector."""
        return self.model.get_input_embeddings().weight.shape[1]

    def encode_texts(self, texts: Sequence[Text], options: ExplainOptions) -> list[TokenWindow]:
        """The token windows of texts or pairs."""
        limits = [self.adapter.max_length, getattr(self.tokenizer, "model_max_length", None), options.max_length]
        limit = min(n for n in limits if n)
        shared = min(64, limit // 4) if options.stride is None else options.stride
        windows = encode(
            self.tokenizer,
            texts,
            max_length=limit,
            stride=shared if options.long == "windows" else None,
            names=["input_ids", "attention_mask", *self.tokenizer.model_input_names],
            cut=self.divided_segment,
        )
        self._check_vocabulary(windows)
        return windows

    def _check_vocabulary(self, windows: Sequence[TokenWindow]) -> None:
        """Refuse token ids that the model has no vector for, and texts that are mostly unknown tokens."""
        ids = np.fromiter(chain.from_iterable(window.inputs["input_ids"] for window in windows), dtype=np.int64)
        rows = self.model.get_input_embeddings().weight.shape[0]
        if ids.max(initial=0) >= rows:
            raise InvalidInput(
                f"the tokenizer gives the token id {ids.max()}, and {self.name} has vectors for {rows:,} tokens: it is "
                "the tokenizer of another model."
            )
        inside = np.concatenate([window.segment for window in windows]) != SPECIAL
        example = np.repeat([window.example for window in windows], [len(window) for window in windows])
        unknown = np.bincount(example, weights=inside & (ids == self.token_id("unk_token_id")))
        mostly = np.flatnonzero(2 * unknown > np.bincount(example, weights=inside))
        if len(mostly):
            name = f"text {mostly[0]}" if example[-1] else "the text"
            raise InvalidInput(
                f"the tokenizer of {self.name} does not know most of {name}: {unknown[mostly[0]]:.0f} tokens are "
                f"{self.tokenizer.unk_token!r}. Is it the model's own tokenizer, and the text in one of its languages?"
            )

    def output_field(self, output: Any, name: str, axes: tuple[str, ...]) -> Tensor:
        """A field of the model's output. Raises InvalidInput if the output lacks it, or if it has other axes."""
        value = getattr(output, name, None)
        if not isinstance(value, Tensor) or value.ndim != len(axes):
            got = f"{name} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"no {name}"
            raise InvalidInput(
                f"{self.task.title.lower()} needs a model whose {name} have the axes {', '.join(axes)}, as those of "
                f"{self.task.auto_class}; {type(self.model).__name__} gives {got}."
            )
        return value

    def groups(self, windows: Sequence[TokenWindow], *, matrices: bool = False) -> list[list[int]]:
        """Windows that share a batch; where attention matrices are kept, as few as their size asks for."""
        keys: dict[Hashable, list[int]] = {}
        for i, window in enumerate(windows):
            keys.setdefault(self.batch_key(window), []).append(i)
        return [
            [members[i] for i in group]
            for members in keys.values()
            for group in self.divide([windows[m] for m in members], matrices=matrices)
        ]

    def divide(self, windows: Sequence[TokenWindow], *, matrices: bool) -> list[list[int]]:
        """Windows of one key in batches, by their indices."""
        width = self.width
        if matrices:
            heads = getattr(text_config(self.model), "num_attention_heads", 1)
            width = len(self.adapter.layers) * heads * max(map(len, windows))
        return batches(windows, max(1, BATCH_ENTRIES // width), even=self.pad is None)


def _sample(field: InputField) -> Any:
    """What an example shows for an input; a drawn scene for an image."""
    return next(scenes(1, seed=12, types=["colour"])).scene.image() if field.kind == "image" else field.sample


def check_choice(kind: str, value: Any, choices: Sequence[str], remedy: str = "") -> None:
    """Raises UnknownName for a value that is not a choice."""
    if value not in choices:
        raise UnknownName(kind, value, choices, remedy)
