"""The guard of every request: the right address and origin, the token, a body of bounded size and time.

A page of another site can make a browser send requests here, and can give its own name this machine's address (DNS
rebinding). So the Host must be one that we are bound to, an Origin must be our own, and what changes anything must be
JSON, which no form of another site can send. There are no cookies that a request could carry along.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import secrets
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xai_nlp.web.limits import Limits

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data: blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
CHANGING = ("POST", "PUT", "PATCH")
READING = ("GET", "HEAD")
log = logging.getLogger("xai_nlp.web")
_HOST = re.compile(r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$")


@dataclass(frozen=True)
class Address:
    """Where the server listens: which Host a request may name.

    >>> Address("127.0.0.1", 8000).allows("localhost:8000"), Address("127.0.0.1", 8000).allows("evil.example:8000")
    (True, False)
    >>> Address("0.0.0.0", 8000).allows("192.168.1.7:8000")  # a page cannot take over a number as it can a name
    True
    >>> Address("0.0.0.0", 8000).names[0], Address("::", 8000).names[0]
    ('127.0.0.1', '[::1]')
    """

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Can it be reached from this machine only?"""
        return is_loopback(self.host)

    @property
    def names(self) -> tuple[str, ...]:
        """How the server is called in an address: first a name that works on this machine, then those for others."""
        if not _is_number(self.host) or not ipaddress.ip_address(self.host).is_unspecified:
            return (f"[{self.host}]" if ":" in self.host else self.host,)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        return "[::1]" if ":" in self.host else "127.0.0.1", *own_names(family)

    def allows(self, name: str) -> bool:
        """May a request name this Host?"""
        match = _HOST.match(name.strip().lower())
        if not match or int(match[2] or 80) != self.port:
            return False
        name = match[1]
        if self.local:
            return name in LOOPBACK or name.strip("[]") == self.host
        known = {self.host.lower(), "localhost", socket.gethostname().lower(), *self.names}
        return name in known or name.strip("[]") in known or _is_number(name.strip("[]"))


@cache
def own_names(family: int) -> tuple[str, ...]:
    """The names and numbers under which other machines may know this one: its host name, then its addresses."""
    name = socket.gethostname().lower()
    with suppress(OSError):
        found = {str(info[4][0]) for info in socket.getaddrinfo(name, None, family)}
        numbers = sorted(number for number in found if not is_loopback(number) and "%" not in number)
        return (name, *(f"[{number}]" if ":" in number else number for number in numbers))
    return ()


def is_loopback(host: str) -> bool:
    """Is that an address of this machine that no other reaches?"""
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


BUSY = {"retry-after": "1"}  # seconds
CLOSE = {"connection": "close"}
GONE = (400, 408)  # the client has gone, or sends no more
LINGER = 10.0  # seconds that a refused body may take to run out


