"""Drawing in a process of its own, which ends with the client that waits for it, or after so long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_process
from starlette.exceptions import HTTPException
from starlette.requests import Request

from xai_nlp.errors import InvalidInput
from xai_nlp.web.limits import Limits

R = TypeVar("R")


class DrawingProcesses:
    """A few processes that draw at once; the others wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._places = limits, CapacityLimiter(limits.drawings)

    async def run(self, request: Request, draw: Callable[..., R], *arguments: Any) -> R:
        """What `draw` returns for a request. Its process is ended if the client goes, or after `draw_time`.

        Raises InvalidInput if it takes too long, HTTPException if nobody waits for it, and what `draw` raises.
        """
        drawing = asyncio.create_task(self._drawn(draw, *arguments))
        gone = asyncio.create_task(_gone(request))
        try:
            await asyncio.wait((drawing, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            drawing.cancel()
            await asyncio.wait((drawing,))
        if drawing.cancelled():
            raise HTTPException(499, "the client has gone.")
        return drawing.result()

    async def _drawn(self, draw: Callable[..., R], *arguments: Any) -> R:
        async with self._places:
            try:
                with fail_after(self._limits.draw_time):
                    return await to_process.run_sync(draw, *arguments, cancellable=True)
            except TimeoutError:
                raise InvalidInput(
                    f"drawing this takes longer than {self._limits.draw_time:g} seconds; show less at once."
                ) from None


async def _gone(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
