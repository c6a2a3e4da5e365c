"""How to explain: the options of every task, and one call of `explain` with its examples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypedDict

from xai_nlp.core.batching import Batching, Progress
from xai_nlp.core.fields import OptionField, list_items
from xai_nlp.core.registry import Method, method_options
from xai_nlp.core.trust import EXTENTS
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.precision import PRECISIONS
from xai_nlp.methods import METHODS, find_method
from xai_nlp.tasks.precision import AUTO
from xai_nlp.tasks.task import Task

LONG = ("windows", "error")  # how texts longer than the model are read
PLAIN_TEXTS = ("baseline",)  # options that are a text in Python too
ON_ERROR = ("raise", "record")  # what happens to a list of which one input cannot be explained


class ExplainKeywords(TypedDict, total=False):
    """The options that every `explain` takes by name, beside those of its task and of its method."""

    method: str | Sequence[str]
    baseline: str | None
    unit: str | None
    layer: int | None
    parts: bool
    layers: bool
    attention: bool
    long: str
    max_length: int | None
    stride: int | None
    batch_size: int | None
    precision: str | None
    progress: Progress | bool | None
    on_error: str
    trust: str | bool | None
    column: str | Mapping[str, str] | None
    # options of the methods
    steps: Any
    rule: str
    tolerance: float
    max_steps: int
    multiply: bool
    samples: int
    noise: float
    seed: int
    of: str
    of_options: Mapping[str, Any]
    absolute: bool
    positive: bool
    summed: bool
    width: float
    alpha: float
    start: str
    together: bool
    what: str
    biases: str
    attends: str
    epsilon: float
    as_captum: bool


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of every task.

    method: a name of `xai-nlp methods`, or several for the same input.
    baseline: "pad", "mask", "zero", "mean", "reference" (pad, and every position and type as the first token's), or a
        text; None is pad, or zero if the tokenizer has no pad token.
    unit: "logit", "probability" or "log-probability" (natural logarithm); None is the task's own.
    layer: None explains the input embeddings; k the output of block k.
    parts: score word, position and type embeddings apart; they add up to the scores.
    layers: also score the flow through each token at every layer (conductance), in the same sweep.
    attention: also score the flow through every attention probability, in the same sweep.
    long: texts longer than the model are read in windows that share `stride` tokens (a quarter of a window, at most 64,
        if not given); "error" refuses them.
    batch_size: model rows in one pass at most; None lets the engine choose. Results do not depend on it.
    precision: of the products in the model's passes: "float32"; "bf16", or "tf32" on NVIDIA GPUs, which take less time
        and leave more unexplained; "auto", for each example the fastest within the tolerance of `steps="auto"`, and
        float32 for methods without one. Predictions, values, residuals and sums stay in float32. None: as torch is set.
    progress: True shows a bar of the model's passes where work takes longer than 2 s, and lines where stderr is no
        terminal; False shows nothing; a function is called with (windows done, windows in all).
    trust: "quick" or True also fills `Explanation.trust`, at about twice the cost of integrated gradients; "full" asks
        other baselines, methods and seeds, too, and takes seconds. None and False make no check.
    """

    method: str | Sequence[str] = "integrated_gradients"
    baseline: str | None = None
    unit: str | None = None
    layer: int | None = None
    parts: bool = False
    layers: bool = False
    attention: bool = False
    long: str = "windows"
    max_length: int | None = None
    stride: int | None = None
    batch_size: int | None = None
    precision: str | None = None
    progress: Progress | bool | None = True
    on_error: str = "raise"
    trust: Any = None  # "quick", "full" or None

    def __post_init__(self) -> None:
        if self.long not in LONG:
            raise UnknownName("way to read long texts", self.long, LONG)
        if self.on_error not in ON_ERROR:
            raise UnknownName("on_error", self.on_error, ON_ERROR)
        if self.precision is not None:
            choices = (AUTO, *PRECISIONS)
            if self.precision not in choices:
                raise UnknownName("precision", self.precision, choices)
        if isinstance(self.trust, bool):
            object.__setattr__(self, "trust", "quick" if self.trust else None)
        if self.trust is not None and not (isinstance(self.trust, str) and self.trust in EXTENTS):
            raise UnknownName("extent of the trust verdict", self.trust, EXTENTS)
        if not self.methods:
            raise InvalidInput("method names no method; name at least one: method='integrated_gradients'.")

    @property
    def methods(self) -> list[str]:
        if isinstance(self.method, str):
            return [self.method]
        if not isinstance(self.method, Sequence):
            raise InvalidInput(f"method is a name of `xai-nlp methods`, or a list of them; got {self.method!r}.")
        return list(self.method)

    @property
    def batching(self) -> Batching:
        return Batching(limit=self.batch_size)


OPTION_NAMES = tuple(one.name for one in fields(ExplainOptions))


