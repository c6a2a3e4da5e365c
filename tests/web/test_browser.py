"""The page in a browser, used as people use it: quiet, within its origin and its policy, by mouse and by keyboard."""

import base64
import csv
import io
import json
import time

import pytest
from PIL import Image

from tests.viz.samples import HOSTILE, label, made
from tests.web.conftest import held, running
from xai_nlp.web.examples import examples
from xai_nlp.web.history import History
from xai_nlp.web.server_state import State

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EXAMPLES = examples()
SCENE = base64.b64decode(EXAMPLES[3]["image"])


def send(tab):
    """Press Explain and wait until it is explained."""
    before = tab.evaluate("location.hash")
    tab.get_by_role("button", name="Explain").click()
    until(tab, "before => location.hash.length > 30 && location.hash !== before", arg=before)
    id = tab.evaluate("location.hash.slice(1)")
    tab.locator(f".result[data-shown='{id}'] .xai-nlp[data-live]").wait_for()
    return id


def explain(tab, text, *, method=None):
    tab.get_by_role("radio", name="Text classification").check(force=True)
    tab.locator("#ask [name=text]").fill(text)
    if method:
        choose(tab, method)
    return send(tab)


def choose(tab, *methods):
    """Have exactly these methods checked."""
    tab.locator("details.methods").evaluate("one => { one.open = true; }")
    for box in tab.locator("[name=method]:checked").all():
        box.uncheck()
    for name in methods:
        tab.locator(f"[name=method][value={name}]").check()


def until(tab, true, arg=None, timeout=30_000):
    """Wait for it; the page's policy forbids the strings that playwright would have it evaluate."""
    end = time.monotonic() + timeout / 1000
    while not tab.evaluate(true, arg):
        assert time.monotonic() < end, f"waited in vain for {true}"
        time.sleep(0.03)


def fits(tab):
    return tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def headline(tab):
    return tab.locator(".drawing header h2").inner_text()


# End to end ----------------------------------------------------------------------------------------------------------


def test_a_sentiment_from_the_keyboard_alone(opened):
    tab = opened()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.locator("#ask [name=text]").focus()
    tab.keyboard.type("a gripping, beautifully acted film")
    tab.keyboard.press("Control+Enter")
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    assert headline(tab).startswith("The model says POSITIVE (")
    tab.locator("span.t", has_text="gripping").first.focus()
    assert tab.locator(".tip:visible").inner_text().startswith("“gripping” +")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("Escape")
    assert tab.locator(".tip:visible").count() == 0
    assert tab.locator(".entries [aria-current]").inner_text().startswith("a gripping, beautifully acted film")


def test_target_method_view_and_theme_are_switched(opened):
    tab = opened()
    explain(tab, "an unforgettable, gripping film")
    tab.locator("span.t:visible", has_text="gripping").hover()
    assert "logit" in tab.locator(".tip:visible").inner_text()
    assert tab.locator("p.tokens:visible span.t").count() == 5
    tab.locator(".display summary").click()
    tab.get_by_role("button", name="tokens").click()
    assert tab.locator("p.tokens:visible span.t").count() > 5
    tab.locator("#ask [name=target]").fill("NEGATIVE")
    choose(tab, "occlusion", "lrp")
    send(tab)
    assert ". Explained is NEGATIVE (" in headline(tab)
    assert tab.locator(".row.named h3").all_inner_texts() == ["occlusion", "lrp"]
    for theme, dark in (("dark", True), ("light", False)):
        tab.get_by_role("button", name=theme).click()
        backs = [
            tab.locator(one).first.evaluate("e => getComputedStyle(e).backgroundColor") for one in ("body", ".card")
        ]
        assert [int(back.split("(")[1].split(",")[0]) < 60 for back in backs] == [dark, dark]
    tab.get_by_role("button", name="dark").click()
    tab.reload()
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()  # the address names the results
    assert tab.evaluate("document.documentElement.getAttribute('theme')") == "dark"


def test_a_question_and_its_target(opened):
    tab = opened(color_scheme="dark")
    tab.get_by_role("radio", name="Question answering", exact=True).check(force=True)
    tab.locator("#ask [name=question]").fill(EXAMPLES[2]["question"])
    tab.get_by_label("Context").fill(EXAMPLES[2]["context"])
    send(tab)
    assert headline(tab).startswith("The model answers “Ada Lovelace” (")
    assert tab.locator("mark.answer:visible").inner_text().strip() == "Ada Lovelace"
    tab.locator("#ask [name=target]").select_option("start")
    tab.locator(".more-options").evaluate("one => { one.open = true; }")
    tab.get_by_label("Attention", exact=True).check()
    send(tab)
    assert "for its start" in headline(tab)
    tab.locator(".drawing .views button", has_text="Attention").click()
    assert tab.locator(".drawing canvas:visible").count() > 0


