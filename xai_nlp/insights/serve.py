"""Insights on a page of its own: the widget's module, whose model is played by two requests."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from xai_nlp.errors import InvalidInput
from xai_nlp.insights.frontend import asset, module, sheet
from xai_nlp.insights.settings import FAILURES, Source, answer, told
from xai_nlp.viz.page.html import markup, page_style

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
LARGEST = 2**16  # bytes of a request


class Server(ThreadingHTTPServer):
    """Serves one source under an address that nobody can guess; one request computes at a time."""

    daemon_threads = True

    def __init__(self, source: Source, address: tuple[str, int]) -> None:
        self.source, self.token, self.turn = source, secrets.token_urlsafe(16), threading.Lock()
        self.html = markup(source.fetch(), level=1)
        super().__init__(address, Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}/{self.token}/"

    def state(self) -> dict[str, Any]:
        """What the widget's model has at first."""
        return {"choices": self.source.choices(), "settings": told(self.source), "html": self.html, "key": ""}

    def ask(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What changes in the model when something is asked for."""
        with self.turn:
            try:
                self.html = markup(answer(self.source, given), level=1)
            except FAILURES as error:
                return {"problem": str(error) or type(error).__name__}
            return {"settings": told(self.source), "html": self.html, "problem": ""}


class Handler(BaseHTTPRequestHandler):
    """Five addresses under the token; anything else is not found."""

    server: Server

    def do_GET(self) -> None:
        pages: dict[str, tuple[str, Callable[[], str]]] = {
            "": ("text/html", lambda: asset("host.html")),
            "style.css": ("text/css", lambda: sheet() + page_style()),
            "module.js": ("text/javascript", module),
            "host.js": ("text/javascript", lambda: asset("host.js")),
            "state": ("application/json", lambda: json.dumps(self.server.state())),
        }
        name = self._name()
        if name is None or name not in pages:
            return self._send(404, "text/plain", "not found")
        kind, made = pages[name]
        return self._send(200, kind, made())

    def do_POST(self) -> None:
        if self._name() != "ask":
            return self._send(404, "text/plain", "not found")
        try:
            given = json.loads(self._body())
            if not isinstance(given, dict):
                raise InvalidInput("an object is needed.")
        except (ValueError, RecursionError) as error:
            return self._send(400, "application/json", json.dumps({"problem": f"not a request: {error}"}))
        return self._send(200, "application/json", json.dumps(self.server.ask(given)))

    def _body(self) -> bytes:
        """Raises InvalidInput for what is not JSON by its header, or too large."""
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != "application/json":
            raise InvalidInput("its type is application/json.")
        if not length.isdigit() or int(length) > LARGEST:
            raise InvalidInput(f"at most {LARGEST} bytes, with their number in the header.")
        return self.rfile.read(int(length))

    def _name(self) -> str | None:
        """What is asked for; None without the token."""
        _, token, name = (*self.path.split("/", 2), "", "")[:3]
        return name if secrets.compare_digest(token.encode(), self.server.token.encode()) else None

    def _send(self, status: int, kind: str, text: str) -> None:
        content = text.encode("utf-8", "replace")
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(content)), "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
        }  # fmt: skip
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a notebook's cell is no place for it."""


def serve(source: Source, *, port: int | None = None, everywhere: bool = False, blocking: bool = False) -> int:
    """Serve on the loopback address, or everywhere, print where, and give the port; a free one if not given."""
    server = Server(source, ("0.0.0.0" if everywhere else "127.0.0.1", port or 0))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    print(f"Insights: {server.url}")
    if blocking:
        try:
            thread.join()
        except KeyboardInterrupt:
            server.shutdown()
    return int(server.server_address[1])
