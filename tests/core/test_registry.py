"""The table of methods: names and options with their near misses, and what each class declares."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, get_origin, get_type_hints

import pytest
import torch

from tests.core.test_subject import B, Net, subject_of
from xai_nlp.core.reductions import REDUCTIONS
from xai_nlp.core.registry import METHODS, Method, Scores, find_method, method, method_options
from xai_nlp.errors import InvalidInput, UnknownName
from xai_nlp.hooks.scope import ModulePoint
from xai_nlp.methods import METHODS as REGISTERED
from xai_nlp.methods.path import PathMethod

SWEEPS = ("conductance", "integrated_gradients")


@dataclass(frozen=True, kw_only=True)
class Constant(Method):
    """Scores that are all one number.

    number: the score of
        every entry.
    kind: how the number
        is chosen.
    """

    needs_baseline: ClassVar[bool] = False
    number: int | Literal["auto"] = 3
    share: float | None = None
    kind: Literal["a", "b"] = "b"
    loud: bool = False
    label: str = "x"
    others: Mapping[str, int] | None = None

    def scores(self, problem):
        return Scores(tuple(torch.full_like(x, self.number)[:, None] for x in problem.x))


@pytest.fixture
def constant(monkeypatch):
    """A method that is in the table during one test."""
    method("constant")(Constant)
    yield "constant"
    del METHODS["constant"]


def test_a_method_is_found_by_its_name_with_its_options(constant):
    assert find_method(constant, {"number": 4}) == Constant(number=4)
    assert Constant.name == constant
    with pytest.raises(AssertionError, match="two methods"):
        method("constant")(Constant)


@pytest.mark.parametrize(("name", "near"), [("integrated_gradient", "integrated_gradients"), ("Saliency", "saliency")])
def test_a_near_miss_of_a_name_is_named(name, near):
    with pytest.raises(UnknownName, match=f"Did you mean '{near}'") as error:
        find_method(name)
    assert "xai-nlp methods" in str(error.value)


def test_a_near_miss_of_an_option_is_named():
    with pytest.raises(UnknownName, match=r"option of integrated_gradients.*Did you mean 'steps'"):
        find_method("integrated_gradients", {"step": 3})
    with pytest.raises(UnknownName, match="option of saliency"):
        find_method("saliency", {"steps": 3})


def test_options_are_the_fields_with_their_types_choices_and_words(constant):
    options = {option.name: option for option in method_options(constant)}
    assert (options["number"].type, options["number"].choices, options["number"].default) == (int, ("auto",), 3)
    assert options["number"].help == "the score of every entry."
    assert (options["share"].type, options["share"].default) == (float, None)
    assert (options["kind"].type, options["kind"].choices, options["kind"].default) == (str, ("a", "b"), "b")
    assert options["kind"].help == "how the number is chosen."
    assert (options["loud"].type, options["label"].type) == (bool, str)
    assert options["number"].parse("auto") == "auto" and options["number"].parse("5") == 5
    with pytest.raises(InvalidInput, match="number"):
        options["number"].parse("many")


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_each_field_of_each_method_is_an_option_that_makes_the_method(name):
    cls, options = METHODS[name], {option.name: option for option in method_options(name)}
    plain = [one for one in fields(cls) if get_origin(get_type_hints(cls)[one.name]) is not Mapping]
    assert {one.name for one in plain} <= set(options) <= {one.name for one in fields(cls)}
    for one in plain:
        option = options[one.name]
        assert option.default == one.default
        assert option.help, f"the docstring of {cls.__name__} does not say what {one.name} is"
    assert find_method(name, {one.name: options[one.name].default for one in plain}) == find_method(name)
    with pytest.raises(UnknownName, match="unknown method"):
        method_options(f"{name}x")


@pytest.mark.parametrize("name", sorted(REGISTERED))
def test_what_a_class_declares_is_allowed(name):
    cls = METHODS[name]
    assert cls.operates_on in ("inputs", "attention", "layer")
    assert cls.unit in ("f", "") and cls.reduction in REDUCTIONS
    assert not (cls.complete and not cls.unit)


@pytest.mark.parametrize("name", [name for name in sorted(REGISTERED) if not issubclass(REGISTERED[name], PathMethod)])
def test_a_sweep_of_layers_is_refused_for_methods_that_follow_no_path(name):
    net = Net().eval()
    with pytest.raises(InvalidInput, match="'integrated_gradients' or 'conductance'") as error:
        find_method(name).sweep(subject_of(net), [ModulePoint(net.layers[0])], [])
    assert repr(name) in str(error.value)


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_gives_inputs_and_layers(name):
    net = Net().eval()
    subject = subject_of(net)
    sweep = find_method(name, {"tolerance": 1e-6}).sweep(subject, [ModulePoint(net.layers[1])], [])
    change = sweep.inputs.value - sweep.inputs.baseline_value
    torch.testing.assert_close(sum(t.sum(2) for t in sweep.inputs.tensors), change, atol=1e-5, rtol=0)
    torch.testing.assert_close(sweep.layers[0].sum(2), change, atol=1e-5, rtol=0)
    assert sweep.attention == () and sweep.points == ()


def test_ends_are_looked_up_where_a_method_gives_none(constant):
    """f(x) always; f(x₀) for a method that compares with a baseline."""
    net = Net().eval()
    subject = subject_of(net)
    values = [net(*(getattr(one, end)[0] for one in subject.inputs.values()))[:, :1] for end in ("x", "baseline")]
    scores = find_method(constant).attribute(subject)
    torch.testing.assert_close(scores.value, values[0].detach())
    assert scores.baseline_value is None
    compared = type("Compared", (Constant,), {"needs_baseline": True})().attribute(subject)
    torch.testing.assert_close(compared.baseline_value, values[1].detach())
    assert compared.tensors[0].shape == (B, 1, 6)
