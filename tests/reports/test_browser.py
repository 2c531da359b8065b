"""The page in a real browser: nothing planted runs, nothing is loaded or said, and axe finds nothing serious."""

import pytest

from ..demo.browsing import chromium
from .test_training_report import run

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(training, gold, tmp_path_factory):
    """The page, opened without network, and everything that the browser said or asked for."""
    folder = tmp_path_factory.mktemp("browser")
    run(training, folder / "page.html", "--test", gold)
    said = []
    with chromium() as browser:
        context = browser.new_context(offline=True)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if not request.url.startswith("data:") else None)
        page.goto((folder / "page.html").as_uri())
        yield page, said, (folder / "page.html").as_uri()
        context.close()


def test_nothing_planted_runs_and_nothing_is_asked_for(opened):
    page, said, address = opened
    assert page.evaluate("window.ran") is None
    assert said == [address]
    assert page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_the_filter_by_keyboard(opened):
    page, _, _ = opened
    items = page.locator("ol.errors > li")
    everything = items.count()
    kinds = page.locator("form.filter select[name=kind]")
    kinds.focus()
    page.keyboard.press("ArrowDown")  # the first kind
    page.keyboard.press("Enter")
    kind = kinds.input_value()
    shown = items.locator("visible=true")
    matching = page.locator(f'ol.errors > li[data-topics*="{kind}:"]').count()
    assert kind and shown.count() == matching <= everything
    assert page.locator("form.filter output").inner_text() == f"{matching} shown"
    kinds.select_option("")
    assert shown.count() == everything


def test_axe_finds_nothing_serious(opened):
    from axe_playwright_python.sync_playwright import Axe

    page, _, _ = opened
    found = Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"]) for one in found if one["impact"] in ("serious", "critical")] == []
