"""What is sent to do harm: refused with a reason, or shown as the text that it is. The server answers afterwards."""

import base64
import json
import re
import socket
import time
from html.parser import HTMLParser

import pytest

from tests.viz.samples import HOSTILE, label, made
from tests.web.conftest import running
from tests.web.test_exports import REFUSED
from tests.web.test_model_registry import png
from xai_nlp.web import serve
from xai_nlp.web.history import History
from xai_nlp.web.limits import Limits
from xai_nlp.web.server_state import State

ID = "0" * 32
JSON = {"content-type": "application/json"}
FINE = {"model": "sentiment", "text": "fine"}
SVG = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>"


def post(path="api/jobs", body=FINE, **headers):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return "POST", path, content, {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}


def get(path, **headers):
    return "GET", path, None, {name.replace("_", "-"): value for name, value in headers.items()}


def image(content):
    encoded = base64.b64encode(content.encode() if isinstance(content, str) else content).decode()
    return post(body={"model": "vqa", "question": "what?", "image": encoded})


def bomb():
    """A PNG that says it has 60,000 × 60,000 pixels."""
    start = base64.b64decode(png())
    return start[:16] + (60_000).to_bytes(4, "big") * 2 + start[24:]


#: name -> (what is sent, the status it is refused with)
TABLE = {
    # Another site's page, or another site's name
    "foreign origin": (post(origin="http://evil.example"), 403),
    "origin null": (post(origin="null"), 403),
    "origin with our name in it": (post(origin="http://127.0.0.1.evil.example"), 403),
    "origin of another port": (post(origin="http://127.0.0.1:1"), 403),
    "foreign origin that reads": (get("api/history", origin="http://evil.example"), 403),
    "foreign host": (get("", host="evil.example"), 421),
    "rebound host": (post(host="rebound.example:80"), 421),
    "host with a user": (get("", host="127.0.0.1@evil.example"), 421),
    "host of another port": (get("", host="127.0.0.1:1"), 421),
    "cross-site script": (get("assets/app.js", sec_fetch_site="cross-site", sec_fetch_mode="no-cors"), 403),
    "cross-site image": (get(f"api/files/{ID}.png", sec_fetch_site="cross-site", sec_fetch_dest="image"), 403),
    "cross-site frame": (
        get("", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe"), 403),
    "form of another site": (post(content_type="application/x-www-form-urlencoded"), 415),
    "plain text that is JSON": (post(content_type="text/plain"), 415),
    "multipart": (post(content_type="multipart/form-data; boundary=x"), 415),
    "rename as a form": (("PATCH", f"api/history/{ID}", b"name=x", {"content-type": "text/plain"}), 415),
    "delete from afar": (("DELETE", f"api/history/{ID}", None, {"origin": "http://evil.example"}), 403),
    "opening from afar": (post("api/opened", {"path": "."}, origin="http://evil.example"), 403),
    "opening as a form": (post("api/opened", {"path": "."}, content_type="text/plain"), 415),
    "rows from afar": (post("api/data", {"request": FINE, "numbers": [0]}, sec_fetch_site="cross-site"), 403),
    "folders from afar": (get("api/folder", sec_fetch_site="cross-site", sec_fetch_mode="cors"), 403),
    # Paths
    "a folder of a server without root": (get("api/folder?path=/etc"), 404),
    "a file of a server without root": (post("api/opened", {"path": "/etc/passwd"}), 404),
    "a path without end": (post("api/opened", {"path": "x" * 70_000}), 413),
    "changes of no ids": (get("api/changes/..%2f..%2fetc"), 404),
    "traversal": (get("assets/..%2f..%2fapp.py"), 404),
    "traversal of dots": (get("assets/../../../etc/passwd"), 404),
    "traversal twice encoded": (get("assets/%252e%252e%252fapp.py"), 404),
    "backslashes": (get("assets/..%5c..%5capp.py"), 404),
    "absolute path": (get("assets//etc/passwd"), 404),
    "NUL in a path": (get("assets/app.js%00.css"), 404),
    "source of the server": (get("app.py"), 404),
    "a folder": (get("assets/"), 404),
    "id that is a path": (get("api/history/..%2f..%2fetc"), 404),
    "id that is SQL": (get("api/history/'%20OR%201=1--"), 422),
    "id with a newline": (get(f"api/history/{ID}%0a"), 422),
    "kind that is a path": (get(f"api/files/{ID}.html%2f..%2fx"), 404),
    "kind that is no kind": (get(f"api/files/{ID}.exe"), 422),
    "ids without end": (get("api/shown/" + ",".join([ID] * 500)), 422),
    "another method": (("PUT", "api/jobs", b"{}", JSON), 405),
    "trace": (("TRACE", "", None, {}), 405),
    # Bodies
    "no JSON": (post(body=b"{"), 422),
    "deep JSON": (post(body=b"[" * 60_000 + b"]" * 60_000), 400),
    "a number too long to read": (post(body=b'{"model": ' + b"9" * 10_000 + b"}"), 400),
    "half a character": (post(body=b'{"model": "sentiment", "text": "\\ud800"}'), 422),
    "bytes that are no UTF-8": (post(body=b'{"model": "\xff\xfe"}'), 400),
    "a list": (post(body=[1, 2]), 422),
    "nothing": (post(body=b""), 422),
    "a text too long": (post(body={**FINE, "text": "x" * 20_001}), 422),
    "a body too long": (post(body=b"x" * (Limits().request + 1)), 413),
    "a name too long": (("PATCH", f"api/history/{ID}", json.dumps({"name": "x" * 70_000}).encode(), JSON), 413),
    "a query too long": (get("api/history?search=" + "x" * 5_000), 422),
    # Values
    "a text that is a number": (post(body={**FINE, "text": 5}), 422),
    "a text that is an object": (post(body={**FINE, "text": {"$gt": ""}}), 422),
    "methods without end": (post(body={**FINE, "method": ["lime"] * 100}), 422),
    "a field of nobody": (post(body={**FINE, "__class__": "x"}), 422),
    "trust_remote_code": (post(body={**FINE, "trust_remote_code": True}), 422),
    "a model that is a folder": (post(body={**FINE, "model": "../../tmp"}), 422),
    "a model of the hub": (post(body={**FINE, "model": "evil/pickled"}), 422),
    "a method that is code": (post(body={**FINE, "method": ["__import__('os').system('id')"]}), 422),
    "a table's page that is none": (get("api/data?page=-1"), 422),
    "a score that is no number": (get("api/data?least=nan"), 422),
    # Images
    "an image that is SVG": (image(SVG), 422),
    "an image that is HTML": (image("<html><script>alert(1)</script>"), 422),
    "an image that is a PDF": (image("%PDF-1.7\n/JS (app.alert(1))"), 422),
    "an image that is PostScript": (image("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run"), 422),
    "an image of too many pixels": (image(bomb()), 422),
    "an image cut off at its head": (image(base64.b64decode(png())[:20]), 422),
    "an image that is a path": (post(body={"model": "vqa", "question": "what?", "image": "/etc/passwd"}), 422),
    "an image that is an address": (
        post(body={"model": "vqa", "question": "what?", "image": "http://169.254.169.254/latest"}), 422),
    **{f"a file: {name}": (post("api/history", body), 422) for name, body in REFUSED.items()},
}  # fmt: skip

SHOWN = {
    **HOSTILE,
    "script": "<script>alert(1)</script>",
    "image": "<img src=x onerror=alert(1)>",
    "svg": SVG,
    "end of the data": "</script><script>alert(1)</script>",
    "comment": "<!--<script>alert(1)//-->",
    "attribute": '" autofocus onfocus="alert(1)',
    "template": "{{ config }} {% include '/etc/passwd' %} ${7*7}",
    "address": "javascript:alert(1)",
}
SHOWN["long"] = SHOWN["long"][:300]


class Tags(HTMLParser):
    """What a page consists of, beside text."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.handlers, self.strange, self.fetched = 0, [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "script" and attributes.get("type") != "application/json":
            self.scripts += 1
        if tag in ("iframe", "object", "embed", "link", "base", "meta", "style"):
            self.strange.append(tag)
        self.handlers += [name for name in attributes if name.startswith("on") or name == "style"]
        self.fetched += [
            v for k, v in attributes.items() if k in ("src", "href") and not (v or "").startswith("data:image/")
        ]


def harmless(text):
    tags = Tags(text)
    return (tags.scripts, tags.handlers, tags.strange, tags.fetched) == (0, [], [], [])


def test_there_are_sixty_and_more():
    assert len(TABLE) + len(SHOWN) >= 100


@pytest.mark.parametrize("name", TABLE)
def test_refused(served, name):
    (method, path, content, headers), status = TABLE[name]
    before = len(served.state.history.listed())
    answer = served.client.request(method, path, content=content, headers=headers)
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/json"
    assert 5 < len(answer.json()["error"]) <= 1000
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "Traceback" not in answer.text
    assert "/site-packages" not in answer.text
    assert len(served.state.history.listed()) == before
    assert served.client.get("api/history").status_code == 200


@pytest.mark.parametrize("name", SHOWN)
def test_inert_as_a_text(served, name):
    said = SHOWN[name]
    id = served.explained(text=said, method=["occlusion"])
    shown = served.client.get(f"api/shown/{id}").text
    assert harmless(shown)
    assert served.client.get(f"api/history/{id}").json()["request"]["text"] == said
    page = served.client.get(f"api/files/{id}.html").text
    assert Tags(page).scripts == 1  # its own
    assert not Tags(page).handlers


@pytest.mark.parametrize("name", SHOWN)
def test_inert_in_a_file_that_is_opened(served, name):
    said = SHOWN[name][:400]
    names = dict.fromkeys(("model", "method", "baseline", "unit"), said)
    outputs = {said: 0.9, "no": 0.1}
    why = made(said, **names, target=label(said), outputs=outputs, versions={said: said}, params={said: said})
    answer = served.client.post("api/history", content=why.to_json(), params={"name": said}, headers=JSON)
    assert answer.status_code == 201, answer.text
    id = answer.json()["id"]
    assert answer.json()["name"] == (said.strip() or "opened file")
    assert harmless(served.client.get(f"api/shown/{id}").text)
    listed = {entry["id"]: entry["name"] for entry in served.client.get("api/history").json()}
    assert listed[id] == said.strip()


def test_what_nobody_checked_is_not_repeated(served):
    for body in ({**FINE, "<script>": 1}, {**FINE, "method": ["<script>"]}, {**FINE, "model": "<script>"}):
        answer = served.client.post("api/jobs", json=body)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/json"  # never shown as a page


def test_error_messages_are_text(served):
    job = served.client.post("api/jobs", json={**FINE, "target": "<img src=x onerror=alert(1)>"}).json()
    assert "<img" in served.ended(job["id"], "failed")["error"]  # in JSON: the browser tests see it written as text


# Below HTTP ----------------------------------------------------------------------------------------------------------


def raw(served, *parts, pause=0.0, patience=5.0):
    """What comes back for bytes that are sent part by part."""
    host, port = re.match(r"http://([\d.]+):(\d+)", served.url).groups()
    with socket.create_connection((host, int(port)), timeout=patience) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except OSError:
                break
            time.sleep(pause)
        got = b""
        try:
            while chunk := connection.recv(65536):
                got += chunk
        except (TimeoutError, ConnectionError):
            return got, False
    return got, True  # the server has closed it


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two lengths": b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a head without end": b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 100_000 + b"\r\n\r\n",
    "a newline in a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\nb: c\r\n\r\n",
    "smuggled": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\nGET",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_requests(served, name):
    got, _ = raw(served, MALFORMED[name])
    assert re.match(rb"HTTP/1.1 4\d\d ", got), got[:100]
    assert served.client.get("api/history").status_code == 200


def test_a_length_that_is_too_long_is_refused_before_anything_comes(served):
    host = served.url.split("/")[2].encode()
    head = b"POST /api/history HTTP/1.1\r\nHost: " + host + b"\r\nContent-Type: application/json\r\n"
    got, _ = raw(served, head + b"Content-Length: 99999999999\r\n\r\n", patience=2.0)
    assert got.startswith(b"HTTP/1.1 413 ")


def test_slow_heads_and_bodies_do_not_hold_a_place(served, monkeypatch):
    monkeypatch.setattr(serve, "LIMITS", Limits(header_time=1.0))
    limits = Limits(header_time=1.0, body_time=1.0)
    with running(State(served.state.models, History(":memory:"), limits=limits)) as one:
        start = time.monotonic()
        got, closed = raw(one, b"GET / HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 12, pause=0.2)
        assert (got, closed) == (b"", True)
        got, closed = raw(one)  # says nothing at all
        assert (got, closed) == (b"", True)
        host = one.url.split("/")[2].encode()
        head = b"POST /api/jobs HTTP/1.1\r\nHost: " + host + b"\r\nContent-Type: application/json\r\n"
        got, closed = raw(one, head + b"Content-Length: 100\r\n\r\n", *[b"x"] * 12, pause=0.2)
        assert got.startswith(b"HTTP/1.1 408 ")
        second = b"GET /api/history HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
        got, closed = raw(one, second, b"GET / HT", pause=0.2)  # a good one, then a slow one on the same connection
        assert got.startswith(b"HTTP/1.1 200 ")
        assert closed
        assert time.monotonic() - start < 60
        assert one.client.get("api/history").status_code == 200


# Files that are opened -----------------------------------------------------------------------------------------------


def large(**changes):
    """A valid explanation with something of it too large."""
    return json.dumps(json.loads(made().to_json()) | changes).encode()


def many_tokens(count):
    text = "a " * count
    return json.dumps(
        json.loads(made().to_json())
        | {"segments": [text], "tokens": ["a"] * count, "offsets": [[2 * i, 2 * i + 1] for i in range(count)],
           "segment": [0] * count, "scores": [0.5] * count}
    ).encode()  # fmt: skip


LARGE = {
    "letters": large(segments=["a fine film" + " x" * 50_000]),
    "tokens": many_tokens(60_000),
    "outputs": large(outputs={f"label {n}": 0.0 for n in range(60_000)}),
    "files": b"[" + b",".join([many_tokens(5_000)] * 20) + b"]",
}


@pytest.mark.parametrize("name", LARGE)
def test_a_file_larger_than_any_question_is_refused_soon(served, name):
    begun = time.monotonic()
    answer = served.client.post("api/history", content=LARGE[name], headers=JSON)
    assert answer.status_code == 422, answer.text
    assert "at most" in answer.json()["error"]
    assert time.monotonic() - begun < 20


def test_a_picture_that_takes_long_does_not_hold_the_others(models, served):
    limits = Limits(draw_time=3.0)
    slow = json.dumps([json.loads(made("good " * 8000).to_json())])
    with running(State(models, History(":memory:"), limits=limits)) as one:
        quick = one.client.post("api/history", content=made().to_json(), headers=JSON)
        assert quick.status_code == 201, quick.text
        answer = one.client.post("api/history", content=slow, headers=JSON)
        assert answer.status_code == 422
        assert "longer than 3 seconds" in answer.json()["error"]
        assert one.client.get(f"api/files/{quick.json()['id']}.png").status_code == 200
        assert len(one.state.history.listed()) == 1
