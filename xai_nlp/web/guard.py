"""The guard of every request: the right address and origin, the token, a body of bounded size and time.

A page of another site can make a browser send requests here, and can give its own name this machine's address (DNS
rebinding). So the Host must be one that we are bound to, an Origin must be our own, and what changes anything must be
JSON, which no form of another site can send. There are no cookies that a request could carry along.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field

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
_HOST = re.compile(r"^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$")


@dataclass(frozen=True)
class Address:
    """Where the server listens: which Host a request may name.

    >>> Address("127.0.0.1", 8000).allows("localhost:8000"), Address("127.0.0.1", 8000).allows("evil.example:8000")
    (True, False)
    >>> Address("0.0.0.0", 8000).allows("192.168.1.7:8000")  # a page cannot take over a number as it can a name
    True
    """

    host: str
    port: int

    @property
    def local(self) -> bool:
        """Can it be reached from this machine only?"""
        return is_loopback(self.host)

    def allows(self, name: str) -> bool:
        """May a request name this Host?"""
        match = _HOST.match(name.strip().lower())
        if not match or int(match[2] or 80) != self.port:
            return False
        name = match[1]
        if self.local:
            return name in LOOPBACK or name.strip("[]") == self.host
        return name.strip("[]") == self.host.lower() or _is_number(name.strip("[]")) or name == "localhost"


def is_loopback(host: str) -> bool:
    """Is that an address of this machine that no other reaches?"""
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


BUSY = {"retry-after": "1"}
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
    held: int = 0  # bytes of bodies in memory

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

        size = 0
        try:
            self._admit(scope)
            body = await self._body(scope, receive)
            size = len(body)
            self.held += size
            await self.app(self._located(scope), _replayed(body, receive), headed)
        except HTTPException as refusal:
            assert not answered
            await self._refuse(refusal, receive, headed)
        finally:
            self.held -= size

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

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The body, refused as soon as it is known to be too long or too slow."""
        most = self._most(scope)
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > most:
            raise HTTPException(413, f"the body is too long: at most {most:,} bytes are read here.", CLOSE)
        if self.held + int(length) > self.limits.held:
            raise HTTPException(503, "too much is being sent at once; try again in a moment.", BUSY | CLOSE)
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
            if not message.get("more_body"):
                return bytes(body)

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


def _navigates(scope: Scope, headers: Headers) -> bool:
    """Does the browser follow a link here? No other site's page can read the page that opens then."""
    top = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return scope["method"] in READING and top


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body once more, then the next message: a disconnection."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return left.pop() if left else await receive()

    return again


async def _run_out(receive: Receive, most: int) -> None:
    """Receive and drop messages, up to so many bytes."""
    more = True
    while more and most > 0:
        message = await receive()
        more, most = bool(message.get("more_body")), most - len(message.get("body", b""))
