"""Models and their data, explained a few examples at a time as settings say: the base of both sources of Insights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, NamedTuple, TypeVar

from xai_nlp.core.explanations import Explanations
from xai_nlp.core.result import Explanation
from xai_nlp.errors import InvalidInput, UnknownName, XaiError

PREDICTIONS = ("all", "correct", "incorrect")
PREDICTED = "predicted"
MAX_EXAMPLES = 100  # at once
MAX_TRIED = 1_000  # examples, until those that the filters accept have to do
#: Errors of a method on a model that it does not fit.
FAILURES = (XaiError, ValueError, TypeError, RuntimeError, AssertionError, LookupError)
Example = TypeVar("Example")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is computed and shown.

    arguments: options of the method and of the task.
    prediction: all examples, or only those the model gets right, or wrong; classes: only those predicted so.
    target: the class explained, "predicted" for each example's own. rather_than: the class it is compared with.
    beside: methods that are shown beside `method`, with options of their own defaults.
    """

    method: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    prediction: str = "all"
    classes: tuple[str, ...] = ()
    target: str = PREDICTED
    rather_than: str = ""
    beside: tuple[str, ...] = ()
    examples: int = 4

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise UnknownName("filter of predictions", self.prediction, PREDICTIONS)
        if not 1 <= self.examples <= MAX_EXAMPLES:
            raise InvalidInput(f"from 1 to {MAX_EXAMPLES} examples are shown at once; got {self.examples}.")

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """These settings with the values of a form. Raises UnknownName for a setting that does not exist."""
        for name in values:
            if name not in self.__dataclass_fields__:
                raise UnknownName("setting", name, self.__dataclass_fields__)
        several = ("classes", "beside")
        new: dict[str, Any] = {name: tuple(value) if name in several else value for name, value in values.items()}
        if new.get("method", self.method) != self.method:
            new.setdefault("arguments", {})  # the options of another method do not exist here
        try:
            new["examples"] = int(new.get("examples", self.examples))
        except (TypeError, ValueError):
            raise InvalidInput(f"the number of examples is an integer; got {values['examples']!r}.") from None
        return replace(self, **new)

    def accept(self, predicted: str, right: bool | None) -> bool:
        """Is an example with this prediction shown? Without a right label it passes the filter of predictions."""
        if self.classes and predicted not in self.classes:
            return False
        return right is None or self.prediction == "all" or right == (self.prediction == "correct")

    def to_dict(self) -> dict[str, Any]:
        """The settings as the form shows them."""
        return asdict(self) | {"classes": list(self.classes), "beside": list(self.beside)}


class Explained(NamedTuple):
    """An example as an explanation, and in another form if the source has one."""

    explanation: Explanation
    output: Any = None


class Source(Generic[Example]):
    """Models and their examples. A subclass says how one example is explained.

    settings: what is computed and shown. examples: read as they are needed, and again from the start after the last.
    """

    def __init__(self, settings: Settings, examples: Iterator[Example]) -> None:
        self.settings = settings
        self._unread = examples
        self._read: list[Example] = []
        self._position = 0
        self._shown: list[Example] = []

    def choices(self) -> dict[str, Any]:
        """The form: "methods" (name → options), "options" of the task, "targets", "classes", "judged".

        "contrasts": classes that a target can be compared with. "several": may methods stand side by side?
        "inputs": the fields of an example of the reader's own.
        """
        raise NotImplementedError

    def own_example(self, inputs: Mapping[str, Any]) -> Example:
        """An example of the reader's own, from the values of a form."""
        raise InvalidInput("this source shows the examples of its data set alone.")

    def explain_example(self, example: Example, *, filtered: bool) -> list[Explained]:
        """The results of an example, one for each model; `filtered`: of those that the settings accept."""
        raise NotImplementedError

    def fetch(self) -> Explanations:
        """The next examples, explained as the settings say."""
        return Explanations(one.explanation for results in self.next_results() for one in results)

    def again(self) -> Explanations:
        """The examples shown last, explained as the settings say now; the next ones if there are none."""
        if not self._shown:
            return self.fetch()
        results = (self.explain_example(example, filtered=False) for example in self._shown)
        return Explanations(one.explanation for example in results for one in example)

    def answer(self, request: Mapping[str, Any]) -> Explanations:
        """The explanations that a form requests; the settings stay as they were if that fails.

        request: settings; "more" for other examples than those shown; "own", the inputs of an example that is shown
        first. Raises any of FAILURES.
        """
        before = self.settings, self._shown
        try:
            values = {name: value for name, value in request.items() if name not in ("more", "own", "time")}
            self.settings = self.settings.changed(values)
            if request.get("own"):
                self._shown = [self.own_example(request["own"]), *self._shown][: self.settings.examples]
            return self.fetch() if request.get("more") else self.again()
        except BaseException:
            self.settings, self._shown = before
            raise

    def next_results(self) -> list[list[Explained]]:
        """The results of the next examples; fewer where one round through the data has fewer."""
        accepted, self._shown = [], []
        for example in self._round():
            if results := self.explain_example(example, filtered=True):
                accepted.append(results)
                self._shown.append(example)
            if len(accepted) == self.settings.examples:
                break
        return accepted

    def _round(self) -> Iterator[Example]:
        """Unread examples, then those read, from the beginning; each once, and at most MAX_TRIED."""
        count = 0
        for example in self._unread:
            self._read.append(example)
            count += 1
            yield example
            if count == MAX_TRIED:
                return
        if not self._read:
            raise InvalidInput("the data set gives no example.")
        while count < len(self._read):
            count, self._position = count + 1, self._position % len(self._read) + 1
            yield self._read[self._position - 1]