@dataclass(eq=False)
class Guard:
    """Wraps an application: refuses requests that must not reach it, and adds headers to every answer."""

    app: ASGIApp
    address: Address
    token: str = ""  # the first part of every path, where others than this machine can reach us
    limits: Limits = field(default_factory=Limits)
    held: int = 0  # bytes of bodies in memory, beyond the first few of each
    streams: Counter[str] = field(default_factory=Counter)  # that are open, by address
    closing: asyncio.Event = field(default_factory=asyncio.Event)  # the server ends, and streams with it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        answered = False

        async def headed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                own = {name for name, _ in HEADERS}
                others = [pair for pair in message.get("headers", []) if pair[0].lower() not in own]
                message = {**message, "headers": [*others, *HEADERS]}
            await send(message)

        held = _Held(self)
        try:
            self._admit(scope)
            body = await self._body(scope, receive, held)
            with self._stream(scope):
                await self.app(self._located(scope), self._replayed(body, receive), headed)
        except HTTPException as refusal:
            assert not answered
            held.release()
            await self._refuse(refusal, receive, headed)
        except Exception:
            log.debug("%s %s failed", scope["method"], scope["path"], exc_info=True)  # the application has said it
            if not answered:
                await self._refuse(HTTPException(500, "something broke in the server."), receive, headed)
        finally:
            held.release()

    # The request's head ---------------------------------------------------------------------------------------------

    def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.address.allows(host):
            raise HTTPException(421, f"this server does not answer for the host {host[:100]!r}.")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            raise HTTPException(403, f"requests from the page {origin[:100]!r} are not answered.")
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not _navigates(scope, headers):
            raise HTTPException(403, "requests from pages of other sites are not answered.")
        if self.token and not self._knows(scope["path"]):
            raise HTTPException(403, "this address needs the token: open the complete address that the server printed.")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] in CHANGING and kind != "application/json":
            raise HTTPException(415, "send JSON, with the content type application/json.")

    def _knows(self, path: str) -> bool:
        first = path.split("/", 2)[1] if path.startswith("/") else ""
        return secrets.compare_digest(first.encode("utf-8", "surrogateescape"), self.token.encode())

    def _located(self, scope: Scope) -> Scope:
        return {**scope, "root_path": f"/{self.token}"} if self.token else scope

    # The body -------------------------------------------------------------------------------------------------------

    async def _body(self, scope: Scope, receive: Receive, held: _Held) -> bytes:
        """The body, refused as soon as it is known to be too long or too slow."""
        most = self._most(scope)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > most:
            raise HTTPException(413, f"the body is too long: at most {most:,} bytes are read here.", CLOSE)
        loop = asyncio.get_running_loop()
        end, body = loop.time() + self.limits.body_time, bytearray()
        while True:
            try:
                message = await asyncio.wait_for(receive(), max(0.001, end - loop.time()))
            except (asyncio.TimeoutError, TimeoutError):
                raise HTTPException(
                    408, f"the body took longer than {self.limits.body_time:g} seconds.", CLOSE
                ) from None
            if message["type"] == "http.disconnect":
                raise HTTPException(400, "the body ended too early.", CLOSE)
            body += message.get("body", b"")
            if len(body) > most:
                raise HTTPException(413, f"the body is too long: at most {most:,} bytes are read here.", CLOSE)
            held.grow(len(body) - self.limits.body)
            if not message.get("more_body"):
                return bytes(body)

    def _replayed(self, body: bytes, receive: Receive) -> Receive:
        """The body once more, then a disconnection: the client's, or the end of the server."""
        left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Message:
            if left:
                return left.pop()
            waiting = [asyncio.ensure_future(one) for one in (receive(), self.closing.wait())]
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()
            return {"type": "http.disconnect"}

        return again

    @contextmanager
    def _stream(self, scope: Scope) -> Iterator[None]:
        """A place for a stream of events, if that is what is asked for: each address has a few."""
        if not scope["path"].endswith("/events"):
            yield
            return
        address = (scope.get("client") or ("",))[0]
        if self.streams[address] >= self.limits.streams:
            raise HTTPException(
                503, f"{self.limits.streams} streams of events are open already; close a page.", BUSY | CLOSE
            )
        self.streams[address] += 1
        try:
            yield
        finally:
            self.streams[address] -= 1
            self.streams += Counter()  # those of nobody are forgotten

    async def _refuse(self, refusal: HTTPException, receive: Receive, send: Send) -> None:
        """Answer with the refusal, and read on: a client that sends into a closed connection never reads the answer."""
        body = json.dumps({"error": refusal.detail}).encode()
        headers = Headers(
            {**(refusal.headers or {}), "content-type": "application/json", "content-length": str(len(body))}
        )
        await send({"type": "http.response.start", "status": refusal.status_code, "headers": headers.raw})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        if refusal.status_code not in GONE:
            with suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(_run_out(receive, self.limits.upload), LINGER)
        await send({"type": "http.response.body", "body": b""})

    def _most(self, scope: Scope) -> int:
        path = scope["path"].removeprefix(f"/{self.token}" if self.token else "")
        if scope["method"] == "POST":
            return {"/api/jobs": self.limits.request, "/api/history": self.limits.upload}.get(path, self.limits.body)
        return self.limits.body


@dataclass(eq=False)
class _Held:
    """What one body counts of the memory for all."""

    guard: Guard
    size: int = 0

    def grow(self, size: int) -> None:
        """Count a body that has grown to `size`. Raises 503 if there is no room."""
        more = max(0, size) - self.size
        if more > 0 and self.guard.held + more > self.guard.limits.held:
            raise HTTPException(503, "too much is being sent at once; try again in a moment.", BUSY | CLOSE)
        self.size += more
        self.guard.held += more

    def release(self) -> None:
        """Count it no more."""
        self.guard.held -= self.size
        self.size = 0


def _navigates(scope: Scope, headers: Headers) -> bool:
    """Does the browser follow a link here? No other site's page can read the page that opens then."""
    top = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return scope["method"] in READING and top


async def _run_out(receive: Receive, most: int) -> None:
    """Receive and drop messages, up to so many bytes."""
    more = True
    while more and most > 0:
        message = await receive()
        more, most = bool(message.get("more_body")), most - len(message.get("body", b""))
