"""What the proxy refuses itself is a problem of the API's, whole; and it asks the service once."""

import json
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from resilience.clients import Client, statuses
from resilience.instances import behind_nginx
from resilience.nginx import SERVICE, nginx
from resilience.operations import in_trash, new_task
from rest.problems.types import PROBLEMS
from testing.programs import kill_tree, port_of_its_own, signal_tree, wait_for
from testing.raw_http import exchange, response
from testing.servers import Server
from todo_project.tests.bad_protocol import CLOSE, GET, HOST, message

ID = "X-Request-ID: a-1"
NOT_HTTP = "The request is not HTTP/1.1, or its first line or a header is longer than 16 KiB"
#: Failures of nginx itself, such as a full disk.
FAILING = {
    "location / {": "".join(f"location = /{n} {{ return {n}; }} " for n in (500, 501, 505, 507)) + "location / {"
}


@pytest.fixture(scope="module")
def proxy():
    """In front of nobody."""
    with nginx(port_of_its_own(), FAILING) as port:
        yield Server(port, 0)


def get(path, *headers):
    return message(f"GET {path} HTTP/1.1", HOST, ID, CLOSE, *headers)


def test_a_page_with_a_long_link_passes(database_url):
    """It names the search twice, and the title that the next page begins after."""
    titles = [f"{'買' * 190}{number}" for number in (1, 2)]
    with behind_nginx(database_url, WORKERS="1") as (port, _), Client(port) as client:
        created = [client.send("POST", "/api/tasks", {"title": title}).body for title in titles]
        page = client.send("GET", f"/api/tasks?limit=1&ordering=title&q={quote('買' * 150)}")
    assert (page.status, page.body) == (200, created[:1])
    assert len(page.headers["link"]) > 4096


@pytest.mark.parametrize(
    ("sent", "code", "instance", "detail"),
    [
        (message("nonsense", HOST), "validation_error", "/", NOT_HTTP),
        (message("GET /api/tasks HTTP/3.0", HOST), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, ID), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST, HOST, ID), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST, ID, "Content-Length: -1"), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST, ID, "Transfer-Encoding: x"), "validation_error", "/api/tasks", NOT_HTTP),
        (get("/api/tasks/../../../x"), "validation_error", "/api/tasks/../../../x", NOT_HTTP),
        (get(f"/api/tasks?q={'x' * 16_384}"), "validation_error", "/api/tasks", NOT_HTTP),
        (get("/api/tasks?limit=1", f"X-Long: {'x' * 16_384}"), "validation_error", "/api/tasks", NOT_HTTP),
        (get("/api/tasks", *[f"X-{n}: {'x' * 16_000}" for n in range(5)]), "validation_error", "/api/tasks", NOT_HTTP),
        (get("/501"), "validation_error", "/501", NOT_HTTP),
        (get("/505"), "validation_error", "/505", NOT_HTTP),
        (get("/api/tasks", "Content-Length: 2000000"), "payload_too_large", "/api/tasks", None),
        (get("/500"), "server_error", "/500", None),
        (get("/507"), "service_unavailable", "/507", None),
        (get("http://localhost/api/tasks?q=1"), "service_unavailable", "/api/tasks", None),
        (get("/api/tasks?q=1"), "service_unavailable", "/api/tasks", None),
        (get("/api/tasks/a,b;c=d@e:f!g"), "service_unavailable", "/api/tasks/a,b;c=d@e:f!g", None),
        (get('/api/"tasks'), "service_unavailable", "/", None),
    ],
)
def test_what_nginx_refuses_is_a_problem(proxy, sent, code, instance, detail):
    answer, body = response(exchange(proxy, sent))
    expected = PROBLEMS[code]
    problem = {
        "type": f"/problems/{code}",
        "title": expected.title,
        "status": expected.status_code,
        "detail": detail or expected.default_detail,
        "instance": instance,
        "code": code,
    }
    request_id = answer.getheader("X-Request-ID")
    assert re.fullmatch("a-1|[0-9a-f]{32}", request_id)
    if expected.status_code >= 500:
        problem["request_id"] = request_id
    assert (answer.status, json.loads(body)) == (expected.status_code, problem)
    assert {name: answer.getheader(name) for name in HEADERS} == {
        **HEADERS,
        "Retry-After": "1" if expected.status_code == 503 else None,
    }


HEADERS = {
    "Content-Type": "application/problem+json",
    "Cache-Control": "private, no-cache",
    "Vary": "Accept, Authorization",
    "X-Content-Type-Options": "nosniff",
    "Retry-After": None,
}


@pytest.fixture
def sleeping(postgresql, database_url):
    """How many deletes are under way. Each takes half a second, and is then done, whether or not anybody waits."""
    postgresql.execute(SLOW_DELETES, database_url.rpartition("/")[2])
    return lambda: postgresql.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")[0][0]


SLOW_DELETES = """
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE TRIGGER sleep AFTER UPDATE ON tasks_task FOR EACH ROW EXECUTE FUNCTION sleep();
"""


def deleted_while_an_instance_is_killed(url, sleeping, changes=None):
    """Four live tasks; the instance that deletes them all is killed when it has sent its statements."""
    with behind_nginx(url, changes, WORKERS="1") as (port, (killed, other)), ThreadPoolExecutor(4) as threads:
        with Client(port) as client:
            paths = [new_task(client) for _ in range(4)]
            signal_tree(other.process.pid, signal.SIGSTOP)
            answers = [threads.submit(delete, port, path) for path in paths]
            wait_for(lambda: sleeping() == 4, "all deletes are under way")
            kill_tree(killed.process.pid)
            signal_tree(other.process.pid, signal.SIGCONT)
            wait_for(lambda: sleeping() == 0, "all deletes are done")
            assert [client.send("GET", in_trash(path)).status for path in paths] == [200] * 4
        return statuses([answer.result() for answer in answers])


def delete(port, path):
    with Client(port) as client:
        return client.send("DELETE", path)


def test_no_delete_that_was_carried_out_is_answered_with_404(database_url, sleeping, figure):
    seen = deleted_while_an_instance_is_killed(database_url, sleeping)
    figure(f"{dict(seen)}")
    assert seen == {503: 4}


def test_control_a_delete_that_is_sent_again_is_answered_with_404(database_url, sleeping, figure):
    twice = {
        f"server {SERVICE} max_conns=128 max_fails=0;": 2 * f"server {SERVICE} max_fails=0; ",
        "proxy_next_upstream off;": "proxy_next_upstream error;",
    }
    seen = deleted_while_an_instance_is_killed(database_url, sleeping, twice)
    figure(f"{dict(seen)}")
    assert seen == {404: 4}


def test_trace_is_answered_by_the_service(database_url):
    with behind_nginx(database_url, WORKERS="1") as (port, _), Client(port) as client:
        answers = [client.send("TRACE", "/api/tasks"), client.send("BREW", "/api/tasks")]
    trace, brew = ({name: value for name, value in each.headers.items() if name not in OWN} for each in answers)
    assert (trace, answers[0].body) == (brew, answers[1].body)
    assert (answers[0].status, trace["allow"]) == (405, "GET, POST, HEAD, OPTIONS")


#: Each answer's own.
OWN = ("date", "x-request-id", "connection")
