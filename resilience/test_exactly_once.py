"""A request with an ``Idempotency-Key`` is carried out once, however often the client sends it."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from resilience.limits import CLIENTS
from resilience.operations import create_trashed_task, trash_path
from testing.api_clients import RecordingClient, create_task
from testing.pgbouncer import running_pgbouncer
from testing.ports import HOST
from testing.servers import running_service
from testing.waiting import wait_for

WRITES = CLIENTS * 15
SIMULTANEOUS_CLIENTS = 50


@pytest.fixture(params=["direct", "pgbouncer"])
def server(request, postgresql, database_url, database_name):
    """Serve the project, directly on PostgreSQL or through PgBouncer."""
    variables = {"WORKERS": "2", "LOG_LEVEL": "CRITICAL"}
    if request.param == "direct":
        with running_service(database_url, **variables) as server:
            yield server
        return
    with running_pgbouncer(HOST, postgresql.port, role="todo") as port:
        url = f"postgresql://todo@{HOST}:{port}/{database_name}"
        with running_service(url, **variables, DB_POOLER="transaction") as server:
            yield server


def send_until_answered(port, method, path, body=None, **headers):
    """Send a request and disconnect too early, then send the same request until a response arrives."""
    with RecordingClient(port, timeout=0.004) as impatient:
        impatient.send(method, path, body, **headers)
    with RecordingClient(port) as client:
        records = []

        def is_answered():
            records.append(client.send(method, path, body, **headers))
            return not records[-1].outcome_unknown

        wait_for(is_answered, "the request is answered")
    return records[-1]


def count_writes(server, with_key, cause_fault=lambda: None):
    """Return how many creates and toggles were answered, and how many were carried out."""
    title = uuid4().hex
    with RecordingClient(server.port) as client:
        path = create_task(client)

    def create_and_toggle(_):
        for target, body in (("/api/tasks", {"title": title}), (f"{path}/toggle", None)):
            headers = {"Idempotency-Key": str(uuid4())} if with_key else {}
            yield send_until_answered(server.port, "POST", target, body, **headers)

    with ThreadPoolExecutor(CLIENTS) as threads:
        writes = [threads.submit(lambda n: list(create_and_toggle(n)), number) for number in range(WRITES)]
        cause_fault()
        records = [record for write in writes for record in write.result()]
    assert {record.status for record in records} == {200, 201}
    # A new connection, because granian closes one without requests after 30 s.
    with RecordingClient(server.port) as client:
        toggled = client.send("GET", path).body["version"] - 1
        created = len(client.send("GET", f"/api/tasks?q={title}").body)
    return len(records), created + toggled


def test_writes_with_key_are_carried_out_once(server, postgresql, report_result):
    def kill_twice():
        for _ in range(2):
            before = postgresql.execute("SELECT pg_current_wal_lsn()")
            wait_for(lambda: postgresql.execute("SELECT pg_current_wal_lsn()") != before, "a write")  # noqa: B023
            postgresql.restart()

    answered, carried_out = count_writes(server, with_key=True, cause_fault=kill_twice)
    report_result(f"{answered} answered, {carried_out} carried out")
    assert answered == carried_out == 2 * WRITES


def test_control_without_key_writes_are_carried_out_twice(server, report_result):
    answered, carried_out = count_writes(server, with_key=False)
    report_result(f"{answered} answered, {carried_out} carried out")
    assert carried_out > answered


#: For each write a function that prepares its request, and the version after it.
REQUESTS = {
    "create": (lambda client: ("POST", "/api/tasks", {"title": uuid4().hex}), 1),
    "patch": (lambda client: ("PATCH", create_task(client), {"title": "Water the garden"}), 2),
    "toggle": (lambda client: ("POST", f"{create_task(client)}/toggle", None), 2),
    "delete": (lambda client: ("DELETE", create_task(client), None), 2),
    "restore": (lambda client: ("POST", f"{create_trashed_task(client)}/restore", None), 3),
    "remove": (lambda client: ("DELETE", trash_path(create_trashed_task(client)), None), 2),
}


def send_simultaneously(port, cause_fault, method, path, body, **headers):
    """Let many clients send the same request at once, and return the record of each client's response."""
    barrier = Barrier(SIMULTANEOUS_CLIENTS + 1)

    def send(_):
        barrier.wait()
        return send_until_answered(port, method, path, body, **headers)

    with ThreadPoolExecutor(SIMULTANEOUS_CLIENTS) as threads:
        clients = [threads.submit(send, number) for number in range(SIMULTANEOUS_CLIENTS)]
        barrier.wait()
        cause_fault()
        return [client.result() for client in clients]


def test_simultaneous_writes_with_key_are_carried_out_once(server, postgresql, report_result):
    """PostgreSQL is killed during each write, and a worker during the first."""
    [worker, *_] = server.workers()
    not_replayed = []
    for name, (prepare, version) in REQUESTS.items():
        with RecordingClient(server.port) as client:
            method, path, body = prepare(client)

        def cause_fault():
            postgresql.restart()
            if name == "create":  # noqa: B023
                os.kill(worker, signal.SIGKILL)

        records = send_simultaneously(server.port, cause_fault, method, path, body, Idempotency_Key=str(uuid4()))
        [(status, text)] = {(record.status, str(record.body)) for record in records}
        assert (status, records[0].body["version"]) == (201 if name == "create" else 200, version), text
        not_replayed.append(sum("idempotency-replayed" not in record.headers for record in records))
        if name == "create":
            with RecordingClient(server.port) as client:
                assert client.send("GET", f"/api/tasks?q={body['title']}").body == [records[0].body]
    report_result(f"{SIMULTANEOUS_CLIENTS} equal responses to each write; not replayed: {not_replayed}")
    assert max(not_replayed) <= 1
