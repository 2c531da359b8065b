"""The page in a real browser: long texts, fast typing, thresholds, errors, planted markup, two sizes, accessibility."""

import json
import time

import pytest
from spacy.language import Language

from spacy_ptv2.demo import app as application

from .browsing import SIZES, Visit, chromium, serving
from .kinds import EVIL, OTHER, SCRIPT, TEXT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

WORDS = "peter opens the danish office in london , mary works and john opens a letter .".split()
LONG = "\n\n".join(" ".join(WORDS[(start + place) % 16] for place in range(100)) for start in range(20))
PLANTED = f'{TEXT} {SCRIPT} <img src=x onerror="window.planted=3">'


@Language.component("fails_on_paris")
def fails_on_paris(doc):
    if "paris" in doc.text:
        raise KeyError("a secret of the inside")
    return doc


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def address(load):
    with serving(load("news", "topics", "answers", "roles", "choices", "tags")) as (_, address):
        yield address


@pytest.fixture
def visit(browser, address):
    """Open pages. At the end none of them may have complained or asked another address, but for what was expected."""
    opened = []

    def open_page(**settings):
        opened.append(Visit(browser, address, **settings))
        return opened[-1]

    yield open_page
    for one in opened:
        faults, requests = one.faults, one.requests
        one.context.close()
        assert faults == []
        assert requests and all(url.startswith(f"{address}/") for url in requests)


def marks(visit, name):
    return visit.card(name).locator("mark").count()


@pytest.mark.parametrize("size", SIZES)
def test_a_long_text_with_three_tasks(browser, load, size):
    assert len(LONG.split()) == 2000
    with serving(load("news", "topics", "tags")) as (_, address):
        visit = Visit(browser, address, size=size)
        start = time.monotonic()
        visit.annotate(LONG)
        seconds = time.monotonic() - start
        assert "2,000 words" in visit.page.inner_text("#status")
        answer = json_of(visit, "news")
        assert marks(visit, "news") == len(answer["entities"]) > 100
        shown = visit.card("tags").locator(".tokens > li").count()
        assert shown == 401  # and a button
        visit.card("tags").locator("button.more").click()
        assert visit.card("tags").locator(".tokens > li").count() > 1900
        assert visit.card("topics").locator(".share").count() == 2
        for name in ("common pass", "news", "topics", "tags"):
            assert visit.page.locator(".legend li", has_text=name).count() == 1
        assert visit.faults == [] and all(url.startswith(f"{address}/") for url in visit.requests)
        assert fits(visit)
        assert seconds < 30
        visit.context.close()


def code_of(visit, name, title):
    """Return the JSON or the Python of a task, which is opened if it is closed."""
    details = visit.card(name).locator("details", has=visit.page.locator(f'summary:has-text("{title}")'))
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.locator("pre:not(:empty)").wait_for()  # the event of opening comes a moment later
    return details.locator("pre").inner_text()


def json_of(visit, name):
    return json.loads(code_of(visit, name, "JSON"))


def fits(visit):
    return visit.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_every_kind_is_shown(visit):
    one = visit()
    one.annotate(TEXT, questions="who ?\nwhat ?", predicates="opens", choices="peter\nmary")
    assert one.card("news").locator("mark").all_inner_texts()[0].replace("\u00a0", " ").startswith("peter PER 0.9")
    assert one.card("topics").locator(".share.best .name").inner_text() == "work"
    assert one.card("answers").locator(".question").all_inner_texts() == ["who ?", "what ?"]
    assert one.card("answers").locator(".answer").first.inner_text().startswith("peter")
    assert one.card("roles").locator(".frame mark.predicate").inner_text().replace("\u00a0", " ") == "opens V"
    assert one.card("choices").locator(".share").count() == 2
    assert one.card("tags").locator(".line").first.inner_text() == "NN"
    assert "entit" in one.page.inner_text("#status")


