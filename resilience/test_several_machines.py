"""HAProxy in front of two app machines: only requests that a lost machine had accepted fail."""

import signal
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import HTTPSConnection

import psycopg
import pytest

from resilience.haproxy import CELLS, ONE_SERVICE, check_configuration, run_haproxy
from resilience.instances import serve_behind_haproxy, start_instances
from resilience.limits import CLIENTS
from resilience.nginx import SERVICE_ADDRESS, run_nginx
from resilience.operations import create_and_change, trash_path
from resilience.rejections import REQUEST_ID, check_rejection, get
from testing.api_clients import BackgroundClients, RecordingClient, count_statuses, create_task, summarize
from testing.ports import HOST, client_address, free_port, is_open
from testing.process_tree import kill_tree, signal_tree
from testing.raw_http import exchange, parse_response
from testing.servers import Server
from testing.waiting import wait_for
from todo_project.tests.bad_protocol import CLOSE, GET, HOST_HEADER, message

#: The servers of ``deploy/nginx.conf``, if an operator adds the second machine there.
NGINX_SERVER = f"server {SERVICE_ADDRESS} max_conns=128 max_fails=0;"


@pytest.mark.parametrize("configuration", [ONE_SERVICE, CELLS], ids=["one service", "cells"])
def test_haproxy_accepts_shipped_configuration(configuration):
    assert check_configuration(configuration) == (0, "")


def kill(instance):
    kill_tree(instance.process.pid)
    instance.process.wait()
    wait_for(lambda: not is_open(instance.port), "no thread of the killed processes holds the socket")


@contextmanager
def killed(instance):
    """Kill an instance."""
    kill(instance)
    yield


