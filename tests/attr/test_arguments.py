"""Every `attribute` method documents its result, its arguments and its errors."""

import inspect
import re

import pytest

import xai_nlp.attr as ours
from tests.attr.shared_names import CLASSES
from xai_nlp.attr.arguments import SHARED as ARGUMENTS
from xai_nlp.attr.arguments import document

ATTRIBUTING = [name for name in CLASSES if inspect.isfunction(getattr(getattr(ours, name), "attribute", None))]


@pytest.mark.parametrize("name", ATTRIBUTING)
def test_attribute_documents_its_result_its_arguments_and_its_errors(name):
    attribute = getattr(ours, name).attribute
    text = inspect.getdoc(attribute)
    summary, _, rest = text.partition("\n")
    assert re.search(r"\([1BMTn](, [^)]+)?\)", summary) or "shape" in summary or "LimeBase" in attribute.__qualname__, (
        summary
    )
    for parameter in inspect.signature(attribute).parameters:
        assert parameter == "self" or re.search(rf"^    {parameter}: \S", rest, re.M), f"{parameter} is not described"
    assert "Raises" in text
    assert all(len(line) <= 130 for line in text.splitlines())


def test_every_shared_description_is_used():
    taken = {
        key
        for name in ATTRIBUTING
        for parameter in inspect.signature(getattr(ours, name).attribute).parameters.values()
        for key in (parameter.name, str(parameter.annotation))
    }
    assert set(ARGUMENTS) <= taken


def test_a_docstring_is_completed():
    def attribute(self, inputs, baselines: "BaselineDistribution", own=1):  # noqa: F821
        """Scores: (B,).

        own: its own,
            in two lines.

        A note.
        """

    document(attribute)
    summary, arguments, errors, note = attribute.__doc__.split("\n\n")
    assert (summary, note) == ("Scores: (B,).", "A note.")
    assert [
        line.split(":")[0].strip() for line in arguments.splitlines() if line.startswith("    ") and line[4] != " "
    ] == [
        "inputs",
        "baselines",
        "own",
    ]
    assert "to take baselines from" in arguments and arguments.endswith("own: its own,\n        in two lines.")
    assert errors.splitlines()[0] == "Raises:" and len(errors.splitlines()) == 3
