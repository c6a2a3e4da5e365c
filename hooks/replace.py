"""Re-enter a model anywhere: a module's output or input replaced by given tensors."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from torch import Tensor

from xai_nlp.errors import InvalidInput
from xai_nlp.hooks.scope import Site, tensors_of, visited, with_tensors


def replaced(replacements: Sequence[tuple[Site, Sequence[Tensor]]]) -> AbstractContextManager[None]:
    """During the next forward pass each site carries the given tensors instead of its own.

    The modules before it still run, so positions, masks and types stay right; what they computed is dropped.
    Raises InvalidInput if a site carries another number of tensors than given.
    """

    def put(site: Site, tensors: Sequence[Tensor], value: Any) -> Any:
        found = len(tensors_of(value))
        if found != len(tensors):
            raise InvalidInput(
                f"{site} carries {found} floating-point tensors; {len(tensors)} were given to replace them."
            )
        # A leaf that is differentiated may not be changed in place, which the next module may want to do.
        return with_tensors(value, [t.clone() if t.is_leaf and t.requires_grad else t for t in tensors])

    return visited([(site, partial(put, site, tensors)) for site, tensors in replacements])