def test_options_of_the_method_are_set(opened, served):
    tab = opened()
    tab.locator("#ask [name=text]").fill("a fine film")
    choose(tab, "integrated_gradients")
    tab.locator(".method-options summary").click()
    tab.locator("[name='options.steps']").fill("6")
    tab.locator("[name='options.rule']").fill("trapezoid")
    tab.locator("[name='options.multiply']").uncheck()
    id = send(tab)
    request = served.state.history.request(id)
    assert request["options"] == {"steps": 6, "rule": "trapezoid", "multiply": False}
    (why,) = served.state.history.explanations([id])
    assert (why.params["rule"], why.params["steps"], why.params["multiply"]) == ("trapezoid", 6, False)
    choose(tab, "occlusion")
    assert tab.locator(".method-options").is_hidden()  # it has no options
    tab.get_by_role("button", name="Ask again").click()
    until(tab, "document.querySelector('[name=\"options.steps\"]')?.value === '6'")
    choose(tab, "smoothgrad")
    tab.locator("[name='options.of']").fill("integrated_gradients")
    tab.locator("[name='options.of_options']").fill('{"steps": 3}')
    tab.locator("[name='options.samples']").fill("2")
    request = served.state.history.request(send(tab))
    options = {"samples": 2, "of": "integrated_gradients", "of_options": '{"steps": 3}'}
    assert (request["method"], request["options"]) == (["smoothgrad"], options)


def test_an_image_is_chosen_or_dropped(opened, tmp_path):
    (tmp_path / "<img src=x onerror=alert(1)>.png").write_bytes(SCENE)
    tab = opened()
    tab.get_by_role("radio", name="Visual question answering").check(force=True)
    tab.locator("[name=file]").set_input_files(tmp_path / "<img src=x onerror=alert(1)>.png")
    tab.locator(".drop img:visible").wait_for()
    assert "<img src=x" in tab.locator(".drop-text").inner_text()
    tab.locator("#ask [name=question]").fill(EXAMPLES[3]["question"])
    send(tab)
    assert headline(tab).startswith("The model answers “yellow” (")
    assert tab.locator(".drawing .pics img:visible, .drawing .pics image").count() > 0
    tab.goto(tab.url.split("#")[0] + "#")
    tab.reload()
    tab.get_by_role("radio", name="Visual question answering").check(force=True)
    dropped = tab.evaluate_handle(
        """encoded => { const held = new DataTransfer();
        held.items.add(new File([Uint8Array.from(atob(encoded), c => c.charCodeAt(0))], 'a.png', {type: 'image/png'}));
        return held; }""",
        EXAMPLES[3]["image"],
    )
    tab.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    tab.locator(".drop img:visible").wait_for()
    tab.locator("#ask [name=question]").fill(EXAMPLES[3]["question"])
    send(tab)
    assert headline(tab).startswith("The model answers “yellow” (")


@pytest.mark.parametrize("number", [2, 3])
def test_examples_are_explained_by_a_click(opened, number):
    tab = opened(width=390)
    tab.locator(".example").nth(number).click()
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    assert headline(tab).startswith("The model answers ")
    assert fits(tab)


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_is_followed_and_cancelled(opened, models):
    with held(models) as (one, _):
        tab = opened(url=one.url)
        tab.locator("#ask [name=text]").fill("fine")
        tab.get_by_role("button", name="Explain").click()
        progress = tab.locator(".job .progress")
        until(tab, "/[1-9]\\d* passes/.test(document.querySelector('.job .progress')?.textContent)")
        tab.get_by_role("button", name="Cancel").click()
        tab.locator(".job.cancelled").wait_for()
        assert progress.inner_text() == "cancelled"
        tab.get_by_role("button", name="Dismiss").click()
        assert tab.locator(".job").count() == 0
        assert tab.locator(".welcome").is_visible()