@contextmanager
def frozen(instance):
    """Freeze an instance until the end."""
    signal_tree(instance.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_tree(instance.process.pid, signal.SIGCONT)


def failed(clients, since=0):
    """Return the requests that clients started after ``since``, and that failed."""
    return [record for record in clients.records if record.status not in (200, 201) and record.start > since]


def wait_until_served(clients):
    now = time.monotonic()
    wait_for(lambda: clients.all_received(now, 200, 201), "every client is served")


def check_problems(records):
    """Check that each failed request got the whole problem of a 503."""
    for record in records:
        assert (record.status, record.headers["retry-after"]) == (503, "1")
        assert record.body == {
            "type": "/problems/service_unavailable",
            "title": "Service Unavailable",
            "status": 503,
            "detail": "The service cannot answer for the moment",
            "instance": record.path,
            "code": "service_unavailable",
            "request_id": record.headers["x-request-id"],
        }


@pytest.mark.parametrize("lost", [killed, frozen])
def test_lost_machine_fails_only_accepted_requests(database_url, report_result, lost):
    """A killed machine has at most one request of each client; so has a frozen one until its check fails."""
    serving = serve_behind_haproxy(database_url, {"set-timeout server 10s": "set-timeout server 5s"})
    with serving as (proxy, (instance, _)), BackgroundClients(proxy.port, CLIENTS, create_and_change) as clients:
        wait_until_served(clients)
        with lost(instance):
            lost_time = time.monotonic()
            wait_for(lambda: proxy.server_states()["app1"] == "DOWN", "the check has failed")
            down_time = time.monotonic()
            wait_until_served(clients)
    failures = failed(clients)
    report_result(f"{len(failures)} failed; {summarize(clients.records)}")
    check_problems(failures)
    assert len(failures) <= CLIENTS
    assert failed(clients, lost_time if lost is killed else down_time) == []


@contextmanager
def serve_behind_two_nginx_servers(url):
    with ExitStack() as stack:
        instances = start_instances(url, stack)
        servers = "".join(NGINX_SERVER.replace(SERVICE_ADDRESS, f"{HOST}:{each.port}") for each in instances)
        yield stack.enter_context(run_nginx(instances[0].port, {NGINX_SERVER: servers})), instances


@pytest.mark.parametrize("lost", [killed, frozen])
def test_control_without_haproxy_more_requests_fail(database_url, report_result, lost):
    """The lost machine still gets requests from nginx."""
    serving = serve_behind_two_nginx_servers(database_url)
    with serving as (port, (instance, _)), BackgroundClients(port, CLIENTS, create_and_change, timeout=2) as clients:
        wait_until_served(clients)
        with lost(instance):
            lost_time = time.monotonic()
            wait_for(lambda: len(failed(clients, lost_time)) > CLIENTS, "more fail than were under way")
            records = [record for record in clients.records if record.start > lost_time]
    report_result(summarize(records))


def test_https_is_served_and_http_refused(database_url):
    """HAProxy compresses the list, and leaves the strong ``ETag`` of a task as it is."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    serving = serve_behind_haproxy(database_url, HTTPS="on")
    with serving as (proxy, _), RecordingClient(proxy.port) as http, RecordingClient(proxy.tls_port) as https:
        https.connection = HTTPSConnection(HOST, proxy.tls_port, context=context)
        refused = http.send("GET", "/api/tasks")
        path = create_task(https)
        task, tasks = (https.send("GET", each, Accept_Encoding="gzip") for each in (path, "/api/tasks"))
    assert (refused.status, refused.body["code"]) == (403, "permission_denied")
    assert (tasks.body, tasks.headers["content-encoding"]) == ([task.body], "gzip")
    assert (task.headers["etag"], task.headers.get("content-encoding")) == ('"1"', None)


WAITING_DELETES = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
CREATE TRIGGER wait AFTER UPDATE ON tasks_task FOR EACH ROW EXECUTE FUNCTION wait();
"""


@pytest.fixture
def delete_during_kill(postgresql, database_name, database_url):
    """Return a function that kills one of two machines during four deletes, and counts the statuses.

    PostgreSQL completes the deletes after the kill, whether or not a client still waits.
    """
    postgresql.execute(WAITING_DELETES, database_name)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"

    def delete(port, number, path):
        with RecordingClient(port, address=client_address(number)) as client:
            return client.send("DELETE", path)

    def delete_during_kill(replacements=None):
        serving = serve_behind_haproxy(database_url, replacements, DB_ANSWER_TIMEOUT="9")
        with serving as (proxy, (instance, _)), ThreadPoolExecutor(4) as threads, RecordingClient(proxy.port) as client:
            paths = [create_task(client) for _ in range(4)]
            with psycopg.connect(postgresql.url(database_name)) as connection:
                connection.execute("SELECT pg_advisory_lock(1)")
                deletes = [threads.submit(delete, proxy.port, *each) for each in enumerate(paths)]
                wait_for(lambda: postgresql.execute(waiting) == [(4,)], "all deletes are under way")
                kill(instance)
            statuses = count_statuses([delete.result() for delete in deletes])
            trashed = [trash_path(path) for path in paths]
            wait_for(lambda: all(client.send("GET", path).status == 200 for path in trashed), "all deletes are done")
        return statuses

    return delete_during_kill


def test_completed_delete_of_killed_machine_is_no_404(delete_during_kill, report_result):
    statuses = delete_during_kill()
    report_result(dict(statuses))
    assert statuses == {200: 2, 503: 2}


def test_control_without_single_attempt_delete_gets_404(delete_during_kill, report_result):
    statuses = delete_during_kill({"retry-on conn-failure": "retry-on conn-failure empty-response"})
    report_result(dict(statuses))
    assert statuses == {200: 2, 404: 2}


@pytest.fixture(scope="module")
def proxy_without_service():
    addresses = {f"10.0.0.1{each}:8001": f"{HOST}:{free_port()}" for each in (1, 2)}
    with run_haproxy(ONE_SERVICE, addresses) as proxy:
        yield Server(proxy.port, 0)


@pytest.mark.parametrize(
    ("request_bytes", "code", "instance", "detail"),
    [
        (get(f"/api/tasks?q={'x' * 26_000}"), "header_fields_too_large", "/api/tasks", None),
        (
            get("/api/tasks", *[f"X-{n}: {'x' * 16_000}" for n in range(5)]),
            "header_fields_too_large",
            "/api/tasks",
            None,
        ),
        (get("/api/tasks", "Content-Length: 700000"), "payload_too_large", "/api/tasks", None),
        (
            get("/api/tasks/bulk", "Content-Length: 700000"),
            "payload_too_large",
            "/api/tasks/bulk",
            "The body is larger than 512 KiB",
        ),
        (
            get("/admin/login/", "Content-Length: 2000000"),
            "payload_too_large",
            "/admin/login/",
            "The body is larger than 1 MiB",
        ),
        (message(GET, HOST_HEADER, "X-Request-ID: a b", CLOSE), "service_unavailable", "/api/tasks", None),
        (get("http://localhost/api/tasks?q=1"), "service_unavailable", "/api/tasks", None),
        (get("/api/tasks/a,b;c=d@e:f!g"), "service_unavailable", "/api/tasks/a,b;c=d@e:f!g", None),
        (get("/api/tasks/[1]"), "service_unavailable", "/", None),
    ],
    ids=[
        "long query",
        "long headers",
        "large body",
        "large bulk",
        "large body for the admin",
        "invalid request id",
        "absolute URL",
        "punctuation in the path",
        "bracket in the path",
    ],
)
def test_rejection_by_haproxy_is_a_problem(proxy_without_service, request_bytes, code, instance, detail):
    check_rejection(proxy_without_service, request_bytes, code, instance, detail)


def test_headers_of_client_are_replaced_by_haproxy():
    servers = "    server app1 10.0.0.11:8001\n    server app2 10.0.0.12:8001\n"
    names = ("X_Forwarded_For", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-ID")
    headers = ", ".join(f"%[req.hdr({name})]" for name in names)
    echo = f'    http-request return status 200 content-type text/plain lf-string "{headers}"\n'
    forged = ["X_Forwarded_For: 10.1.1.1", "X-Forwarded-For: 10.1.1.1", "X-Forwarded-Proto: https"]
    with run_haproxy(ONE_SERVICE, {servers: echo}) as proxy:
        received = exchange(Server(proxy.port, 0), message(GET, HOST_HEADER, REQUEST_ID, *forged, CLOSE))
    assert parse_response(received)[1].decode() == f", {HOST}, http, a-1"


def test_malformed_request_gets_page_of_haproxy(proxy_without_service):
    """HAProxy 2.6 ignores ``errorfile`` and ``http-error`` for a request that it cannot parse."""
    response, body = parse_response(exchange(proxy_without_service, message("nonsense", HOST_HEADER, REQUEST_ID)))
    assert (response.status, response.getheader("Content-Type")) == (400, "text/html")
    assert b"Your browser sent an invalid request." in body
