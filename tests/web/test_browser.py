"""The page in a browser, used as people use it: quiet, within its origin and its policy, by mouse and by keyboard."""

import base64
import csv
import io
import json
import time

import pytest
from PIL import Image

import xai_nlp
from tests.models.tiny import tiny
from tests.tasks.test_zero_shot_classification import inference
from tests.viz.samples import HOSTILE, label, made
from tests.web.conftest import ROWS, held, running
from xai_nlp.core.trust import LEVELS
from xai_nlp.web.allowed_root import AllowedRoot
from xai_nlp.web.examples import examples
from xai_nlp.web.history import History
from xai_nlp.web.model_registry import ModelRegistry
from xai_nlp.web.server_state import State

pytestmark = [pytest.mark.browser, pytest.mark.slow]
EXAMPLES = examples()
SCENE = base64.b64decode(EXAMPLES[3]["image"])


def send(tab):
    """Press Explain and wait until it is explained."""
    before = tab.evaluate("location.hash")
    press(tab)
    until(tab, "before => location.hash.length > 30 && location.hash !== before", arg=before)
    id = tab.evaluate("location.hash.slice(1)")
    tab.locator(f".result[data-shown='{id}'] .xai-nlp[data-live]").wait_for()
    return id


def press(tab):
    tab.locator("#ask .primary").click()


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


def test_an_example_shows_its_inputs_and_nothing_else(opened):
    cards = opened().locator(".example")
    for card, example in zip(cards.all_inner_texts(), EXAMPLES, strict=True):
        texts = [value for name, value in example.items() if name not in ("model", "image")]
        assert len(card.splitlines()) == 1 + len(texts) and all(text in card for text in texts)


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
        press(tab)
        progress = tab.locator(".job .progress")
        until(tab, "/^0 % · about \\d+ (s|min|h) left$/.test(document.querySelector('.job .progress')?.textContent)")
        assert tab.locator(".job progress").get_attribute("value") == "0"
        tab.get_by_role("button", name="Cancel").click()
        tab.locator(".job.cancelled").wait_for()
        assert progress.inner_text() == "cancelled"
        tab.get_by_role("button", name="Dismiss").click()
        assert tab.locator(".job").count() == 0
        assert tab.locator(".welcome").is_visible()


def error_at(tab, name):
    """The error at the field of that name."""
    tab.locator(f"#ask .field:has([name='{name}']) .at-field:visible").wait_for()
    assert tab.locator(".at-field").count() == 1
    assert tab.locator(f"#ask [name='{name}'][aria-invalid=true]").evaluate("e => e === document.activeElement")
    return tab.locator(".at-field").inner_text()


def test_errors_stand_at_their_field_as_text_and_vanish(opened):
    tab = opened(refused=3)
    tab.locator("#ask [name=text]").fill("fine")
    tab.locator("#ask [name=target]").fill("<img src=x onerror=alert(1)>")
    press(tab)
    assert "unknown label '<img src=x onerror=alert(1)>'" in error_at(tab, "target")
    assert tab.locator(".job").count() == 0
    tab.locator("#ask [name=target]").fill("")  # a change of the field takes its error away
    assert tab.locator(".at-field").count() == 0
    tab.locator("#ask [name=text]").fill(" ")
    press(tab)
    assert "text is empty" in error_at(tab, "text")
    tab.locator("#ask [name=text]").fill("fine")
    tab.locator(".more-options").evaluate("one => { one.open = true; }")
    tab.locator("#ask [name=layer]").fill("-5000")
    tab.locator(".more-options").evaluate("one => { one.open = false; }")
    press(tab)
    assert "layer" in error_at(tab, "layer")  # what was folded is opened
    tab.locator("#ask [name=layer]").fill("")
    choose(tab, "integrated_gradients")
    tab.locator(".method-options summary").click()
    tab.locator("[name='options.steps']").fill("many")
    press(tab)
    assert "steps is a whole number, or 'auto'" in error_at(tab, "options.steps")
    tab.locator("[name='options.steps']").fill("auto")
    send(tab)
    assert tab.locator(".at-field, #ask-error:visible, .job").count() == 0