def test_failures_are_shown_as_text(opened):
    tab = opened(refused=1)
    tab.locator("#ask [name=text]").fill("fine")
    tab.locator("#ask [name=target]").fill("<img src=x onerror=alert(1)>")
    tab.get_by_role("button", name="Explain").click()
    tab.locator(".job.failed").wait_for()
    assert "unknown label '<img src=x onerror=alert(1)>'" in tab.locator(".job .progress").inner_text()
    tab.locator("#ask [name=text]").fill(" ")
    tab.get_by_role("button", name="Explain").click()
    tab.locator("#ask-error:visible").wait_for()
    assert "text is empty" in tab.locator("#ask-error").inner_text()


# History -------------------------------------------------------------------------------------------------------------


def test_two_are_compared(opened):
    tab = opened()
    explain(tab, "a marvellous film", method="occlusion")
    explain(tab, "a marvellous bore")
    boxes = tab.locator(".entries input")
    assert tab.locator(".compare").is_disabled()
    boxes.nth(0).check()
    boxes.nth(1).check()
    tab.get_by_role("button", name="Compare 2").click()
    until(tab, "document.querySelectorAll('.drawing article.group').length === 2")
    assert tab.locator(".drawing .legend:visible").count() == 2  # a scale each
    assert tab.locator(".entries [aria-current]").count() == 2
    tab.go_back()
    until(tab, "document.querySelectorAll('.drawing article.group').length === 1")


def test_each_format_is_saved_and_opens_again(opened, served, tmp_path):
    tab = opened()
    id = explain(tab, "a fine, fine film", method="occlusion")
    why = served.state.history.explanations([id])
    files = {}
    for kind in ("HTML", "JSON", "PNG", "CSV"):
        with tab.expect_download() as download:
            tab.get_by_role("link", name=f"Save as {kind}").click()
        files[kind] = tmp_path / download.value.suggested_filename
        download.value.save_as(files[kind])
    page = tab.context.new_page()
    page.on("console", lambda message: tab.troubles.append(message.text))
    page.on("request", lambda r: r.url.startswith(("file:", "data:", "blob:")) or tab.troubles.append(r.url))
    page.goto(files["HTML"].as_uri())
    assert page.locator("h1").inner_text().startswith("The model says POSITIVE (")
    with Image.open(files["PNG"]) as picture:
        assert picture.width > 500
    lines = list(csv.DictReader(io.StringIO(files["CSV"].read_text(encoding="utf-8"))))
    assert [float(line["score"]) for line in lines] == list(why[0].scores)
    tab.locator("[name=saved]").set_input_files(files["JSON"])
    until(tab, "id => location.hash.length > 30 && location.hash.slice(1) !== id", arg=id)
    tab.locator(".entries [aria-current]", has_text="explanation").wait_for()
    assert served.state.history.explanations([tab.evaluate("location.hash.slice(1)")]) == why
    assert tab.get_by_role("button", name="Ask again").is_hidden()  # the request is unknown


def test_hostile_files_are_refused_or_shown_as_text(opened, tmp_path):
    tab = opened(refused=3)
    bad = tmp_path / "bad.json"
    for content, message in (("<html>", "not JSON"), ('{"format": 99}', "format 99"), ("[]", "1 to 100")):
        bad.write_text(content)
        tab.locator("[name=saved]").set_input_files(bad)
        until(tab, "message => document.querySelector('#history-error').textContent.includes(message)", arg=message)
    for name, text in HOSTILE.items():
        said = text[:300]
        names = dict.fromkeys(("model", "method", "baseline", "unit"), said)
        bad.write_text(
            made(said, **names, target=label(said), outputs={said: 0.9, "no": 0.1}, versions={said: said}).to_json()
        )
        before = tab.evaluate("location.hash")
        tab.locator("[name=saved]").set_input_files(bad)
        until(tab, "before => location.hash !== before", arg=before)
        until(
            tab, "said => document.querySelector('.drawing p.tokens')?.textContent === said", arg=said, timeout=10_000
        )
        assert fits(tab), name
    assert tab.locator("#history-error").is_hidden()
    svg = tmp_path / "x.png"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
    tab.get_by_role("radio", name="Visual question answering").check(force=True)
    tab.locator("[name=file]").set_input_files(svg)
    tab.locator("#ask [name=question]").fill("what?")
    tab.refused += 1
    tab.get_by_role("button", name="Explain").click()
    tab.locator("#ask-error:visible").wait_for()
    assert "no image of a kind" in tab.locator("#ask-error").inner_text()


