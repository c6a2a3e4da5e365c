"""The server: where it listens, whom it lets in, how it starts and ends."""

from __future__ import annotations

import asyncio
import secrets
import socket
import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from xai_nlp.errors import InvalidInput
from xai_nlp.web.app import application
from xai_nlp.web.dataset_view import Table
from xai_nlp.web.guard import Address, Guard
from xai_nlp.web.history import History
from xai_nlp.web.limits import Limits
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State

LIMITS = Limits()
HOST = "127.0.0.1"


class PatientProtocol(H11Protocol):
    """HTTP with an end to patience: a connection whose request's head is not there in time is closed."""

    _waits: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._calm()
        elif self._waits is None:
            self._waits = self.loop.call_later(LIMITS.header_time, self.transport.close)

    def _calm(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None


@dataclass(frozen=True)
class Bound:
    """A socket that listens, and the address to open."""

    socket: socket.socket
    address: Address
    token: str

    @property
    def url(self) -> str:
        """What goes into the browser."""
        name = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.address.host, self.address.host)
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.address.port}/" + (f"{self.token}/" if self.token else "")


def bind(host: str | None = None, port: int = 0) -> Bound:
    """Listen on this machine alone, or on `host`, where everybody needs the token. Port 0 is a free one.

    Raises InvalidInput if that cannot be had.
    """
    host = host or HOST
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise InvalidInput(f"cannot listen on {host}, port {port}: {error}. Leave out --port for a free one.") from None
    address = Address(host, listening.getsockname()[1])
    return Bound(listening, address, "" if address.local else secrets.token_urlsafe(24))


def server_of(state: State, bound: Bound, started: Callable[[], None] = lambda: None) -> uvicorn.Server:
    """A server of that state behind a guard; `started` is called once it answers."""
    guarded = Guard(application(state), bound.address, bound.token, state.limits)
    config = uvicorn.Config(
        guarded,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=state.limits.connections,
        timeout_keep_alive=75,  # a connection that is closed while its next request is on the way loses that request
        timeout_graceful_shutdown=2,
    )

    class Telling(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                started()

    return Telling(config)


def serve(
    models: Sequence[str],
    *,
    history: Path,
    data: Path | None = None,
    host: str | None = None,
    port: int = 0,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted: the page's address is said, and opened in the browser."""
    bound, kept = bind(host, port), History(history)
    offer = ModelRegistry.of(models)
    state = State.of(offer, kept, table=Table(data, offer) if data else None)

    def started() -> None:
        say(bound.url)
        if browser:
            webbrowser.open(bound.url)

    server_of(state, bound, started).run(sockets=[bound.socket])
