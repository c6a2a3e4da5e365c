"""Errors of Captum's interface: each is ours, and also what Captum's callers catch."""

import typing

import pytest
import torch

from xai_nlp.core import captum_types
from xai_nlp.core.captum_types import CaptumAssertion, NotRowwise, TargetOutOfRange, UnknownChoice
from xai_nlp.errors import InvalidInput, UnknownName, XaiError


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (CaptumAssertion, (InvalidInput, ValueError, AssertionError)),
        (TargetOutOfRange, (InvalidInput, AssertionError, IndexError)),
        (NotRowwise, (InvalidInput, AssertionError)),
        (UnknownChoice, (UnknownName, LookupError, AssertionError)),
    ],
)
def test_an_error_is_what_the_caller_catches(error, kinds):
    made = error("kind", "salency", ["saliency"]) if error is UnknownChoice else error("said")
    assert isinstance(made, XaiError) and all(isinstance(made, kind) for kind in kinds)
    with pytest.raises(AssertionError):
        raise made
    assert str(made) == (
        "unknown kind 'salency'. Did you mean 'saliency'? Known: saliency." if error is UnknownChoice else "said"
    )


def test_the_types_of_arguments():
    """What Captum takes: a tensor or a tuple of them, numbers as baselines, targets of five forms."""
    assert set(typing.get_args(captum_types.TensorOrTuple)) == {torch.Tensor, tuple[torch.Tensor, ...]}
    assert {torch.Tensor, int, float, type(None)} < set(typing.get_args(captum_types.Baselines))
    assert {int, torch.Tensor, list[int], list[tuple[int, ...]], type(None)} < set(
        typing.get_args(captum_types.TargetType)
    )
