"""The proxy's own rejections are whole problems, and the proxy sends each request to the service once."""

import signal
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from resilience.instances import serve_behind_nginx
from resilience.nginx import SERVICE_ADDRESS, run_nginx
from resilience.operations import trash_path
from resilience.rejections import REQUEST_ID, check_rejection, get
from testing.api_clients import RecordingClient, count_statuses, create_task
from testing.ports import free_port
from testing.process_tree import kill_tree, signal_tree
from testing.raw_http import exchange, parse_response
from testing.servers import Server
from testing.waiting import wait_for
from todo_project.tests.bad_protocol import BODY, CHUNKED, CLOSE, GET, HOST_HEADER, JSON, POST, message

NOT_HTTP = "The request is not HTTP/1.1"

#: Paths that make nginx answer with a status of its own failures, such as a full disk.
FAILURES = "".join(f"location = /{status} {{ return {status}; }} " for status in (500, 501, 505, 507))

ADMIN_BODY = "The body is larger than 1 MiB"
BULK_BODY = "The body is larger than 512 KiB"


@pytest.fixture(scope="module")
def proxy_without_service():
    with run_nginx(free_port(), {"location / {": f"{FAILURES} location / {{"}) as port:
        yield Server(port, 0)


def test_page_with_long_link_passes_proxy(database_url):
    """The link contains the search twice and the title of the last task."""
    titles = [f"{'買' * 190}{number}" for number in (1, 2)]
    with serve_behind_nginx(database_url, WORKERS="1") as (port, _), RecordingClient(port) as client:
        created = [client.send("POST", "/api/tasks", {"title": title}).body for title in titles]
        page = client.send("GET", f"/api/tasks?limit=1&ordering=title&q={quote('買' * 190)}")
    assert (page.status, page.body) == (200, created[:1])
    assert len(page.headers["link"]) > 4096


@pytest.mark.parametrize(
    ("request_bytes", "code", "instance", "detail"),
    [
        (message("nonsense", HOST_HEADER), "validation_error", "/", NOT_HTTP),
        (message("GET /api/tasks HTTP/3.0", HOST_HEADER), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, REQUEST_ID), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST_HEADER, HOST_HEADER, REQUEST_ID), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST_HEADER, REQUEST_ID, "Content-Length: -1"), "validation_error", "/api/tasks", NOT_HTTP),
        (message(GET, HOST_HEADER, REQUEST_ID, "Transfer-Encoding: x"), "validation_error", "/api/tasks", NOT_HTTP),
        (get("/api/tasks/../../../x"), "validation_error", "/api/tasks/../../../x", NOT_HTTP),
        (get(f"/api/tasks?q={'x' * 26_000}"), "header_fields_too_large", "/api/tasks", None),
        (get("/api/tasks?limit=1", f"X-Long: {'x' * 26_000}"), "header_fields_too_large", "/api/tasks", None),
        (
            get("/api/tasks", *[f"X-{n}: {'x' * 16_000}" for n in range(5)]),
            "header_fields_too_large",
            "/api/tasks",
            None,
        ),
        (get("/501"), "validation_error", "/501", NOT_HTTP),
        (get("/505"), "validation_error", "/505", NOT_HTTP),
        (get("/api/tasks", "Content-Length: 700000"), "payload_too_large", "/api/tasks", None),
        (get("/api/tasks/bulk", "Content-Length: 700000"), "payload_too_large", "/api/tasks/bulk", BULK_BODY),
        (get("/admin/login/", "Content-Length: 2000000"), "payload_too_large", "/admin/login/", ADMIN_BODY),
        (get("/500"), "server_error", "/500", None),
        (get("/507"), "service_unavailable", "/507", None),
        (get("http://localhost/api/tasks?q=1"), "service_unavailable", "/api/tasks", None),
        (get("/api/tasks?q=1"), "service_unavailable", "/api/tasks", None),
        (get("/api/tasks/a,b;c=d@e:f!g"), "service_unavailable", "/api/tasks/a,b;c=d@e:f!g", None),
        (get('/api/"tasks'), "service_unavailable", "/", None),
    ],
    ids=[
        "no request line",
        "HTTP/3.0",
        "no Host",
        "two Hosts",
        "negative length",
        "unknown transfer encoding",
        "path above the root",
        "long query",
        "long header",
        "many long headers",
        "501",
        "505",
        "large body",
        "large bulk",
        "large body for the admin",
        "500",
        "507",
        "absolute URL",
        "no service",
        "punctuation in the path",
        "quote in the path",
    ],
)
def test_rejection_by_proxy_is_a_problem(proxy_without_service, request_bytes, code, instance, detail):
    check_rejection(proxy_without_service, request_bytes, code, instance, detail)


