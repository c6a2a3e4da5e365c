"""Insights on a page of its own: served by the web application behind its guard, and alive in a browser."""

import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import torch
from torch import nn

from tests.insights.networks import numbers
from xai_nlp.insights import AttributionVisualizer, Batch, ImageFeature, Insights
from xai_nlp.insights.page import application
from xai_nlp.web.limits import Limits
from xai_nlp.web.serve import bind, server_of


@contextmanager
def serving(source):
    """A server of a source; yields its address and a client."""
    bound = bind(token=True)
    server = server_of(application(source), bound)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound.socket]})
    thread.start()
    try:
        with httpx.Client(base_url=bound.url, timeout=30) as client:
            yield bound.url, client
    finally:
        server.should_exit = True
        thread.join(20)
        bound.socket.close()


@pytest.fixture(scope="module")
def served():
    with serving(numbers([[3.0, 1.0]], [0])) as one:
        yield one


def test_requests_of_the_form_are_explained():
    with serving(numbers([[3.0, 1.0]], [0])) as (_, client):
        state = client.get("api/insights").json()
        assert state["settings"]["method"] == "Integrated Gradients"
        assert [one["name"] for one in state["choices"]["methods"]["Integrated Gradients"]] == ["n_steps", "method"]
        changed = client.post("api/insights", json={"method": "Saliency"}).json()
        assert changed["settings"]["method"] == "Saliency"
        assert "saliency" in changed["html"]
        assert "Nope" in client.post("api/insights", json={"method": "Nope"}).json()["problem"]
        assert client.get("api/insights").json()["settings"]["method"] == "Saliency"


@pytest.mark.parametrize("path", ["/", "/x/", "/x/api/insights", "/../", "//", "/%2e%2e/etc/passwd"])
def test_nothing_without_the_token(served, path):
    address = urlsplit(served[0])
    for method in ("GET", "POST"):
        answer = httpx.request(method, f"http://{address.netloc}{path}", json={} if method == "POST" else None)
        assert (answer.status_code, "token" in answer.json()["error"]) == (403, True)
    assert served[1].get("../../etc/passwd").status_code in (403, 404)


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{", {}, 422),
        ("[]", {}, 422),
        ("{}", {"content-type": "text/plain"}, 415),
        ("a=1", {"content-type": "application/x-www-form-urlencoded"}, 415),
        ("{}", {"host": "evil.example"}, 421),
        ("{}", {"origin": "http://evil.example"}, 403),
        ("x" * (Limits().body + 1), {}, 413),
        ("[" * 50_000, {}, 400),
    ],
)
def test_bad_requests_are_refused(served, body, headers, status):
    client = served[1]
    answer = client.post("api/insights", content=body, headers={"content-type": "application/json", **headers})
    assert answer.status_code == status, answer.text
    assert len(answer.json()["error"]) > 10
    assert client.post("api/insights", json={"method": "Saliency"}).json()["problem"] == ""  # and it goes on