def test_what_was_not_asked_says_so(visit):
    one = visit()
    one.annotate("peter")
    hints = [one.card(name).locator(".hint").inner_text() for name in ("answers", "roles", "choices")]
    assert hints == [
        "Ask a question about this text to have it answered.",
        "Name its predicates to see their roles.",
        "Type some choices to have one chosen.",
    ]


def test_the_threshold_hides_what_is_less_certain(visit):
    one = visit()
    one.annotate(f"{TEXT} and {OTHER}", predicates="opens")
    answer = json_of(one, "news")
    frames = json_of(one, "roles")["frames"]
    confidences = sorted(entity["confidence"] for entity in answer["entities"])
    threshold = round((confidences[0] + confidences[-1]) / 2, 2)
    assert confidences[0] < threshold < confidences[-1]
    asked = one.asked
    one.page.fill("#threshold", str(threshold))
    left = sum(confidence >= threshold for confidence in confidences)
    assert marks(one, "news") == left < len(confidences)
    roles = [role["confidence"] for frame in frames for role in frame["roles"]]
    roles += [1.0] * len(frames)  # the predicates, which were given
    hidden = len(confidences) - left + sum(confidence < threshold for confidence in roles)
    assert one.page.inner_text("#hidden-spans").startswith(f"{hidden} of {len(confidences) + len(roles)} spans")
    assert one.page.inner_text("#threshold-value") == f"{threshold:.2f}"
    assert len(json_of(one, "news")["entities"]) == len(confidences)  # of all, whatever is shown
    assert one.asked == asked  # nothing is computed again
    one.page.fill("#threshold", "0")
    assert marks(one, "news") == len(confidences)
    assert one.page.inner_text("#hidden-spans") == "All spans are shown."


def test_fast_inputs(visit):
    """Fifty of them, some slower than the wait, as somebody types: the last one wins, and most are never sent."""
    one = visit()
    for number in range(50):
        one.page.fill("#text", f"{LONG} number {number}")
        if number % 10 == 9:
            one.page.wait_for_timeout(300)
    one.until("document.querySelector('article .text')?.textContent.includes('number 49')")
    one.settle()
    assert one.asked <= 10
    assert json_of(one, "news") and "number 49" in one.card("news").locator(".text").inner_text()
    time.sleep(0.5)
    assert "number 49" in one.card("news").locator(".text").inner_text()


LATE_ANSWERS = """
const ask = window.fetch, delays = [3000, 2000, 1000, 0];
window.answered = 0;
window.fetch = async (url, given) => {
  if (url !== "annotate") return ask(url, given);
  const delay = delays.shift() ?? 0;
  const response = await ask(url, { ...given, signal: undefined });
  await new Promise((done) => setTimeout(done, delay));
  window.answered += 1;
  return response;
};
"""


def test_an_older_answer_never_follows_a_newer_one(visit):
    """Even if an abort comes too late."""
    one = visit(script=LATE_ANSWERS)
    for number in range(4):
        one.page.fill("#text", f"peter works {number}")
        one.page.wait_for_timeout(400)
    seen = set()
    for _ in range(40):
        seen.update(one.page.locator("article .text").all_inner_texts())
        one.page.wait_for_timeout(100)
    assert one.page.evaluate("window.answered") == 4
    assert seen and all("works 3" in text for text in seen)


@pytest.mark.parametrize("size", SIZES)
def test_planted_markup_is_shown_and_not_run(visit, size):
    one = visit(size=size)
    one.annotate(PLANTED, questions=f"{SCRIPT} who ?", predicates="opens", choices=f"{EVIL}\n{SCRIPT}")
    assert PLANTED in one.page.evaluate("""() => {
        const text = document.querySelector("article .text").cloneNode(true);
        text.querySelectorAll(".tag").forEach((tag) => tag.remove());
        return text.textContent.replaceAll("\\u00a0", "");
    }""")
    assert EVIL in one.card("news").inner_text()  # the label
    assert f"{SCRIPT} who ?" in one.card("answers").inner_text()
    assert EVIL in one.card("choices").inner_text()
    for name in ("news", "topics", "answers", "roles"):
        assert json.dumps(SCRIPT)[1:-1] in code_of(one, name, "Python")
        assert code_of(one, name, "JSON")
    one.page.wait_for_timeout(200)
    assert one.page.evaluate("window.planted") is None
    assert one.page.locator("main img, main script").count() == 0
    assert fits(one)


