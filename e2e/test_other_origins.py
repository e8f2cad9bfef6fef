"""Pages of other origins against single-user mode, in a browser."""

import json
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import urlsplit

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
    """Serve the files of a directory on a port of its own, and yield the directory and the port."""
    directory = tmp_path_factory.mktemp("pages")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=directory))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield directory, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Return the file of the service's log."""
    return tmp_path_factory.mktemp("log") / "log"


@pytest.fixture(scope="module")
def server(database_url, pages, log):
    """Yield the service, which allows the pages of one other origin."""
    variables = {"ACCESS_LOG": "on", "LOG_LEVEL": "INFO", "CORS_ALLOWED_ORIGINS": f"http://{ALLOWED}:{pages[1]}"}
    with log.open("wb") as file, running_service(database_url, log=file, WORKERS="1", **variables) as server:
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


@pytest.fixture
def answers(log, task_url):
    """Return a function that reads the API's answers since the creation of the task from the access log.

    The browser itself hides them: ``Cross-Origin-Resource-Policy`` blocks every answer to a request without CORS.
    """
    start = len(log.read_text().splitlines())

    def read():
        events = map(json.loads, log.read_text().splitlines()[start:])
        events = [event for event in events if event["logger"] == "todo_project.access"]
        return [event["message"] for event in events if event["path"].startswith("/api/")]

    return read


def click(page, role, name, url):
    """Click an element that leads to ``url``, and return the status of the response."""
    with page.expect_response(url) as response:
        page.get_by_role(role, name=name).click()
    return response.value.status


@pytest.mark.parametrize("host", FOREIGN)
def test_page_of_another_origin_changes_and_reads_nothing(open_foreign, task_url, answers, version_of, host):
    page = open_foreign(host)
    toggle, search = f"{task_url}/toggle", f"{task_url.rpartition('/')[0]}?q=milk"
    assert page.evaluate(FETCH, [toggle, "POST", "no-cors"]) == ["TypeError"]
    assert page.evaluate(FETCH, [search, "GET", "no-cors"]) == ["TypeError"]
    assert page.evaluate(FETCH, [search, "GET", "cors"]) == ["TypeError"]
    assert click(page, "link", "Read on", task_url) == 403
    assert click(open_foreign(host), "button", "Win a prize", toggle) == 403
    path = urlsplit(task_url).path
    post = f"POST {path}/toggle 403"
    assert answers() == [post, "GET /api/tasks 403", "GET /api/tasks 403", f"GET {path} 403", post]
    assert version_of(task_url) == 1


def test_control_without_refusal_page_toggles(open_foreign, task_url, answers, version_of):
    """The setting allows the page's origin, so that the rule does not apply."""
    page = open_foreign(ALLOWED)
    toggle = f"{task_url}/toggle"
    assert page.evaluate(FETCH, [toggle, "POST", "no-cors"]) == ["TypeError"]
    assert page.evaluate(FETCH, [toggle, "POST", "cors"]) == ["cors", 200]
    assert click(page, "button", "Win a prize", toggle) == 200
    assert answers() == 3 * [f"POST {urlsplit(toggle).path} 200"]
    assert version_of(task_url) == 4


def test_page_of_the_service_toggles_and_searches(open_page, task_url, version_of):
    page = open_page("/api/docs")
    assert page.evaluate(FETCH, [f"{task_url}/toggle", "POST", "cors"]) == ["basic", 200]
    assert page.evaluate(FETCH, [f"{task_url.rpartition('/')[0]}?q=milk", "GET", "cors"]) == ["basic", 200]
    assert version_of(task_url) == 2
