"""The two functions that most users need: `load` a model, `explain` an input."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from inspect import signature
from typing import Any, overload

from typing_extensions import Unpack

from xai_nlp.core.batching import Progress
from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.data.table import DataTable, is_table, read_table
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.models.loading import EMBEDDED_MODELS, load_model
from xai_nlp.models.tokenization import Text
from xai_nlp.tasks.explainer import Explainer
from xai_nlp.tasks.options import ExplainKeywords
from xai_nlp.tasks.table import TASKS, find_task, task_for_inputs
from xai_nlp.tasks.task import Task

_embedded: dict[str, Explainer] = {}


class _Keywords(ExplainKeywords, total=False):
    """Every keyword of `explain`, for type checkers and editors."""

    question: str | Sequence[str] | None
    context: str | Sequence[str] | None
    image: Any
    prompt: str | Sequence[str] | None
    labels: str | Sequence[str] | Sequence[Sequence[str]] | None
    pair: str | Sequence[str] | None
    model: Any
    task: str | None
    tokenizer: Any
    processor: Any
    device: Any
    dtype: Any
    target: Any
    answer: Any
    rather_than: Any
    unanswerable: bool | None
    longest: int | None
    rank: int | None
    regions: Any
    image_baseline: str | None
    moves: str | None
    features: Any
    boxes: Any
    chat: bool | None
    entity: Any
    aggregation: str | None
    mask: int | None
    template: str | None
    multi_label: bool | None
    pairs: bool | None
    pooling: str | None


def load(
    source: str | os.PathLike[str] | Any = "sentiment",
    tokenizer: Any = None,
    *,
    task: str | None = None,
    processor: Any = None,
    dtype: Any = None,
    device: Any = None,
    trust_remote_code: bool = False,
    **options: Any,
) -> Explainer:
    """An explainer for a model.

    source: an embedded model's name, a folder, a hub name, a PEFT adapter's folder, a model with its tokenizer, a
        pipeline of transformers, a `SentenceTransformer` or a `CrossEncoder`. A compiled or data-parallel model is
        unwrapped.
    task: a key of `tasks.table.TASKS`; None goes by the model's config. For generated text: `load(…).explain(prompt)`.
    processor: of a model that looks at images.
    dtype: None is float32 on a CPU, and the dtype of the files on an accelerator.
    device: where the model is moved to, also a model object; "auto" is the accelerator if there is one.
    trust_remote_code: run code that comes with a hub model; off by default.
    options: others of `from_pretrained`: revision, token, device_map, quantization_config, …
    Raises UnknownName if nothing of that name is found; InvalidInput for a model without its tokenizer, and for a model
    whose head for the task is untrained.

    >>> load("sentiment")
    <TextClassificationExplainer zoo/sentiment (bert): NEGATIVE, POSITIVE>
    >>> load("qa")
    <QuestionAnsweringExplainer zoo/qa (bert)>
    """
    for name in options:
        if get_close_matches(name, LOAD_NAMES, n=1, cutoff=0.75):
            raise UnknownName("option of load", name, LOAD_NAMES)
    row = None if task is None else find_task(task)
    loaded = load_model(
        source,
        tokenizer,
        tasks=TASKS,
        task=row.name if row else None,
        processor=processor,
        dtype=dtype,
        device=device,
        trust_remote_code=trust_remote_code,
        **options,
    )
    row = find_task(loaded.task)
    return row.explainer_class()(loaded, row)


LOAD_NAMES = ("tokenizer", "task", "processor", "dtype", "device", "trust_remote_code")


@overload
def explain(text: Text, *, method: str = ..., **options: Unpack[_Keywords]) -> Explanation: ...  # type: ignore[misc]
@overload
def explain(text: list[Text] | list[str], **options: Unpack[_Keywords]) -> Explanations: ...
@overload
def explain(text: None = None, **options: Unpack[_Keywords]) -> Any: ...
def explain(
    text: Text | Iterable[Text] | Any = None,
    *,
    pair: str | Sequence[str] | None = None,
    question: str | Sequence[str] | None = None,
    context: str | Sequence[str] | None = None,
    image: Any = None,
    prompt: str | Sequence[str] | None = None,
    labels: str | Sequence[str] | Sequence[Sequence[str]] | None = None,
    model: Any = None,
    task: str | None = None,
    tokenizer: Any = None,
    processor: Any = None,
    device: Any = None,
    dtype: Any = None,
    method: str | Sequence[str] = "integrated_gradients",
    target: Any = None,
    baseline: str | None = None,
    unit: str | None = None,
    answer: Any = None,
    rather_than: Any = None,
    layer: int | None = None,
    layers: bool = False,
    attention: bool = False,
    parts: bool = False,
    unanswerable: bool | None = None,
    longest: int | None = None,
    rank: int | None = None,
    regions: Any = None,
    image_baseline: str | None = None,
    moves: str | None = None,
    features: Any = None,
    boxes: Any = None,
    chat: bool | None = None,
    entity: Any = None,
    aggregation: str | None = None,
    mask: int | None = None,
    template: str | None = None,
    multi_label: bool | None = None,
    pairs: bool | None = None,
    pooling: str | None = None,
    long: str = "windows",
    max_length: int | None = None,
    stride: int | None = None,
    batch_size: int | None = None,
    precision: str | None = None,
    progress: Progress | bool | None = True,
    on_error: str = "raise",
    trust: str | bool | None = None,
    column: str | Mapping[str, str] | None = None,
    **options: Any,
) -> Explanation | Explanations:
    """Why the model says what it says about a text or an image: one signed score a token, one a region.

    text: a string, or a pair as a tuple (or `pair`, the second text); a list gives one explanation for each. A table
        (a pandas frame, a `datasets.Dataset`, a dict of columns) holds all inputs of a task, and the right answers.
    column: the table's column of the first input, or a mapping from inputs, and "gold", to columns; by default the
        names that data sets use (`Task.inputs`, `Task.gold`).
    question: with its `context`, or with an `image`, whose regions are scored too. image: alone, a picture that a
        classifier names: a path, bytes, a PIL image or an array. prompt: the text that a generating
        model goes on from; it needs a `model`.
    labels: candidate labels for a text, which a model of inference (NLI) chooses from.
    model: anything that `load` takes, with its `tokenizer` or `processor` if it is a model object; or what `load` gave.
        The embedded model of the task if not given. device, dtype: as `load` takes them.
    task: a key of `tasks.table.TASKS`; None goes by the model, and without a model by the inputs.
    method: a name of `xai-nlp methods`, or several. options: the method's own (steps, samples, seed, …).
    target: a label, a contrast "A-B", or "all" labels; "start" or "end" of an answer, "words" of a generated one; a
        type of entities.
    baseline: "pad", "mask", "zero", "mean", "reference", or a text. unit: "logit", "probability", "log-probability".
    answer, rather_than: explain this answer; why it and not that one.
    layer, layers, attention, parts, long, max_length, stride, batch_size, precision, progress, on_error, trust: see
        `tasks.options.ExplainOptions`.
    unanswerable, longest: of question answering; regions, image_baseline: of images; rank, moves, features, boxes: of
        questions about images; chat: of generated text; entity, aggregation: of token classification; mask: of masked
        language models; template, multi_label: of zero-shot classification; pairs, pooling, moves: of sentence
        similarity. See the task's explainer, for instance `QuestionAnsweringExplainer.explain`.

    Raises InvalidInput for inputs that no task reads, UnknownName for an option that does not exist.

    >>> why = explain("a gripping, beautifully acted film")
    >>> why.prediction, len(why.words().tokens)
    ('POSITIVE', 8)
    >>> why = explain(question="Who wrote Frankenstein?", context="Frankenstein was written by Mary Shelley in 1818.")
    >>> why.prediction
    'Mary Shelley'
    """
    call = {**locals(), **options}
    changed = {name: value for name, value in call.items() if value is not DEFAULTS.get(name) and name != "options"}
    source = {name: changed.pop(name, None) for name in ("model", "task", "tokenizer", "processor", "device", "dtype")}
    if is_table(text):
        table = read_table(changed.pop("text"))
        explainer = explainer_for_table(table, **source)
        return explainer.explain_table(table, **{"method": method, **changed})
    names = {one.name for row in TASKS.values() for one in row.inputs}
    explainer = _explainer_for([name for name in changed if name in names], **source)
    return explainer.explain(**{"method": method, **changed})


DEFAULTS = {name: one.default for name, one in signature(explain).parameters.items()}


def explainer_for_table(table: DataTable, *, model: Any = None, task: str | None = None, **options: Any) -> Explainer:
    """The explainer of a table: of the model, else of the task, else of the first task whose columns it has.

    options: tokenizer, processor, device and dtype, as `load` takes them.
    """
    columns = None if model is not None or task else _columns_of(table)
    return _explainer_for(columns, model=model, task=task, **options)


def _columns_of(table: DataTable) -> tuple[str, ...]:
    """The inputs of the first task whose columns a table has; those of the first task if it has none's."""
    for row in TASKS.values():
        if all(table.column(one.name, *one.columns) for one in row.inputs if one.required):
            return row.required
    return next(iter(TASKS.values())).required


