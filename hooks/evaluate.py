"""The tensors at some sites, without running the rest of the model."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xai_nlp.hooks.replace import replaced
from xai_nlp.hooks.scope import HookPoint, captured, hooked


class _Enough(BaseException):
    """Every wanted site has been caught; not an Exception, so that no model's own `except` swallows it."""


def evaluate_sites(
    sites: Sequence[HookPoint], run: Callable[[], Any], replacements: Sequence[tuple[HookPoint, Sequence[Tensor]]] = ()
) -> list[tuple[Tensor, ...]]:
    """What passes at the sites when `run` runs the model: one tuple of tensors a site.

    The model is stopped once all are there.

    `replacements` are in force at the same time, and come first where they share a module with a site; so the sum of
    embeddings can be had for other words, with positions and types as they are. Tensors carry gradients if gradients
    are enabled. Raises InvalidInput if the model does not pass by.
    """
    grad = torch.is_grad_enabled()

    def stop(seen: Any, value: Any) -> None:
        if seen.complete:
            raise _Enough

    with ExitStack() as stack:
        stack.enter_context(replaced(replacements))
        seen = stack.enter_context(captured(sites, differentiable=grad))
        stack.enter_context(hooked([(site, partial(stop, seen)) for site in sites]))
        with suppress(_Enough):
            run()
    return seen.tensors()
