"""A browser that opens the pages of the running service."""

import shutil

import pytest
from playwright.sync_api import expect, sync_playwright

TIMEOUT = 30_000  # ms, because pages take seconds on a busy machine
expect.set_options(timeout=TIMEOUT)

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("NOT TESTED IN A BROWSER: install Chromium (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints():
    """Return the list of errors on the console of pages, and of requests to other hosts."""
    return []


@pytest.fixture
def open_page(browser, server, complaints):
    """Open a page of the service with options of a browser context, and refuse complaints at the end."""
    contexts = []

    def listen(page):
        page.on("console", lambda line: line.type == "error" and complaints.append(f"{line.text} {line.location}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: _is_foreign(request.url, server.url) and complaints.append(request.url))

    def open_page(path="/", **options):
        context = browser.new_context(base_url=server.url, **{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(TIMEOUT)
        page = context.new_page()
        listen(page)
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_foreign(url, own_url):
    return not url.startswith((f"{own_url}/", "data:", "blob:"))
