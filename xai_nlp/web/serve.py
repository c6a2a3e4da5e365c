"""The server: its address, its token, its start and end."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from xai_nlp.errors import InvalidInput
from xai_nlp.runs.read import is_run, read_run
from xai_nlp.web.allowed_root import AllowedRoot
from xai_nlp.web.app import application
from xai_nlp.web.dataset_view import DatasetView
from xai_nlp.web.guard import Address, Guard
from xai_nlp.web.history import History
from xai_nlp.web.limits import LIMITS, Limits
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.run_view import RunView
from xai_nlp.web.server_state import State

HOST = "127.0.0.1"


class PatientProtocol(H11Protocol):
    """HTTP with an end to patience: a connection whose request's head is not there in time is closed.

    So is one of an address that has many already.
    """

    most = LIMITS.client_connections
    _timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()
        clients = [getattr(one, "client", None) for one in self.connections]
        if sum(self.client is not None and one[:1] == self.client[:1] for one in clients if one) > self.most:
            transport.close()  # the others are for other addresses

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timeout()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_timeout()
        elif self._timeout is None:
            self._timeout = self.loop.call_later(LIMITS.header_time, self.transport.close)

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None


@dataclass(frozen=True)
class Bound:
    """A socket that listens, and the address to open."""

    socket: socket.socket
    address: Address
    token: str

    @property
    def urls(self) -> list[str]:
        """The addresses that open the page: first one for this machine, then those for others."""
        path = f"{self.token}/" if self.token else ""
        return [f"http://{name}:{self.address.port}/{path}" for name in self.address.names]

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        return self.urls[0]


def bind(host: str | None = None, port: int = 0, *, token: bool = False) -> Bound:
    """Listen on this machine alone, or on `host`, where a token stands in the address. Port 0 is a free one.

    token: a token on this machine, too.
    Raises InvalidInput if the address cannot be used.
    """
    host = host or HOST
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # requests wait until the server takes them
    except (OSError, OverflowError) as error:
        listening.close()
        raise InvalidInput(f"cannot listen on {host}, port {port}: {error}. Leave out --port for a free one.") from None
    number, port = listening.getsockname()[:2]  # "0" and "0.0.0.0" are one
    address = Address(number if number in ("0.0.0.0", "::") else host, port)
    return Bound(listening, address, secrets.token_urlsafe(24) if token or not address.local else "")


class GuardedServer(uvicorn.Server):
    """A server whose streams end when it ends."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.config.app.closing.set()  # type: ignore[union-attr]
        await super().shutdown(sockets)


def server_of(app: FastAPI, bound: Bound, limits: Limits = LIMITS) -> uvicorn.Server:
    """A server of that application behind a guard."""
    config = uvicorn.Config(
        Guard(app, bound.address, bound.token, limits),
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=limits.connections,
        timeout_keep_alive=75,  # a connection that is closed while its next request is on the way loses that request
        timeout_graceful_shutdown=2,
    )
    return GuardedServer(config)


def serve(
    models: Sequence[str],
    *,
    history: Path,
    data: Path | None = None,
    root: Path | None = None,
    host: str | None = None,
    port: int = 0,
    browser: bool = True,
    say: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted: the page's address is passed to `say`, and opened in the browser.

    data: a file of examples, which the page shows with the model's predictions, or the folder of a run, whose
        explanations it lists.
    root: the folder from which the page may open models and data sets; None opens none.
    """
    allowed = AllowedRoot.of(root) if root else None
    bound, entries = bind(host, port), History(history)
    registry = ModelRegistry.of(models)
    dataset: DatasetView | RunView | None = None
    if data is not None:
        dataset = RunView(read_run(data)) if is_run(data) else DatasetView(data, registry)
    state = State(registry, entries, dataset=dataset, root=allowed)
    server = server_of(application(state), bound)
    say(bound.url)
    if others := bound.urls[1:]:
        say("From other machines, where the network lets them in: " + " ".join(others))
    if browser:
        webbrowser.open(bound.url)
    with suppress(KeyboardInterrupt):  # which the server answered: it has ended
        server.run(sockets=[bound.socket])


def serve_in_thread(app: FastAPI, bound: Bound) -> threading.Thread:
    """Serve an application from a thread that ends with the process."""
    run = server_of(app, bound).run
    thread = threading.Thread(target=run, kwargs={"sockets": [bound.socket]}, name="xai_nlp server", daemon=True)
    thread.start()
    return thread