def test_only_fields_of_the_visible_form_are_sent(opened, served):
    tab = opened()
    tab.get_by_role("radio", name="Question answering", exact=True).check(force=True)
    tab.locator("#ask [name=question]").fill("Who?")
    tab.locator("#ask [name=context]").fill("Ada wrote it.")
    tab.locator(".more-options").evaluate("one => { one.open = true; }")
    tab.locator("#ask [name=answer]").fill("Ada")
    tab.locator("#ask [name=rather_than]").fill("it")
    tab.get_by_label("Unanswerable").check()
    choose(tab, "lime")
    tab.locator(".method-options summary").click()
    tab.locator("[name='options.samples']").fill("9")
    choose(tab, "occlusion")
    tab.get_by_role("radio", name="Text classification").check(force=True)
    tab.locator("#ask [name=text]").fill("a fine film")
    request = served.state.history.request(send(tab))
    assert request == {"model": "sentiment", "text": "a fine film", "method": ["occlusion"]}
    tab.get_by_role("radio", name="Visual question answering").check(force=True)
    tab.locator("[name=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": SCENE})
    tab.locator("#ask [name=question]").fill(EXAMPLES[3]["question"])
    assert set(served.state.history.request(send(tab))) == {"model", "image", "question", "method"}


def test_running_jobs_are_there_after_a_reload_and_can_be_cancelled(opened, models):
    with held(models) as (one, release):
        tab = opened(url=one.url)
        for text in ("the first", "the second"):
            tab.locator("#ask [name=text]").fill(text)
            press(tab)
            tab.locator(".job", has_text=text).wait_for()
        tab.reload()
        tab.locator("[data-ready]").wait_for(state="attached")
        assert tab.locator(".job b").all_inner_texts() == ["the second", "the first"]
        until(tab, "document.querySelector('.job:last-child .progress').textContent.includes('%')")
        tab.locator(".job", has_text="the first").get_by_role("button", name="Cancel").click()
        tab.locator(".job.cancelled", has_text="the first").wait_for()
        release()
        tab.locator(".entries li", has_text="the second").wait_for()
        assert tab.locator(".job:not(.over)").count() == 0
        assert tab.locator(".welcome").is_visible()  # nothing is put over what the reader does


def test_many_jobs_leave_connections_for_the_page(opened, models):
    with held(models) as (one, release):
        ids = [
            one.client.post("api/jobs", json={"model": "sentiment", "text": f"film {n}"}).json()["id"] for n in range(9)
        ]
        one.started(ids[0])
        tab = opened(url=one.url)
        until(tab, "document.querySelectorAll('.job').length === 9")
        for text in ("film 8", "film 0"):
            tab.locator(".job", has_text=text).get_by_role("button", name="Cancel").click()
            tab.locator(".job.cancelled", has_text=text).wait_for(timeout=5000)
        release()
        until(tab, "document.querySelectorAll('.entries li').length === 7")


# What if -------------------------------------------------------------------------------------------------------------


def test_a_word_is_changed_and_the_change_stands_beside_the_old(opened, served):
    tab = opened()
    id = explain(tab, "It's a gripping film.", method="occlusion")
    tab.locator(".what-if summary").click()
    assert tab.locator(".what-if .word").all_inner_texts() == ["It's", "a", "gripping", "film"]
    assert tab.locator(".what-if .primary").is_disabled()
    tab.locator(".what-if .word", has_text="gripping").click()
    tab.keyboard.type("<b>dull</b>")
    tab.keyboard.press("Escape")
    assert tab.locator(".what-if .word").nth(2).inner_text() == "gripping"
    tab.locator(".what-if .word", has_text="gripping").click()
    tab.keyboard.type("dull")
    tab.keyboard.press("Enter")
    tab.locator(".change:visible h2").wait_for()
    assert tab.evaluate("location.hash").startswith(f"#what-if:{id},")
    assert tab.locator(".change h2").inner_text().startswith("The prediction changed from POSITIVE (9")
    row = tab.locator(".change tr.changed td").all_inner_texts()
    assert row[:2] == ["gripping", "dull"]
    new = tab.evaluate("location.hash").split(",")[1]
    old_words, new_words = (served.state.history.explanations([one])[0].words() for one in (id, new))
    before = old_words.scores[old_words.tokens.index("gripping")]
    after = new_words.scores[new_words.tokens.index("dull")]
    shown = [float(text.replace("−", "-")) for text in row[2:]]
    assert shown == pytest.approx([before, after, after - before], abs=0.0006)
    assert served.state.history.request(new)["text"] == "It's a dull film."
    assert tab.locator(".drawing article.group").count() == 2  # the old one beside it
    tab.reload()
    tab.locator(".change:visible h2").wait_for()
    tab.locator(".what-if summary").click()
    tab.locator(".what-if .word", has_text="dull").click()  # the new one is the next to change
    tab.keyboard.press("Control+a")
    tab.keyboard.press("Delete")
    tab.keyboard.press("Enter")
    until(tab, "id => location.hash.startsWith(`#what-if:${id},`)", arg=new)
    assert served.state.history.request(tab.evaluate("location.hash").split(",")[1])["text"] == "It's a film."


