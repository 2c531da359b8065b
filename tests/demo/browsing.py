"""A server in a thread, and pages of a headless Chromium that notice what they should not see."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from spacy_ptv2.demo.app import create_app
from spacy_ptv2.demo.server import address_of, listen

from ..conftest import CHROMIUM

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZES = {"wide": (1280, 900), "narrow": (400, 860)}


@contextmanager
def serving(loaded):
    """Serve tasks. YIELDS: The server and its address."""
    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(create_app(*loaded, "127.0.0.1"), log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield server, address_of(listening)
    finally:
        server.should_exit = True
        thread.join(30)
        listening.close()
        assert not thread.is_alive()


@contextmanager
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield browser
        browser.close()


class Visit:
    """A page in a fresh profile. faults: Errors of its console and its scripts. requests: Addresses that it asked."""

    def __init__(self, browser, address, size="wide", script=None, **context):
        width, height = SIZES[size]
        self.context = browser.new_context(viewport={"width": width, "height": height}, **context)
        self.context.set_default_timeout(60_000)
        self.faults, self.requests = [], []
        self.page = self.context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("dialog", lambda dialog: self.faults.append(dialog.message) or dialog.dismiss())
        self.context.on("request", lambda request: self.requests.append(request.url))
        if script:
            self.page.add_init_script(script)
        self.page.goto(address)
        self.page.wait_for_selector("#examples button")

    @property
    def asked(self):
        """How many texts were sent."""
        return sum(url.endswith("/annotate") for url in self.requests)

    def annotate(self, text, **fields):
        """Type a text, and wait until its annotations are there."""
        self.page.evaluate("document.getElementById('status').textContent = ''")
        for name, value in fields.items():
            self.page.fill(f"#{name}", value)
        self.page.fill("#text", text)
        self.settle()

    def settle(self):
        self.until(
            "/ words? in /.test(document.getElementById('status').textContent)"
            " && document.getElementById('results').getAttribute('aria-busy') === 'false'"
        )

    def until(self, condition):
        """Wait until a condition holds. Playwright's own `wait_for_function` needs eval, which the page forbids."""
        end = time.monotonic() + 60
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, condition
            self.page.wait_for_timeout(20)

    def card(self, name):
        return self.page.locator("article", has=self.page.locator(f'h3:text-is("{name}")'))