def test_an_entry_is_renamed_found_asked_again_and_deleted(opened):
    tab = opened()
    explain(tab, "a needle of a film", method="occlusion")
    tab.get_by_role("button", name="Rename").click()
    tab.locator("dialog [name=name]").fill("<i>own</i>")
    tab.keyboard.press("Enter")
    tab.locator(".entries [aria-current]", has_text="<i>own</i>").wait_for()
    assert tab.locator(".result .name").inner_text() == "<i>own</i>"
    tab.get_by_placeholder("Search").fill("<i>own")
    until(tab, "document.querySelectorAll('.entries li').length === 1")
    tab.locator("#ask [name=text]").fill("")
    tab.get_by_role("button", name="Ask again").click()
    until(tab, "document.querySelector('[name=text]').value === 'a needle of a film'")
    assert tab.locator(".chosen").inner_text() == "occlusion"
    tab.get_by_role("button", name="Delete").click()
    tab.get_by_role("button", name="Leave it").click()
    assert tab.locator(".result").is_visible()
    tab.get_by_role("button", name="Delete").click()
    tab.locator("dialog .primary").click()
    tab.locator(".welcome:visible").wait_for()
    assert tab.locator(".nothing").inner_text() == "Nothing in the history matches."


# Data ----------------------------------------------------------------------------------------------------------------


def test_rows_are_filtered_and_explained_by_a_click(opened):
    tab = opened("#data")
    rows = tab.locator(".rows tbody tr")
    until(tab, "document.querySelector('.predicted').textContent.includes('predicted by')")
    assert rows.count() == 5
    tab.get_by_label("Right or wrong").select_option("wrong")
    until(tab, "[...document.querySelectorAll('.rows tbody tr')].every(r => r.querySelector('.wrong'))")
    tab.get_by_label("Right or wrong").select_option("both")
    tab.locator(".filters [name=text]").fill("SCRIPT")
    until(tab, "document.querySelectorAll('.rows tbody tr').length === 1")
    assert "<script>" in rows.first.inner_text()
    tab.locator(".filters [name=text]").fill("nowhere at all")
    until(tab, "document.querySelector('.where').textContent === 'No row matches.'")
    tab.locator(".filters [name=text]").fill("gripping")
    until(tab, "document.querySelectorAll('.rows tbody tr').length === 1")
    rows.first.get_by_role("button").click()
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    assert headline(tab).startswith("The model says POSITIVE (")
    tab.go_back()
    tab.locator(".data:visible").wait_for()


# For everybody -------------------------------------------------------------------------------------------------------


def serious(tab):
    """What axe-core finds that is serious or critical."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    return {
        one["id"]: [node["target"] for node in one["nodes"]]
        for one in violations
        if one["impact"] in ("serious", "critical")
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_anybodys_way(opened, scheme):
    tab = opened(color_scheme=scheme)
    assert serious(tab) == {}
    tab.locator(".example").nth(3).click()
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    tab.evaluate("document.querySelectorAll('.ask details').forEach(one => { one.open = true; })")
    assert serious(tab) == {}
    tab.get_by_role("button", name="Rename").click()
    assert serious(tab) == {}
    tab.keyboard.press("Escape")
    tab.goto(tab.url.split("#")[0] + "#data")
    tab.locator(".data:visible tbody tr").first.wait_for()
    assert serious(tab) == {}
    assert serious(opened("docs", color_scheme=scheme)) == {}


@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits_with_the_longest_inputs(opened, width):
    tab = opened(width=width)
    explain(tab, "x" * 400 + " a fine film", method="occlusion")
    tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert fits(tab)
    tab.goto(tab.url.split("#")[0] + "#data")
    tab.locator(".data:visible tbody tr").first.wait_for()
    assert fits(tab)
    assert fits(opened("docs", width))


def test_the_api_is_listed_without_help_from_elsewhere(opened, served):
    tab = opened("docs")
    listed = tab.locator(".route h2").all_inner_texts()
    schema = served.client.get("openapi.json").json()
    assert len(listed) == sum(len(methods) for methods in schema["paths"].values())
    assert any("POST" in one and "/api/jobs" in one for one in listed)


def test_with_a_token_every_request_stays_under_it(opened, models):
    with running(State(models, History(":memory:")), host="0.0.0.0") as one:
        port, token = one.url.split(":")[2].split("/")[:2]
        tab = opened(url=f"http://127.0.0.1:{port}/{token}/")  # a request outside it would be a trouble
        explain(tab, "a fine film", method="occlusion")
        assert headline(tab).startswith("The model says POSITIVE (")
        answer = tab.request.get(f"http://127.0.0.1:{port}/api/history")
        assert answer.status == 403
        assert token not in json.dumps(answer.json())
