"""Drawing in a process of its own, which ends with the client that waits for it, or after so long."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.web.limits import Limits

R = TypeVar("R")
PRELOADED = ["xai_nlp.web.exports", "matplotlib.backends.backend_agg", "xai_nlp.viz.figure.plots"]
#: Processes fork from one that has imported what draws, without torch; where there is no fork, they are spawned.
_kind = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_processes: Any = multiprocessing.get_context(_kind)


class DrawingProcesses:
    """A few processes that draw at once; other drawings wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits, self._places = limits, asyncio.Semaphore(limits.drawings)
        _processes.set_forkserver_preload(PRELOADED)

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
            here, there = _processes.Pipe(duplex=False)
            process = _processes.Process(target=_answer, args=(there, self._limits.draw_memory, draw, *arguments))
            starting = asyncio.create_task(asyncio.to_thread(process.start))
            try:
                await asyncio.shield(starting)
                there.close()  # so that the end of the process is the end of what it says
                result, error = await asyncio.wait_for(asyncio.to_thread(here.recv), self._limits.draw_time)
            except (asyncio.TimeoutError, TimeoutError):
                raise InvalidInput(
                    f"drawing this takes longer than {self._limits.draw_time:g} seconds; show less at once."
                ) from None
            except EOFError:
                raise UnreadableFile("this takes more memory to draw than there is; show less at once.") from None
            finally:
                await starting
                process.kill()
                there.close()
        if error is not None:
            raise error
        return result


def _answer(there: Connection, memory: int, draw: Callable[..., Any], *arguments: Any) -> None:
    """Send what `draw` returns, and the error that it raises."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the server
    with suppress(ImportError):  # on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    answer: tuple[Any, Exception | None]
    try:
        answer = draw(*arguments), None
    except MemoryError:
        return
    except Exception as error:
        answer = None, error
    there.send(answer)


async def _gone(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
