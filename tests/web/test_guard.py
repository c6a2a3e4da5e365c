"""Who is let in: addresses, origins, tokens, bodies."""

import asyncio

import pytest

from xai_nlp.web.guard import Address, Guard, is_loopback
from xai_nlp.web.limits import Limits

HERE = Address("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("address", "host", "allowed"),
    [
        (HERE, "127.0.0.1:8000", True),
        (HERE, "LOCALHOST:8000", True),
        (HERE, "[::1]:8000", True),
        (HERE, "127.0.0.1:8001", False),
        (HERE, "127.0.0.1", False),
        (HERE, "192.168.1.7:8000", False),
        (HERE, "localhost.evil.example:8000", False),
        (HERE, "localhost:8000@evil.example", False),
        (HERE, "localhost:99999999999", False),
        (HERE, "", False),
        (Address("127.0.0.1", 80), "localhost", True),
        (Address("0.0.0.0", 8000), "192.168.1.7:8000", True),
        (Address("0.0.0.0", 8000), "rebound.example:8000", False),
        (Address("box.lan", 8000), "box.lan:8000", True),
        (Address("box.lan", 8000), "other.lan:8000", False),
    ],
)
def test_hosts(address, host, allowed):
    assert address.allows(host) is allowed


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.7", False), ("box.lan", False)],
)  # fmt: skip
def test_loopback(host, local):
    assert is_loopback(host) is local


def request(guard, path="/", method="GET", headers=(), parts=((b"", False),), delay=0.0):
    """Status, headers and body of an answer; `parts` of the body come one by one, `delay` seconds apart."""
    sent, left = [], list(parts)

    async def receive():
        await asyncio.sleep(delay)
        if not left:
            return {"type": "http.disconnect"}
        body, more = left.pop(0)
        return {"type": "http.request", "body": body, "more_body": more}

    async def send(message):
        sent.append(message)

    pairs = [(b"host", b"127.0.0.1:8000"), *((k.encode(), v.encode()) for k, v in headers)]
    scope = {"type": "http", "method": method, "path": path, "headers": pairs}
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


async def echo(scope, receive, send):
    message = await receive()
    shown = f"{scope.get('root_path', '')}|{scope['path']}|{message['body'].decode()}"
    headers = [(b"Cache-Control", b"public")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": shown.encode()})


JSON = ("content-type", "application/json")


def test_every_answer_has_the_policy_once():
    for path, method in (("/", "GET"), ("/", "POST")):  # let in, refused
        _, headers, _ = request(Guard(echo, HERE), path, method)
        assert b"default-src 'none'" in headers[b"content-security-policy"]
        assert headers[b"cache-control"] == b"no-store"
        assert headers[b"x-content-type-options"] == b"nosniff"
    assert b"unsafe" not in headers[b"content-security-policy"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 200),
        ((("origin", "http://127.0.0.1:8000"),), 200),
        ((("origin", "http://localhost:8000"),), 403),  # another origin than the Host's
        ((("origin", "https://127.0.0.1:8000"),), 403),
        ((("origin", "null"),), 403),
        ((("origin", "http://evil.example"),), 403),
        ((("sec-fetch-site", "same-origin"),), 200),
        ((("sec-fetch-site", "same-site"),), 403),
        ((("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")), 403),
        ((("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")), 200),
        ((("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")), 403),
    ],
)
def test_origins(headers, status):
    assert request(Guard(echo, HERE), headers=headers)[0] == status


def test_where_others_can_reach_us_every_address_needs_the_token():
    guard = Guard(echo, HERE, token="s3cret")
    assert request(guard, "/s3cret/api/about")[::2] == (200, b"/s3cret|/s3cret/api/about|")
    for path in ("/", "/api/about", "/s3cre/", "/s3crets/", "//s3cret/", "/S3CRET/", "/é/", "/assets/app.js"):
        status, _, body = request(guard, path)
        assert status == 403
        assert b"s3cret" not in body


def test_what_changes_anything_is_json():
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert request(Guard(echo, HERE), "/api/jobs", "POST", [("content-type", kind)])[0] == 415
    kind = ("content-type", "Application/JSON; charset=utf-8")
    assert request(Guard(echo, HERE), "/api/jobs", "POST", [kind])[0] == 200


def test_bodies_are_bounded_whatever_they_say_of_themselves():
    guard = Guard(echo, HERE, limits=Limits(body=10, body_time=0.2))
    fine = [(b"12345", True), (b"67890", False)]
    assert request(guard, "/x", "POST", [JSON], fine)[2] == b"|/x|1234567890"
    assert request(guard, "/x", "POST", [JSON], [(b"12345", True), (b"678901", False)])[0] == 413
    assert request(guard, "/x", "POST", [JSON, ("content-length", "11")], [])[0] == 413  # before any of it came
    for length in ("-1", "1e3", "²", "9" * 5000):
        assert request(guard, "/x", "POST", [JSON, ("content-length", length)])[0] == 413
    assert request(guard, "/x", "POST", [JSON], [(b"1", True)] * 9, delay=0.05)[0] == 408
    assert request(guard, "/x", "POST", [JSON], [(b"1", True)])[0] == 400  # it went away
    assert guard.held == 0