@dataclass(frozen=True, kw_only=True)
class Request:
    """One call of `explain`: the examples, the task's own options, and the methods.

    examples: each example's inputs by name. single: every input was one, not a list.
    gold: the right labels or answers of each example; () where they are not known.
    """

    task: Task
    examples: Sequence[Mapping[str, Any]]
    single: bool
    own: Mapping[str, Any]
    options: ExplainOptions
    methods: tuple[Method, ...] = field(default=())
    gold: Sequence[tuple[str, ...]] = ()

    @classmethod
    def of(
        cls, task: Task, inputs: Mapping[str, Any], keywords: Mapping[str, Any], also: Sequence[str] = ()
    ) -> Request:
        """Checked: every keyword is an option of the task, of every task, or of the one method.

        also: keywords that the task takes from Python alone. Raises UnknownName for another keyword or method,
        InvalidInput for inputs of different numbers and options that do not go together.
        """
        own_names = {one.name for one in task.options} | set(also)
        arrays = (*also, "regions")
        keywords = {name: value if name in arrays else _without_arrays(value) for name, value in keywords.items()}
        keywords = {name: value for name, value in keywords.items() if value is not None or name not in own_names}
        keywords = _checked(task.every_option, keywords)
        options = ExplainOptions(**{name: keywords[name] for name in OPTION_NAMES if name in keywords})
        own = {name: value for name, value in keywords.items() if name in own_names}
        left = {name: value for name, value in keywords.items() if name not in own and name not in OPTION_NAMES}
        names = options.methods
        if len(names) == 1 and isinstance(names[0], str) and names[0] in METHODS:
            known = {one.name: one.default for one in fields(METHODS[names[0]])}  # type: ignore[arg-type]
            for name in left:
                if name not in known:
                    raise UnknownName("option", name, sorted({*known, *own_names, *OPTION_NAMES}))
            left = _checked(method_options(names[0]), _given(left, known), texts_too=True)
        elif left and all(name in list(METHODS) for name in names):
            raise InvalidInput("options belong to one method; explain each method by a call of its own to set them.")
        methods = tuple(find_method(name, left if len(names) == 1 else {}) for name in names)
        for method in methods:
            _check_places(method, options)
        examples, single = examples_of(task, inputs)
        return cls(task=task, examples=examples, single=single, own=own, options=options, methods=methods)

    def part(self, indices: Sequence[int]) -> Request:
        """The request of some of the examples."""
        gold = [self.gold[i] for i in indices if self.gold]
        return replace(self, examples=[self.examples[i] for i in indices], gold=gold)


def _without_arrays(value: Any) -> Any:
    """The value; an array or a tensor as a list, or as a number."""
    return value.tolist() if hasattr(value, "tolist") and hasattr(value, "ndim") else value


def _given(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values without those that are None where another value is the default: they are not given."""
    return {name: value for name, value in values.items() if value is not None or defaults.get(name) is None}


def _checked(options: Iterable[OptionField], values: Mapping[str, Any], texts_too: bool = False) -> dict[str, Any]:
    """The values, those of numbers and switches in the type of their option. Raises InvalidInput for another type.

    texts_too: a method's texts are texts, and it checks their choices. A task's may be more in Python than in a form: a
        list of targets, an answer's characters, an array of regions.
    """
    checked = {}
    for one in options:
        value = values.get(one.name)
        text = isinstance(value, str) if texts_too else one.name not in PLAIN_TEXTS
        if value is not None and not (one.type is str and text):
            checked[one.name] = one.check(value)
    return {**values, **checked}


def _check_places(method: Method, options: ExplainOptions) -> None:
    """Refuse places that a method does not score, by what the method declares."""
    extras = options.layers or options.attention
    if options.layer is not None and (extras or options.parts or method.operates_on == "attention"):
        raise InvalidInput("layer=… asks for the scores of one layer's output; leave out the other options.")
    if options.parts and method.operates_on != "inputs":
        raise InvalidInput(f"parts=True goes with methods that score the embeddings; got {method.name!r}.")


def examples_of(task: Task, inputs: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """The examples of a call, each by the names of its inputs; and whether there was one, not a list.

    One value serves every example, as one context serves many questions.
    Raises InvalidInput for lists of different lengths, or nothing.
    """
    by_name = {one.name: inputs[one.name] for one in task.inputs if inputs.get(one.name) is not None}
    by_name |= {
        one.name: _lists(by_name[one.name], one.name)
        for one in task.inputs
        if one.kind == "list" and one.name in by_name
    }
    for one in task.inputs:
        if one.required and one.name not in by_name:
            raise InvalidInput(f"{one.name} is missing: {task.title.lower()} needs {' and '.join(task.required)}.")
    many = {
        one.name: list(by_name[one.name])
        for one in task.inputs
        if one.name in by_name and _is_list(one.kind, by_name[one.name])
    }
    counts = {name: len(values) for name, values in many.items()}
    if any(count == 0 for count in counts.values()):
        raise InvalidInput(f"there is nothing to explain: the list of {next(iter(counts))} is empty.")
    if len(set(counts.values())) > 1:
        listed = " and ".join(f"{count} of {name}" for name, count in counts.items())
        raise InvalidInput(f"each example needs one of each input; got {listed}.")
    count = next(iter(counts.values()), 1)
    columns = {name: many.get(name, [value] * count) for name, value in by_name.items()}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)], not many


def _is_list(kind: str, value: Any) -> bool:
    """Are these several values? A pair of texts is a tuple, and one example; so is a list where a list is read."""
    if kind == "image":
        return isinstance(value, (list, tuple))
    if kind == "list":
        return not value or isinstance(value[0], list)
    no_axis = getattr(value, "ndim", 1) == 0  # a tensor of one number says that it is iterable
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, tuple)) and not no_axis


def _lists(value: Any, name: str) -> list[Any]:
    """The texts of one example, or a list of those of several."""
    several = isinstance(value, (list, tuple)) and any(isinstance(one, (list, tuple)) for one in value)
    return [list_items(one, name) for one in value] if several else list_items(value, name)
