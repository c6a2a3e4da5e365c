"""Insights on a page of its own: only for who has its address, and alive in a browser."""

import http.client
import json
import threading
from urllib.parse import urlsplit

import pytest
import torch
from torch import nn

from tests.insights.networks import numbers
from xai_nlp.insights import AttributionVisualizer, Batch, ImageFeature
from xai_nlp.insights.serve import LARGEST, Server


@pytest.fixture
def serve():
    running = []

    def start(source):
        server = Server(source, ("127.0.0.1", 0))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


def request(server, method, path, body=None, kind="application/json", **headers):
    where = urlsplit(server.url)
    connection = http.client.HTTPConnection(where.hostname, where.port, timeout=10)
    connection.request(method, path, body, {"Content-Type": kind, **headers} if body is not None else headers)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer, content


def ask(server, **settings):
    answer, content = request(server, "POST", urlsplit(server.url).path + "ask", json.dumps(settings))
    assert answer.status == 200
    return json.loads(content)


def test_what_is_asked_for_is_explained(serve):
    server = serve(numbers([[3.0, 1.0]], [0]))
    _, state = request(server, "GET", urlsplit(server.url).path + "state")
    assert json.loads(state)["settings"]["method"] == "Integrated Gradients"
    changed = ask(server, method="Saliency")
    assert changed["settings"]["method"] == "Saliency"
    assert "saliency" in changed["html"]
    assert "Nope" in ask(server, method="Nope")["problem"]


@pytest.mark.parametrize("path", ["/", "/x/", "/x/state", "/../", "//", "/%2e%2e/etc/passwd"])
def test_nothing_without_the_token(serve, path):
    server = serve(numbers([[3.0, 1.0]], [0]))
    for method in ("GET", "POST"):
        answer, content = request(server, method, path, "{}" if method == "POST" else None)
        assert (answer.status, content) == (404, "not found")
    answer, _ = request(server, "GET", urlsplit(server.url).path + "../../etc/passwd")
    assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "kind", "headers"),
    [
        ("{", "application/json", {}),
        ("[]", "application/json", {}),
        ("{}", "text/plain", {}),
        ("a=1", "application/x-www-form-urlencoded", {}),
        ("{}", "application/json", {"Content-Length": "x"}),
        ("{}", "application/json", {"Content-Length": str(LARGEST + 1)}),
        ("[" * 50_000, "application/json", {}),
    ],
)
def test_bad_requests_are_refused(serve, body, kind, headers):
    server = serve(numbers([[3.0, 1.0]], [0]))
    answer, content = request(server, "POST", urlsplit(server.url).path + "ask", body, kind, **headers)
    assert answer.status == 400
    assert "not a request" in json.loads(content)["problem"]
    assert ask(server, method="Saliency")["problem"] == ""  # and it goes on


def test_every_answer_has_a_strict_policy(serve):
    server = serve(numbers([[3.0, 1.0]], [0]))
    for name in ("", "style.css", "module.js", "host.js", "state"):
        answer, _ = request(server, "GET", urlsplit(server.url).path + name)
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


def test_serving_prints_its_address_and_comes_back(capsys):
    port = numbers([[3.0, 1.0]], [0]).serve()
    assert f"http://127.0.0.1:{port}/" in capsys.readouterr().out


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_axe_finds_nothing_serious(serve, browser, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    server = serve(numbers([[3.0, 1.0], [1.0, 2.0]], [0, 0]))
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    tab = context.new_page()
    tab.goto(server.url)
    tab.locator("article").first.wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert tab.locator("h1").bounding_box()["y"] < 450  # right under the form
    found = Axe().run(tab).response
    assert len(found["passes"]) > 10
    assert [one["id"] for one in found["violations"] if one["impact"] in ("serious", "critical")] == []
    context.close()


@pytest.mark.browser
def test_the_page_redraws_when_another_method_is_chosen(serve, browser):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    data = [Batch(torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2] * 2))]
    server = serve(AttributionVisualizer(net, ["a", "b", "c"], ImageFeature("Photo", None, None), data))
    tab = browser.new_page()
    troubles = []
    tab.on("console", lambda message: troubles.append(message.text))
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("request", lambda r: r.url.startswith((server.url, "data:", "blob:")) or troubles.append(r.url))
    tab.goto(server.url)
    tab.locator(".text > .meta").first.wait_for()
    assert all("integrated gradients" in card.text_content() for card in tab.locator(".text > .meta").all())
    assert tab.locator("article").count() == 4
    tab.get_by_label("method", exact=True).first.select_option("Saliency")
    tab.locator(".text > .meta", has_text="saliency").first.wait_for()
    tab.get_by_label("n steps").wait_for(state="detached")
    tab.locator(".display summary").first.click()
    tab.locator("[name=least]").first.fill("50")  # the page's own controls work on what was drawn anew
    tab.get_by_label("method", exact=True).first.select_option("Occlusion")
    tab.locator(".text > .meta", has_text="occlusion").first.wait_for()
    tab.get_by_label("sliding window shapes").fill("nonsense")
    tab.get_by_role("button", name="Explain").click()
    tab.locator(".problem").wait_for()
    assert "3 5 5" in tab.locator(".problem").inner_text()
    tab.get_by_label("sliding window shapes").fill("3 4 4")
    tab.keyboard.press("Enter")
    tab.locator(".problem").wait_for(state="detached")
    assert troubles == []
    tab.close()