def test_all_bodies_together_are_bounded():
    guard = Guard(echo, HERE, limits=Limits(held=100, body=0, upload=9), held=95)
    status, headers, _ = request(guard, "/api/history", "POST", [JSON], [(b"123", True), (b"456", False)])
    assert (status, headers[b"retry-after"]) == (503, b"1")
    assert guard.held == 95
    assert request(guard, "/api/history", "POST", [JSON], [(b"123", True), (b"45", False)])[0] == 200


def test_an_ordinary_request_finds_room_beside_long_bodies():
    guard = Guard(echo, HERE, limits=Limits(held=100, body=10), held=100)
    assert request(guard, "/x", "POST", [JSON], [(b"1234567890", False)])[0] == 200


def test_a_body_that_stalls_counts_for_what_came_of_it():
    async def stalled():
        guard, bodies = Guard(echo, HERE, limits=Limits(held=100, body=0, upload=60, body_time=0.3)), []

        async def post(said):
            sent, left = [], [b"x" * 30]

            async def receive():
                if not left:
                    await asyncio.sleep(60)
                return {"type": "http.request", "body": left.pop(), "more_body": True}

            async def send(message):
                sent.append(message)

            headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"application/json"), (b"content-length", said)]
            await guard({"type": "http", "method": "POST", "path": "/api/history", "headers": headers}, receive, send)
            bodies.append(sent[0]["status"])

        async def watch():
            await asyncio.sleep(0.1)
            assert guard.held == 90

        await asyncio.wait_for(asyncio.gather(watch(), *(post(b"60") for _ in range(5))), 15)
        assert sorted(bodies) == [408, 408, 408, 503, 503]
        assert guard.held == 0

    asyncio.run(stalled())


def test_streams_are_bounded_by_address():
    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] != "http.disconnect":
            pass

    async def opened():
        guard, statuses = Guard(endless, HERE, limits=Limits(streams=3)), []

        async def get(client, path="/api/jobs/x/events"):
            left = [{"type": "http.request"}]

            async def receive():
                if not left:
                    await asyncio.sleep(60)
                return left.pop()

            async def send(message):
                if message["type"] == "http.response.start":
                    statuses.append((client, message["status"]))

            scope = {"type": "http", "method": "GET", "path": path, "client": (client, 1)}
            await guard({**scope, "headers": [(b"host", b"127.0.0.1:8000")]}, receive, send)

        tasks = [asyncio.ensure_future(get(client)) for client in ("10.0.0.1",) * 5 + ("10.0.0.2",)]
        await asyncio.sleep(0.1)
        assert sorted(statuses) == [("10.0.0.1", 200)] * 3 + [("10.0.0.1", 503)] * 2 + [("10.0.0.2", 200)]
        guard.closing.set()  # every stream ends with the server
        await asyncio.wait(tasks, timeout=5)
        assert all(task.done() for task in tasks[:3] + tasks[5:])
        assert not guard.streams
        for task in tasks:
            task.cancel()

    asyncio.run(opened())


def test_the_long_bodies_are_for_those_who_need_them():
    guard = Guard(echo, HERE, limits=Limits(body=10, upload=100))
    body = [(b"1" * 50, False)]
    assert request(guard, "/api/history", "POST", [JSON], body)[0] == 200
    assert request(guard, "/api/history", "PATCH", [JSON], body)[0] == 413
    assert request(Guard(echo, HERE, "t", guard.limits), "/t/api/history", "POST", [JSON], body)[0] == 200


def test_a_refused_body_runs_out_before_the_connection_closes():
    left = [(b"x" * 1000, True)] * 5 + [(b"", False)]
    taken = []

    async def receive():
        taken.append(left.pop(0))
        return {"type": "http.request", "body": taken[-1][0], "more_body": taken[-1][1]}

    sent = []

    async def send(message):
        sent.append((message["type"], len(taken), message.get("more_body")))

    headers = [(b"host", b"127.0.0.1:8000"), (b"content-type", b"text/plain")]
    scope = {"type": "http", "method": "POST", "path": "/api/jobs", "headers": headers}
    asyncio.run(Guard(echo, HERE)(scope, receive, send))
    # answered at once, ended when the body has come
    assert sent == [("http.response.start", 0, None), ("http.response.body", 0, True), ("http.response.body", 6, None)]