def test_no_script_can_be_added(visit):
    """The policy stops inline scripts, handlers and HTML made of texts."""
    one = visit()
    blocked = one.page.evaluate("""() => {
        const failed = [];
        try { document.body.innerHTML += "<p>"; } catch { failed.push("innerHTML"); }
        try {
            const script = document.createElement("script");
            script.textContent = "window.planted = 4";
            document.body.append(script);
        } catch { failed.push("script"); }
        return [failed, window.planted ?? null];
    }""")
    assert blocked == [["innerHTML", "script"], None]
    assert one.faults and all("Trusted" in fault for fault in one.faults)
    one.faults.clear()


def test_texts_that_are_too_long_are_not_sent(visit):
    one = visit()
    one.annotate("peter")
    asked = one.asked
    one.page.fill("#text", "a " * 10_001)
    one.page.wait_for_selector("#error .error")
    assert one.page.inner_text("#error") == (
        "This text has 20,002 characters, and the demo reads at most 20,000 characters. Shorten it."
    )
    assert one.asked == asked
    assert one.page.get_attribute("#text", "aria-invalid") == "true"
    assert one.page.locator("article").count() == 0  # nothing old is left below the error
    one.annotate("peter")
    assert one.page.inner_text("#error") == ""


def test_refusals_of_the_server(visit):
    one = visit()
    one.page.fill("#text", "(" * 2000)
    one.page.wait_for_selector("#error .error")
    assert "Expected shorter stretches without white space" in one.page.inner_text("#error")
    assert one.faults == ["Failed to load resource: the server responded with a status of 413 (Content Too Large)"] or (
        "413" in one.faults[0]
    )
    one.faults.clear()


def test_failures_of_the_server(visit, monkeypatch):
    one = visit()
    with monkeypatch.context() as patch:
        patch.setattr(application, "annotate", lambda *given: 1 / 0)
        one.page.fill("#text", "peter")
        one.page.wait_for_selector("#error .error")
    assert one.page.inner_text("#error") == "The service failed on this request; its log says why."
    assert len(one.faults) == 1 and "500" in one.faults.pop()
    one.annotate("peter works")


def test_a_task_that_fails(browser, load):
    loaded = load("news", "tags")
    loaded[0]._tasks["tags"].nlp.add_pipe("fails_on_paris", first=True)
    with serving(loaded) as (_, address):
        visit = Visit(browser, address)
        visit.annotate("peter in paris")
        assert visit.card("tags").locator(".error").inner_text().startswith("[P795] The pipeline 'tags' failed")
        assert visit.card("news").locator("mark").count() > 0
        assert "secret" not in visit.page.inner_text("body")
        visit.annotate("peter in london")
        assert visit.card("tags").locator(".error").count() == 0
        visit.context.close()


def test_a_server_that_has_gone(browser, load):
    with serving(load("news")) as (_, address):
        visit = Visit(browser, address)
        visit.annotate("peter")
    visit.page.fill("#text", "mary")
    visit.page.wait_for_selector("#error .error")
    assert visit.page.inner_text("#error") == "The demo does not answer. Is it still running in its terminal?"
    visit.context.close()


def test_a_busy_server_is_asked_again(visit):
    one = visit()
    answers = []

    def busy_twice(route):
        answers.append(route)
        if len(answers) <= 2:
            route.fulfill(status=503, json={"error": "busy"})
        else:
            route.fallback()

    one.page.route("**/annotate", busy_twice)
    one.annotate("peter works")
    assert len(answers) == 3
    assert one.page.inner_text("#error") == ""
    assert all("503" in fault for fault in one.faults)
    one.faults.clear()


