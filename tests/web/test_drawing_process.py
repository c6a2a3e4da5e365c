"""Drawings in processes: bounded in number and time, ended with the client that waits."""

import asyncio
import time

import pytest
from starlette.exceptions import HTTPException

from xai_nlp.errors import InvalidInput, UnreadableFile
from xai_nlp.web.drawing_process import DrawingProcesses
from xai_nlp.web.exports import read_checked
from xai_nlp.web.limits import Limits


class Client:
    """A client that goes away after so long."""

    def __init__(self, stays=60.0):
        self.stays = stays
        self.body = {"type": "http.request", "body": b""}

    async def receive(self):
        body, self.body = self.body, None
        if body is None:
            await asyncio.sleep(self.stays)
        return body or {"type": "http.disconnect"}


def test_results_and_errors_come_back():
    async def both():
        drawings = DrawingProcesses(Limits())
        assert await drawings.run(Client(), pow, 2, 10) == 1024
        with pytest.raises(UnreadableFile, match="no JSON"):
            await drawings.run(Client(), read_checked, b"{")
        return await asyncio.gather(*(drawings.run(Client(), pow, 2, n) for n in range(9)))

    assert asyncio.run(both()) == [2**n for n in range(9)]


def test_one_that_takes_too_long_or_that_nobody_waits_for_is_ended_and_gives_its_place_up():
    async def three():
        drawings = DrawingProcesses(Limits(drawings=1, draw_time=2.0))
        await drawings.run(Client(), pow, 1, 1)  # the process has started
        begun = time.monotonic()
        with pytest.raises(InvalidInput, match="longer than 2 seconds"):
            await drawings.run(Client(), time.sleep, 60)
        with pytest.raises(HTTPException) as gone:
            await drawings.run(Client(stays=0.1), time.sleep, 60)
        assert gone.value.status_code == 499
        assert await drawings.run(Client(), pow, 2, 3) == 8
        assert time.monotonic() - begun < 15

    asyncio.run(three())


def test_one_whose_client_goes_while_it_waits_is_not_begun(tmp_path):
    async def two():
        drawings = DrawingProcesses(Limits(drawings=1))
        first = asyncio.create_task(drawings.run(Client(), time.sleep, 1.0))
        await asyncio.sleep(0.05)
        with pytest.raises(HTTPException):
            await drawings.run(Client(stays=0.1), tmp_path.joinpath("begun").mkdir)
        await first
        assert not tmp_path.joinpath("begun").exists()

    asyncio.run(two())