# Opening -------------------------------------------------------------------------------------------------------------


def test_a_model_and_data_are_opened_from_the_page(opened, models, tmp_path):
    model, tokenizer = tiny("bert")
    for name in ("own", "broken"):
        model.save_pretrained(tmp_path / "root" / "models" / name)
    tokenizer.save_pretrained(tmp_path / "root" / "models" / "own")
    (tmp_path / "root" / "<b>rows.csv").write_text(ROWS)
    state = State(ModelRegistry(dict(models.explainers)), History(":memory:"), root=AllowedRoot.of(tmp_path / "root"))
    with running(state) as one:
        tab = opened(url=one.url, refused=1)
        tab.locator("#ask [name=text]").fill("typed before")
        tab.get_by_role("button", name="Open a model or data").click()
        tab.locator("[name=path]").fill("../elsewhere")
        tab.keyboard.press("Enter")
        tab.locator(".open-dialog .error:visible").wait_for()
        assert "lies outside the folder 'root'" in tab.locator(".open-dialog .error").inner_text()
        tab.locator(".places button", has_text="models").click()
        assert tab.locator(".open-dialog .error").is_hidden()
        assert serious(tab) == {}
        tab.locator(".places button", has_text="broken").click()
        tab.locator(".job.failed").wait_for()
        assert tab.locator(".job .progress").inner_text().startswith("broken holds no tokenizer")
        tab.get_by_role("button", name="Open a model or data").click()
        tab.locator(".places button", has_text="models").click()
        tab.locator(".places button", has_text="own").click()
        until(tab, "document.querySelector('[name=model]').value === 'models/own'")
        assert tab.locator(".job").count() == 0  # the failure has gone with the success
        assert tab.locator("#ask [name=text]").input_value() == "typed before"
        tab.get_by_role("button", name="Open a model or data").click()
        tab.locator(".places button", has_text="<b>rows.csv").click()
        tab.locator(".data:visible tbody tr").first.wait_for()
        assert tab.locator(".data h2").inner_text() == "<b>rows.csv"
        assert tab.locator(".to-data").is_visible()


def test_without_a_root_nothing_is_offered_to_open(opened):
    assert opened().locator(".open-button").is_hidden()


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
    for content, message in (("<html>", "no JSON"), ('{"format": 99}', "format 99"), ("[]", "1 to 100")):
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
    press(tab)
    tab.locator(".at-field:visible").wait_for()
    assert "no image of a kind" in tab.locator(".at-field").inner_text()


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
    tab.locator("dialog.naming .primary").click()
    tab.locator(".welcome:visible").wait_for()
    assert tab.locator(".nothing").inner_text() == "Nothing in the history matches."


def test_a_verdict_is_asked_for_by_a_button_and_then_a_full_one(opened, served):
    tab = opened()
    explain(tab, "a gripping film, if rather long", method="occlusion")
    assert tab.locator("details.trust").count() == 0
    tab.get_by_role("button", name="How far to trust it").click()
    tab.locator(".result:visible details.trust .pill").first.wait_for()
    assert tab.locator("details.trust .pill").first.inner_text() in LEVELS
    tab.get_by_role("button", name="Check in full").click()
    tab.locator("details.trust b", has_text="Another method").wait_for(state="attached")
    assert tab.locator(".check-trust").is_hidden()


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


def test_whole_rows_are_clickable(opened):
    tab = opened("#data")
    tab.locator(".filters [name=text]").fill("gripping")
    until(tab, "document.querySelectorAll('.rows tbody tr').length === 1")
    tab.locator(".rows tbody td").last.click()  # its score
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    first = tab.evaluate("location.hash")
    explain(tab, "another film", method="occlusion")
    entry = tab.locator(".entries li", has_text="a gripping film").first
    entry.click(position={"x": 4, "y": entry.bounding_box()["height"] - 4})  # below its box
    until(tab, "hash => location.hash === hash", arg=first)


def test_many_rows_are_explained_at_once(opened, served):
    tab = opened("#data")
    until(tab, "document.querySelectorAll('.rows tbody tr').length === 5")
    assert tab.locator(".many").is_disabled()
    tab.get_by_label("Check all rows of this page").check()
    tab.get_by_label("Check row 3").uncheck()
    tab.get_by_label("Check row 4").uncheck()
    choose(tab, "occlusion")
    tab.locator("#ask [name=target]").fill("NEGATIVE")
    tab.get_by_role("button", name="Explain 3 rows").click()
    tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
    assert tab.locator(".drawing article.group").count() == 3
    assert tab.get_by_role("button", name="Ask again").is_hidden()
    assert tab.locator(".what-if").is_hidden()
    meta = tab.locator(".entries [aria-current]").inner_text()
    assert "3 rows of reviews.csv" in meta
    assert "target NEGATIVE" in meta
    assert "occlusion" in meta