def _explainer_for(inputs: Sequence[str] | None, *, model: Any, task: str | None, **options: Any) -> Explainer:
    """The explainer of a call: of the model, else of the task, else of the first task that reads the inputs.

    inputs: their names; None for a table, which says itself what it lacks.
    A model goes by its config, unless only another task of its auto class reads the inputs.
    An embedded model is loaded once; anything else each time, since its folder may have changed.
    """
    row = find_task(task) if task else None
    given = {name: value for name, value in options.items() if value is not None}
    if isinstance(model, Explainer):
        if given:
            raise InvalidInput(f"{' and '.join(given)}: the model is loaded already; give it to xai_nlp.load instead.")
        explainer = model
    else:
        if model is None:
            row = row or task_for_inputs(inputs or ())
            model, task = row.embedded, None
            if not model:
                does = row.title.lower()
                raise InvalidInput(f"no embedded model does {does}; name one: explain({row.call}, model=…).")
        if isinstance(model, str) and model in EMBEDDED_MODELS and task is None and not given:
            explainer = _embedded[model] = _embedded.get(model) or load(model)
        else:
            explainer = load(model, task=task, **given)
    if row and explainer.task.name != row.name:
        raise InvalidInput(f"{explainer!r} does not do {row.title.lower()}.")
    if not row and inputs is not None and (other := _task_of_model(explainer, inputs)):
        explainer = other.explainer_class()(explainer.loaded, other)
    if inputs is not None and not explainer.task.reads(inputs):
        needs = f"{explainer!r} does {explainer.task.title.lower()}: explain({explainer.task.call}, model=…)"
        raise InvalidInput(f"{needs}; got {' and '.join(inputs) or 'no input'}.")
    return explainer


def _task_of_model(explainer: Explainer, inputs: Sequence[str]) -> Task | None:
    """The first other task of this kind of model that reads the inputs, where the explainer's own does not."""
    own = explainer.task
    alike = (task for task in TASKS.values() if task.auto_class == own.auto_class and task.reads(inputs))
    return None if own.reads(inputs) else next(alike, None)