def test_offsets_count_characters(visit):
    one = visit()
    text = "😀😀 שלום\tpeter opens the danish office in london 😀"
    one.annotate(text)
    entities = json_of(one, "news")["entities"]
    assert entities
    shown = [mark.split("\u00a0")[0] for mark in one.card("news").locator("mark").all_text_contents()]
    assert shown == [entity["text"] for entity in entities]


def test_json_and_python_stay_open_and_follow_the_text(visit):
    one = visit(permissions=["clipboard-read", "clipboard-write"])
    one.annotate("peter")
    assert 'doc = nlp("peter")' in code_of(one, "news", "Python")
    one.annotate("mary works")
    assert one.card("news").locator("details[open]").count() == 1
    assert 'doc = nlp("mary works")' in code_of(one, "news", "Python")
    one.card("news").locator("details[open] button").click()
    one.page.wait_for_selector('button:text-is("Copied")')
    assert one.page.evaluate("navigator.clipboard.readText()") == code_of(one, "news", "Python")


def test_examples(visit):
    one = visit()
    buttons = one.page.locator("#examples button")
    assert buttons.count() >= 4
    one.page.locator("#examples button", has_text="lighthouse").click()
    one.settle()
    assert "lighthouse" in one.page.input_value("#text")
    assert one.page.input_value("#questions").splitlines()[0] == "When was the lighthouse built?"
    assert one.card("answers").locator(".question").count() == 2
    one.page.locator("#examples button").first.click()
    one.until("document.querySelector('article .text').textContent.includes('Lovelace')")
    assert one.page.input_value("#questions") == ""


def test_an_empty_text_asks_for_one(visit):
    one = visit()
    one.annotate("peter")
    one.page.fill("#text", " \n ")
    one.until("document.getElementById('status').textContent.startsWith('Type a text')")
    assert one.page.locator("article").count() == 0


def test_with_the_keyboard_alone(visit):
    one = visit()
    press, focused = one.page.keyboard.press, lambda: one.page.evaluate("document.activeElement.id")
    press("Tab")
    assert one.page.evaluate("document.activeElement.className") == "skip"
    order = []
    for _ in range(5):
        press("Tab")
        order.append(focused())
    assert order == ["text", "questions", "choices", "predicates", ""]
    press("Enter")  # the first example
    one.settle()
    for _ in range(30):
        press("Tab")
        if focused() == "threshold":
            break
    press("End")
    assert one.page.inner_text("#threshold-value") == "1.00"
    assert marks(one, "news") == 0
    press("Home")
    assert marks(one, "news") > 0
    press("Tab")
    press("Enter")  # opens what has the focus, the Python of the first task
    assert one.page.locator("article details[open]").count() == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visit, size, scheme):
    from axe_playwright_python.sync_playwright import Axe

    one = visit(size=size, color_scheme=scheme, bypass_csp=True)
    checked = [faults_of(Axe().run(one.page))]
    one.annotate(f"{PLANTED} {OTHER}", questions="who ?", predicates="opens", choices="peter\nmary")
    for summary in one.page.locator("summary").all():
        summary.click()
    checked.append(faults_of(Axe().run(one.page)))
    one.page.fill("#text", "a " * 10_001)
    one.page.wait_for_selector("#error .error")
    checked.append(faults_of(Axe().run(one.page)))
    assert checked == [[], [], []]
    assert fits(one)


def faults_of(results):
    found = results.response["violations"]
    assert results.response["passes"]
    return [
        (fault["id"], [node["html"] for node in fault["nodes"]])
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]


def test_less_motion(visit):
    one = visit(reduced_motion="reduce")
    durations = one.page.evaluate(
        "[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).transitionDuration)"
    )
    assert set(durations) == {"0s"}


def test_without_scripts_the_page_says_so(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert "This page needs JavaScript" in page.inner_text("body")
    context.close()
