"""The base class of data influence, and the result that names the most influential examples."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xai_nlp.core.captum_types import CaptumAssertion
from xai_nlp.hooks.interrupts import check_interrupt


class DataInfluence(ABC):
    """How much training examples drive what a model does with others."""

    @abstractmethod
    def influence(self, inputs: Any = None, **kwargs: Any) -> Any:
        """The influence of training examples on the inputs."""

    @classmethod
    def get_name(cls: type[DataInfluence]) -> str:
        """The name of the class."""
        return cls.__name__


class KMostInfluentialResults(NamedTuple):
    """Proponents or opponents: indices in the training data (B, k), and their scores (B, k), the strongest first."""

    indices: Tensor
    influence_scores: Tensor


def most_influential(scores: Tensor, k: int, proponents: bool) -> KMostInfluentialResults:
    """The k highest, or lowest, of each row of scores (B, N). All of them if there are fewer than k."""
    check_k(k)
    values, indices = torch.topk(scores, min(k, scores.shape[1]), dim=1, largest=proponents)
    return KMostInfluentialResults(indices, values)


def check_k(k: Any) -> None:
    """Raises CaptumAssertion unless k is a count."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise CaptumAssertion(f"k must be an integer, at least 1; got {k!r}.")


def given(inputs: Any) -> Any:
    """The inputs. Raises CaptumAssertion without any."""
    if inputs is None:
        raise CaptumAssertion("`inputs` is required; for scores of the training data itself, call self_influence().")
    return inputs


def progress(batches: Iterable[Any], show: bool, title: str) -> Iterator[Any]:
    """The batches, under a bar on stderr that names what is done. Ctrl-C takes effect between two of them."""
    if show:
        from tqdm import tqdm

        batches = tqdm(batches, desc=title, file=sys.stderr)
    for batch in batches:
        check_interrupt()
        yield batch