CUT_CHUNKS = [
    pytest.param(b"e\r\n" + BODY + b"\r\n", b"", id="no last chunk"),
    pytest.param(b"e\r\n" + BODY + b"\r\nzz\r\n\r\n", 400, id="a size that is not a number after the first chunk"),
]


def post_chunks(port, chunks):
    """Send a whole task in a chunked body that does not end, and return the status, if any."""
    request = message(POST, HOST_HEADER, CLOSE, JSON, CHUNKED, body=chunks)
    received = exchange(Server(port, 0), request, half_close=True)
    return received and parse_response(received)[0].status


@pytest.mark.parametrize(("chunks", "status"), CUT_CHUNKS)
def test_cut_chunked_body_is_refused_by_proxy(database_url, chunks, status):
    with serve_behind_nginx(database_url, WORKERS="1") as (port, _):
        assert post_chunks(port, chunks) == status
        assert Server(port, 0).get("/api/tasks") == (200, b"[]")


@pytest.mark.parametrize(("chunks", "status"), CUT_CHUNKS)
def test_control_without_proxy_cut_body_is_accepted(server, chunks, status):
    """Granian tells the service that the body has ended, as after the last chunk."""
    assert post_chunks(server.port, chunks) == 201


SLOW_DELETES = """
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END';
CREATE TRIGGER sleep AFTER UPDATE ON tasks_task FOR EACH ROW EXECUTE FUNCTION sleep();
"""


@pytest.fixture
def delete_during_kill(postgresql, database_name, database_url):
    """Return a function that kills an instance during four deletes, and counts the clients' statuses.

    PostgreSQL completes the slow deletes, whether or not a client still waits.
    """
    postgresql.execute(SLOW_DELETES, database_name)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

    def delete(port, path):
        with RecordingClient(port) as client:
            return client.send("DELETE", path)

    def delete_during_kill(replacements=None):
        # Without this setting, two of the four deletes would wait for the others.
        serving = serve_behind_nginx(database_url, replacements, WORKERS="1", MAX_CONCURRENT_PER_USER="4")
        with serving as (port, (killed, other)), ThreadPoolExecutor(4) as threads:
            with RecordingClient(port) as client:
                paths = [create_task(client) for _ in range(4)]
                signal_tree(other.process.pid, signal.SIGSTOP)
                deletes = [threads.submit(delete, port, path) for path in paths]
                wait_for(lambda: postgresql.execute(sleeping) == [(4,)], "all deletes are under way")
                kill_tree(killed.process.pid)
                signal_tree(other.process.pid, signal.SIGCONT)
                wait_for(lambda: postgresql.execute(sleeping) == [(0,)], "all deletes are done")
                assert [client.send("GET", trash_path(path)).status for path in paths] == [200] * 4
            return count_statuses([delete.result() for delete in deletes])

    return delete_during_kill


def test_completed_delete_of_killed_instance_is_no_404(delete_during_kill, report_result):
    statuses = delete_during_kill()
    report_result(dict(statuses))
    assert statuses == {503: 4}


def test_control_without_single_attempt_delete_returns_404(delete_during_kill, report_result):
    statuses = delete_during_kill(
        {
            f"server {SERVICE_ADDRESS} max_conns=128 max_fails=0;": 2 * f"server {SERVICE_ADDRESS} max_fails=0; ",
            "proxy_next_upstream off;": "proxy_next_upstream error;",
        }
    )
    report_result(dict(statuses))
    assert statuses == {404: 4}


def test_trace_through_proxy_is_answered_by_service(database_url):
    """The response equals that to any other method that the API does not have."""
    varying = ("date", "x-request-id", "connection")
    with serve_behind_nginx(database_url, WORKERS="1") as (port, _), RecordingClient(port) as client:
        trace, brew = client.send("TRACE", "/api/tasks"), client.send("BREW", "/api/tasks")
    trace_headers, brew_headers = (
        {name: value for name, value in record.headers.items() if name not in varying} for record in (trace, brew)
    )
    assert (trace_headers, trace.body) == (brew_headers, brew.body)
    assert (trace.status, trace_headers["allow"]) == (405, "GET, POST, HEAD, OPTIONS")