def test_the_history_shows_target_and_options(opened):
    tab = opened()
    tab.locator("#ask [name=baseline]").fill("mask")
    tab.locator("#ask [name=target]").fill("NEGATIVE")
    explain(tab, "a needle of options", method="occlusion")
    meta = tab.locator(".entries [aria-current] small").inner_text()
    assert meta.split(" · ")[1:5] == ["target NEGATIVE", "occlusion", "baseline mask", "sentiment"]
    tab.get_by_placeholder("Search").fill("baseline mask")
    until(tab, "document.querySelectorAll('.entries li').length >= 1")
    assert tab.locator(".entries li", has_text="a needle of options").count() == 1


def test_a_model_of_inference_does_zero_shot_and_only_its_methods_are_offered(opened, models, tmp_path):
    model, tokenizer = inference()
    registry = ModelRegistry(dict(models.explainers))
    registry.add("nli", xai_nlp.load(model, tokenizer))
    with running(State(registry, History(tmp_path / "history.sqlite3"))) as one:
        tab = opened(url=one.url)
        choose(tab, "attention_rollout")
        tab.get_by_role("radio", name="Image classification").check(force=True)
        assert not tab.locator("[name=method][value=attention_rollout]").is_visible()
        assert [box.get_attribute("value") for box in tab.locator("[name=method]:checked").all()] == [
            "integrated_gradients"
        ]
        tab.get_by_role("radio", name="Zero-shot classification").check(force=True)
        assert tab.locator("#ask [name=model]").input_value() == "nli (zero-shot)"
        assert tab.locator("[name=method][value=attention_rollout]").is_visible()
        tab.locator("#ask [name=text]").fill("a dull film")
        tab.locator("#ask [name=labels]").fill("films, food")
        send(tab)
        assert tab.locator(".result .xai-nlp h2").first.inner_text().startswith("The model says fi")


def test_a_method_is_recommended(opened):
    tab = opened()
    assert tab.locator(".recommended").is_hidden()
    choose(tab, "lime", "lrp")
    assert tab.locator(".method-options").is_hidden()
    assert tab.locator(".one-method").is_visible()  # says how to set options
    assert tab.locator(".check", has=tab.locator("[value=integrated_gradients]")).locator(".best").is_visible()
    tab.locator(".recommended").click()
    assert tab.locator(".chosen").inner_text() == "integrated gradients"
    assert tab.locator(".recommended").is_hidden()
    assert tab.locator(".method-options").is_visible()


@pytest.mark.parametrize("width", [390, 1000, 1280])
def test_twelve_heads_fit_and_wide_tables_scroll_inside(opened, width):
    model, tokenizer = twelve_heads()
    state = State(ModelRegistry({"wide": xai_nlp.load(model, tokenizer)}), History(":memory:"))
    with running(state) as one:
        id = one.explained(model="wide", text="great movie but thin plot " * 4, attention=True, layers=True)
        tab = opened(f"#{id}", width, url=one.url)
        tab.locator(".result:visible .xai-nlp[data-live]").wait_for()
        for choice in tab.get_by_role("tab", name="ttention").all():
            choice.click()
        tab.evaluate("document.querySelectorAll('.result details').forEach(one => { one.open = true; })")
        assert fits(tab)
        ends = tab.evaluate(
            "(() => { const table = document.querySelector('.heads'), card = table.closest('.card'); "
            "return [table, card].map(one => one.getBoundingClientRect().right); })()"
        )
        assert tab.locator(".heads thead :is(th, td)").count() == 14
        assert ends[0] <= ends[1]


def twelve_heads():
    """An untrained classifier with twelve heads, and its tokenizer."""
    from transformers import BertConfig, BertForSequenceClassification

    _, tokenizer = tiny("bert")
    sizes = {"hidden_size": 48, "num_attention_heads": 12, "num_hidden_layers": 2, "intermediate_size": 48}
    return BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **sizes)).eval(), tokenizer


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


@pytest.mark.parametrize("address", ["#%", "#%E0%A4%A", "#what-if:%"])
def test_an_address_that_cannot_be_decoded_does_not_break_the_page(opened, address):
    tab = opened(address)
    assert tab.locator(".welcome").is_visible()
    tab.evaluate("location.hash = '#%zz'")
    assert tab.locator(".welcome").is_visible()
