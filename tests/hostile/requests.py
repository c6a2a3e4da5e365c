"""Malformed requests: lines, headers, methods, paths, queries, bodies. Never a server error, and the server goes on."""

import json
import socket

from tests.hostile.server import JSON, Server
from tests.hostile.trial import Trial, family
from tests.hostile.values import VALUES, changed

ID = "0" * 32
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get")
PATHS = (
    "", "api/about", "api/jobs", f"api/jobs/{ID}", f"api/jobs/{ID}/events", "api/history", f"api/history/{ID}",
    f"api/shown/{ID}", f"api/changes/{ID},{ID}", f"api/files/{ID}.png", "api/data", "api/folder", "api/opened",
    "assets/app.js", "openapi.json", "docs",
)  # fmt: skip
PIECES = (
    "..", "%2e%2e", "%00", "%", "%zz", "//", "\\", "?", "&x=", "#", ";", "é", "%ff", "a" * 9000, "*", ":", "@", "~",
)  # fmt: skip
HEADERS = (
    ("Host", "evil.example"), ("Host", ""), ("Host", "127.0.0.1:0"), ("Origin", "null"), ("Content-Length", "-1"),
    ("Content-Length", "5"), ("Content-Length", "99999999999"), ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip"), ("Content-Encoding", "gzip"), ("Expect", "100-continue"), ("Connection", "upgrade"),
    ("Upgrade", "websocket"), ("Upgrade", "h2c"), ("Accept", "\x01"), ("X", "y" * 70_000), ("Range", "bytes=0-1"),
    ("Cookie", "a=" * 4000), ("Content-Type", "application/json; charset=utf-7"), ("Content-Type", ""), ("", "x"),
    ("X\r\nY", "z"), ("Sec-Fetch-Site", "cross-site"), ("If-Match", "*"), ("TE", "trailers"), ("Forwarded", "for=x"),
)  # fmt: skip
BODIES = (
    ("POST", "api/jobs", {"model": "sentiment", "text": "fine", "method": ["saliency"], "target": "POSITIVE",
                          "options": {}, "layers": False, "attention": False, "baseline": "pad"}),
    ("POST", "api/jobs", {"model": "sentiment", "text": "fine", "method": ["integrated_gradients"],
                          "options": {"steps": 2}, "unit": "logit"}),
    ("POST", "api/data", {"request": {"model": "sentiment", "method": ["saliency"]}, "numbers": [0, 1]}),
    ("POST", "api/opened", {"path": "x"}),
    ("PATCH", f"api/history/{ID}", {"name": "x"}),
)  # fmt: skip
QUERIES = ("search", "page", "label", "prediction", "right", "least", "most", "text", "path", "name")


@family("requests", quick=120, long=4000)
def trials(random):
    server = Server()
    kinds = (raw, by_field, by_field, by_query, by_bytes)
    try:
        while True:
            name, run = random.choice(kinds)(random, server)
            yield Trial(name, lambda run=run: (run(), server.is_well()))
    finally:
        server.close()


def by_field(random, server):
    """A request with one field changed."""
    method, path, body = random.choice(BODIES)
    data, name = changed(random, body)

    def run():
        answer = server.ask(method, path, content=json.dumps(data), headers=JSON)
        if answer.status_code == 202:
            job = answer.json()["id"]
            server.ask("DELETE", f"api/jobs/{job}")
            last = server.ended(job)
            assert "server's log" not in last["error"], last

    return f"{method} {path}: {name}", run


def by_query(random, server):
    """A path with a query of any values."""
    path = random.choice(PATHS)
    values = [str(value).encode("utf-8", "replace").decode() for value in VALUES]
    query = {random.choice(QUERIES): random.choice(values) for _ in range(random.randint(1, 4))}

    def run():
        if not path.endswith("events"):
            server.ask("GET", path, params=query)

    return f"{path}?{query!r:.80}", run


def by_bytes(random, server):
    """A body cut off, or with bytes changed."""
    method, path, body = random.choice(BODIES)
    content = bytearray(json.dumps(body).encode())
    for _ in range(random.randint(1, 4)):
        content[random.randrange(len(content))] = random.randrange(256)
    sent = bytes(content[: random.randint(0, len(content))])

    def run():
        answer = server.ask(method, path, content=sent, headers=JSON)
        if answer.status_code == 202:
            server.ask("DELETE", f"api/jobs/{answer.json()['id']}")

    return f"{method} {path} {sent[:60]!r}", run


def raw(random, server):
    """A head of any method, path and headers, sent as it is."""
    method, path = random.choice(METHODS), "/" + random.choice(PATHS)
    for _ in range(random.randint(0, 2)):
        at = random.randint(0, len(path))
        path = path[:at] + random.choice(PIECES) + path[at:]
    host = server.bound.url.split("/")[2]
    headers = [("Host", host)] * (random.random() < 0.8) + random.sample(HEADERS, random.randint(0, 3))
    version = random.choice(["HTTP/1.1"] * 6 + ["HTTP/1.0", "HTTP/9.9", "", "HTTP/1.1 x"])
    head = f"{method} {path} {version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers) + "\r\n"
    sent = head.encode("utf-8", "replace") + random.choice([b"", b"{}", b"5\r\nhello\r\n0\r\n\r\n", b"\x00" * 100])

    def run():
        with socket.create_connection(("127.0.0.1", server.bound.address.port)) as one:
            one.settimeout(0.3)
            got = b""
            try:
                one.sendall(sent)
                one.shutdown(socket.SHUT_WR)
                while len(got) < 100 and (part := one.recv(4096)):
                    got += part
            except OSError:  # refused by closing, or it waits for more
                pass
        if got:
            assert got.startswith(b"HTTP/1."), got[:100]
            status = int(got.split(b" ", 2)[1])
            assert status < 500 or status == 503, got[:300]

    return f"{method} {path[:60]} {version} {headers!r:.80}", run
