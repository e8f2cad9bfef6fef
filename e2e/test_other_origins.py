"""Pages of other origins against single-user mode, in a browser."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from testing.servers import running_service

PAGE = """
<!doctype html>
<form method="post" action="{url}/toggle"><button>Win a prize</button></form>
<a href="{url}">Read on</a>
"""
FETCH = """
async ([url, method, mode]) => {
  try {
    const response = await fetch(url, {method, mode});
    return [response.type, response.status];
  } catch (error) {
    return [error.name];
  }
}
"""

ALLOWED = "localhost"
#: The host of the service, which is another origin on another port, and a host of another site. Both are this machine.
FOREIGN = ["127.0.0.1", "evil.localhost"]


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Serve the files of a directory on another port than the service, and yield the directory and the port."""
    directory = tmp_path_factory.mktemp("pages")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=directory))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield directory, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def server(database_url, pages):
    """Yield the service, which allows the pages of one other origin."""
    with running_service(database_url, WORKERS="1", CORS_ALLOWED_ORIGINS=f"http://{ALLOWED}:{pages[1]}") as server:
        yield server


@pytest.fixture
def task_url(browser, server):
    """Return the URL of a new task."""
    context = browser.new_context()
    created = context.request.post(f"{server.url}/api/tasks", data={"title": "Buy milk"})
    yield f"{server.url}{created.headers['location']}"
    context.close()


@pytest.fixture
def version_of(browser):
    """Return a function that reads a task's version with a request that no page sends."""
    context = browser.new_context()
    yield lambda url: context.request.get(url).json()["version"]
    context.close()


@pytest.fixture
def open_foreign(browser, pages, task_url):
    """Return a function that opens the page of another host."""
    directory, port = pages
    (directory / "index.html").write_text(PAGE.format(url=task_url))
    context = browser.new_context()

    def open_page(host):
        page = context.new_page()
        page.goto(f"http://{host}:{port}/")
        return page

    yield open_page
    context.close()


def answer_of(page, url, act):
    """Call ``act``, which makes the page send a request to ``url``, and return the status of the response."""
    with page.expect_response(url) as answer:
        act()
    return answer.value.status


@pytest.mark.parametrize("host", FOREIGN)
def test_page_of_another_origin_changes_and_reads_nothing(open_foreign, task_url, version_of, host):
    page = open_foreign(host)
    toggle, search = f"{task_url}/toggle", f"{task_url.rpartition('/')[0]}?q=milk"
    assert answer_of(page, toggle, lambda: page.evaluate(FETCH, [toggle, "POST", "no-cors"])) == 403
    assert answer_of(page, search, lambda: page.evaluate(FETCH, [search, "GET", "no-cors"])) == 403
    assert page.evaluate(FETCH, [search, "GET", "cors"]) == ["TypeError"]
    assert answer_of(page, task_url, page.get_by_role("link", name="Read on").click) == 403
    page = open_foreign(host)
    assert answer_of(page, toggle, page.get_by_role("button", name="Win a prize").click) == 403
    assert version_of(task_url) == 1


def test_control_without_refusal_page_toggles(open_foreign, task_url, version_of):
    """The setting allows the page's origin, so that the rule does not apply."""
    page = open_foreign(ALLOWED)
    toggle = f"{task_url}/toggle"
    assert answer_of(page, toggle, lambda: page.evaluate(FETCH, [toggle, "POST", "no-cors"])) == 200
    assert page.evaluate(FETCH, [toggle, "POST", "cors"]) == ["cors", 200]
    assert answer_of(page, toggle, page.get_by_role("button", name="Win a prize").click) == 200
    assert version_of(task_url) == 4


def test_page_of_the_service_toggles_and_searches(open_page, task_url, version_of):
    page = open_page("/api/docs")
    assert page.evaluate(FETCH, [f"{task_url}/toggle", "POST", "cors"]) == ["basic", 200]
    assert page.evaluate(FETCH, [f"{task_url.rpartition('/')[0]}?q=milk", "GET", "cors"]) == ["basic", 200]
    assert version_of(task_url) == 2