def test_every_answer_has_a_strict_policy(served):
    for name in ("", "assets/insights.css", "assets/insights.js", "assets/page.js", "assets/app.css", "api/insights"):
        answer = served[1].get(name)
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("source", [numbers([[3.0, 1.0]], [0]), None])
def test_serving_prints_its_address_and_comes_back(source, sentiment, capsys):
    port = (source or Insights(sentiment, ["a fine film"])).serve()
    url = capsys.readouterr().out.removeprefix("Insights: ").strip()
    assert url.startswith(f"http://127.0.0.1:{port}/")
    assert httpx.get(url + "api/insights").json()["html"].count("<article") == 1
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 403


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_fits_and_axe_finds_nothing_serious(browser, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    with serving(numbers([[3.0, 1.0], [1.0, 2.0]], [0, 0])) as (url, _):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
        tab = context.new_page()
        tab.goto(url)
        tab.locator("article").first.wait_for()
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert tab.locator("h1").bounding_box()["y"] < 450  # right under the form
        tab.locator(".ask details").first.evaluate("one => { one.open = true; }")
        results = Axe().run(tab).response
        assert len(results["passes"]) > 10
        assert [one["id"] for one in results["violations"] if one["impact"] in ("serious", "critical")] == []
        context.close()


@pytest.mark.browser
def test_the_page_redraws_when_another_method_is_chosen(browser):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    data = [Batch(torch.rand(6, 3, 8, 8), torch.tensor([0, 1, 2] * 2))]
    source = AttributionVisualizer(net, ["a", "b", "c"], ImageFeature("Photo", None, None), data)
    with serving(source) as (url, _):
        tab = browser.new_page()
        troubles = []
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("request", lambda r: r.url.startswith((url, "data:", "blob:")) or troubles.append(r.url))
        tab.goto(url)
        tab.locator(".text > .meta").first.wait_for()
        assert all("integrated gradients" in card.text_content() for card in tab.locator(".text > .meta").all())
        assert tab.locator("article").count() == 4
        tab.get_by_text("Options of the method").click()
        assert tab.get_by_label("N steps").get_attribute("min") == "2"
        tab.get_by_label("method", exact=True).first.select_option("Saliency")
        tab.locator(".text > .meta", has_text="saliency").first.wait_for()
        tab.get_by_label("N steps").wait_for(state="detached")
        tab.locator(".display summary").first.click()
        tab.locator("[name=least]").first.fill("50")  # the page's own controls work on the new HTML
        tab.get_by_label("method", exact=True).first.select_option("Occlusion")
        tab.locator(".text > .meta", has_text="occlusion").first.wait_for()
        tab.get_by_label("Sliding window shapes").fill("nonsense")
        tab.get_by_role("button", name="Explain").click()
        tab.locator(".problem").wait_for()
        assert "3 5 5" in tab.locator(".problem").inner_text()
        tab.get_by_label("Sliding window shapes").fill("3 4 4")
        tab.keyboard.press("Enter")
        tab.locator(".problem").wait_for(state="detached")
        assert troubles == []
        tab.close()


@pytest.mark.browser
def test_seeds_contrasts_several_methods_and_a_text_of_ones_own(browser, sentiment, tmp_path):
    from xai_nlp.insights.explainer_source import ExplainerSource

    source = ExplainerSource(sentiment, ["a gripping film", "a dull mess"])
    with serving(source) as (url, _):
        tab = browser.new_page(viewport={"width": 1100, "height": 900})
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(url)
        form = tab.locator("form.ask")
        form.get_by_label("method", exact=True).select_option("shapley")
        tab.locator(".xai-nlp .meta", has_text="shapley").first.wait_for()
        form.locator("summary", has_text="Options of the method").click()
        seed = form.get_by_label("Seed", exact=True)
        for value in ("0", "3"):
            seed.fill(value)
            assert form.evaluate("form => form.checkValidity()")
            form.get_by_role("button", name="Explain", exact=True).click()
            until(lambda value=value: source.settings.arguments.get("seed") == int(value))
        form.get_by_label("rather than").select_option("NEGATIVE")
        until(lambda: source.settings.rather_than == "NEGATIVE")
        form.locator("summary", has_text="Methods beside it").click()
        form.get_by_label("saliency", exact=True).check()
        form.locator("summary", has_text="Your own text").click()
        form.get_by_label("Text", exact=True).fill("a <b>splendid</b> evening")
        form.get_by_role("button", name="Explain this").click()
        tab.locator("span.t", has_text="splendid").first.wait_for()
        assert tab.locator(".row.named .name", has_text="saliency").count() == 2
        tab.screenshot(path=tmp_path / "insights.png", full_page=True)
        assert not tab.locator(".readout.problem").count() and errors == []
        tab.close()


def until(claim, seconds=20):
    """Wait for a claim about the server to become true."""
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_hosts_origins_and_slow_bodies_meet_the_same_guard():
    bound = bind(token=True)
    server = server_of(application(numbers([[3.0, 1.0]], [0])), bound, Limits(body_time=0.5))
    assert type(server.config.app).__name__ == "Guard"
    assert server.config.app.token == bound.token
    bound.socket.close()
    with serving(numbers([[3.0, 1.0]], [0])) as (url, client):
        address = urlsplit(url)
        head = f"POST {address.path}api/insights HTTP/1.1\r\nHost: {address.netloc}\r\n"
        with socket.create_connection((address.hostname, address.port)) as one:
            one.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode())
            assert client.get("api/insights").status_code == 200  # while one stalls


def test_an_unforeseen_failure_is_a_sentence_on_the_page_and_no_traceback_in_the_cell(capfd, caplog):
    source = numbers([[3.0, 1.0]], [0])
    with serving(source) as (_, client):
        source.answer = lambda request: 1 / 0
        answer = client.post("api/insights", json={"method": "Saliency"})
        assert answer.status_code == 200
        assert answer.json() == {"problem": "ZeroDivisionError: division by zero"}
        source.settings = None
        answer = client.get("api/insights")
        assert answer.status_code == 500
        assert "error" in answer.json()
    written = capfd.readouterr()
    assert "Traceback" not in written.err + written.out
