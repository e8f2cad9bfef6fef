"""An unavailable database: every operation returns 503 in time, and the service recovers."""

import json
import time
from contextlib import closing
from http.client import HTTPConnection
from typing import NamedTuple

import pytest

from resilience.limits import (
    CLIENTS,
    FROZEN_SECONDS,
    HEALTHZ_SECONDS,
    LONG_RUN,
    READY_SECONDS,
    RECOVERY_SECONDS,
    UNAVAILABLE_SECONDS,
)
from resilience.operations import insert_tasks, prepare_operations
from testing.api_clients import (
    BackgroundClients,
    RecordingClient,
    RequestRecord,
    count_statuses,
    create_task,
    find_longest,
    summarize,
)
from testing.ports import HOST
from testing.process_tree import worker_memory
from testing.waiting import wait_for

OUTAGE_SECONDS = 60 if LONG_RUN else 4
AVAILABLE_STATUSES = (200, 201, 404, 409)


def refuse_connections(postgresql):
    postgresql.stop()
    return postgresql.start


def kill(postgresql):
    postgresql.kill()
    return postgresql.start


def freeze(postgresql):
    postgresql.freeze()
    return postgresql.unfreeze


def exhaust_connections(postgresql):
    postgresql.execute("ALTER ROLE todo CONNECTION LIMIT 0")
    postgresql.end_sessions()
    return lambda: postgresql.execute("ALTER ROLE todo CONNECTION LIMIT -1")


FAULTS = pytest.mark.parametrize(
    ("cause_fault", "limit"),
    [
        pytest.param(refuse_connections, UNAVAILABLE_SECONDS, id="refused"),
        pytest.param(kill, UNAVAILABLE_SECONDS, id="killed"),
        pytest.param(freeze, FROZEN_SECONDS, id="frozen"),
        pytest.param(exhaust_connections, UNAVAILABLE_SECONDS, id="exhausted"),
    ],
)


class Outage(NamedTuple):
    """The requests that ended during an outage, those that also began in it, and those to ``/healthz``."""

    ended: list[RequestRecord]
    started: list[RequestRecord]
    healthz: list[RequestRecord]
    recovery_seconds: float

    def broken_promises(self, limit):
        promises = {
            "status 503": count_statuses(self.started).keys() == {503},
            "Retry-After": all(record.headers.get("retry-after") == "1" for record in self.started),
            "in time": find_longest(self.ended) <= limit,
            "healthz": count_statuses(self.healthz).keys() == {200} and find_longest(self.healthz) <= HEALTHZ_SECONDS,
            "recovery": self.recovery_seconds <= RECOVERY_SECONDS,
        }
        return [promise for promise, kept in promises.items() if not kept]

    def __str__(self):
        longest = f"longest {find_longest(self.ended):.2f} s, healthz {find_longest(self.healthz):.3f} s"
        return f"{dict(count_statuses(self.started))}, {longest}, recovery {self.recovery_seconds:.2f} s"


def observe_outage(server, postgresql, cause_fault, seconds):
    """Let each client repeat an operation of its own, and record the requests around an outage."""
    with RecordingClient(server.port) as client:
        operations = list(prepare_operations(client).values())

        def send_operation(client, number):
            return [operations[number % len(operations)](client)]

        with BackgroundClients(server.port, CLIENTS, send_operation) as clients:
            wait_for(lambda: clients.all_received(0, *AVAILABLE_STATUSES), "every client is served")
            fault_start = time.monotonic()
            end_fault = cause_fault(postgresql)
            outage_start = time.monotonic()
            try:
                wait_for(lambda: clients.all_received(outage_start, 503), "every client has a 503", 2 * FROZEN_SECONDS)
                healthz = [client.send("GET", "/healthz") for _ in range(20)]
                time.sleep(max(0, outage_start + seconds - time.monotonic()))
                outage_end = time.monotonic()
            finally:
                end_fault()
            fault_end = time.monotonic()
            wait_for(lambda: clients.all_received(fault_end, *AVAILABLE_STATUSES), "every client is served again")
            recovery_seconds = time.monotonic() - fault_end
    ended = [record for record in clients.records if fault_start <= record.end <= outage_end]
    started = [record for record in ended if record.start >= outage_start + READY_SECONDS * (record.path == "/readyz")]
    return Outage(ended, started, healthz, recovery_seconds)


@FAULTS
def test_service_during_outage_returns_503_and_recovers(server, postgresql, report_result, cause_fault, limit):
    outage = observe_outage(server, postgresql, cause_fault, OUTAGE_SECONDS)
    report_result(outage)
    assert outage.broken_promises(limit) == []


@FAULTS
def test_control_without_wait_limits_503_is_late(serve_without, postgresql, report_result, cause_fault, limit):
    """With a frozen server the clients get no response at all."""
    with serve_without("wait limits") as server:
        try:
            outage = observe_outage(server, postgresql, cause_fault, 4)
        except TimeoutError as error:
            report_result(error)
            return
    report_result(outage)
    assert "in time" in outage.broken_promises(limit)


def wait_until_pool_gives_up():
    """Wait longer than the pool tries to reconnect without a request."""
    time.sleep(5)


def test_first_request_after_unnoticed_recovery_succeeds(server, postgresql, report_result):
    with RecordingClient(server.port) as client:
        path = create_task(client)
        postgresql.stop()
        assert count_statuses([client.send("GET", path) for _ in range(20)]) == {503: 20}
        wait_until_pool_gives_up()
        postgresql.start()
        wait_for(lambda: postgresql.count_sessions() > 0, "the pool has a connection again", RECOVERY_SECONDS)
        records = [client.send("GET", path) for _ in range(20)]
    report_result(summarize(records))
    assert count_statuses(records) == {200: 20}


def test_control_without_reconnecting_pool_stays_empty(serve_without, postgresql, report_result):
    with serve_without("reconnecting") as server, RecordingClient(server.port) as client:
        path = create_task(client)
        postgresql.stop()
        assert client.send("GET", path).status == 503
        wait_until_pool_gives_up()
        postgresql.start()
        with pytest.raises(TimeoutError) as error:
            wait_for(lambda: postgresql.count_sessions() > 0, "the pool has a connection again", RECOVERY_SECONDS)
    report_result(error.value)


REFUSED_REQUESTS = 8000


def measure_growth(server, postgresql):
    """Return by how many MiB the workers grow in ``REFUSED_REQUESTS``, after as many requests to warm up."""
    with RecordingClient(server.port) as client:
        path = create_task(client)
    with BackgroundClients(server.port, CLIENTS, lambda client, _: [client.send("GET", path)]) as clients:
        postgresql.stop()
        sizes = []
        for number in (REFUSED_REQUESTS, 2 * REFUSED_REQUESTS):
            wait_for(lambda: count_statuses(clients.records)[503] > number, "clients are refused", 60)  # noqa: B023
            sizes.append(sum(worker_memory(server.pid)))
    return sizes[1] - sizes[0]


def test_memory_during_outage_stays_bounded(server, postgresql, report_result):
    growth = measure_growth(server, postgresql)
    report_result(f"{growth:.1f} MiB in {REFUSED_REQUESTS} requests")
    assert growth < 10


def test_control_without_queue_limit_memory_grows(serve_without, postgresql, report_result):
    with serve_without("queue limit") as server:
        growth = measure_growth(server, postgresql)
    report_result(f"{growth:.1f} MiB in {REFUSED_REQUESTS} requests")
    assert growth > 20


WRITES = ("create", "patch", "toggle", "delete", "restore", "remove")


@pytest.fixture
def change_database(postgresql, database_name):
    """Return a function that changes a setting of the database and ends all sessions.

    With ``default_transaction_read_only`` the database behaves like a primary that has become a standby.
    """

    def change_database(change):
        postgresql.execute(f"ALTER DATABASE {database_name} {change}")
        postgresql.end_sessions()

    return change_database


def test_read_only_database_serves_reads_and_rejects_writes(server, change_database, report_result):
    with RecordingClient(server.port) as client:
        operations = prepare_operations(client)
        change_database("SET default_transaction_read_only = on")
        records = {name: send(client) for name, send in operations.items()}
        change_database("RESET default_transaction_read_only")
        after = [send(client) for send in operations.values()]
    report_result(summarize(list(records.values())))
    assert {name: record.status for name, record in records.items()} == {
        name: 503 if name in WRITES else 200 for name in operations
    }
    assert find_longest(list(records.values())) <= UNAVAILABLE_SECONDS
    assert count_statuses(after).keys() == {200, 201}


def test_control_without_sqlstates_writes_return_500(serve_without, change_database, report_result):
    with serve_without("sqlstates") as server, RecordingClient(server.port) as client:
        operations = prepare_operations(client)
        change_database("SET default_transaction_read_only = on")
        records = [operations[name](client) for name in WRITES]
    report_result(summarize(records))
    assert count_statuses(records) == {500: len(WRITES)}


def read_interrupted_list(server, postgresql):
    """Stop the database in the middle of a list, and return the status and the body."""
    connection = HTTPConnection(HOST, server.port, timeout=10)
    with closing(connection):
        connection.request("GET", "/api/tasks")
        response = connection.getresponse()
        beginning = response.read(1000)
        postgresql.stop()
        return response.status, beginning + response.read()


def test_interrupted_list_is_invalid_json(server, postgresql, database_name, report_result):
    """Only the missing bracket tells of the failure, because granian ends the chunked body normally."""
    insert_tasks(postgresql, database_name)
    status, body = read_interrupted_list(server, postgresql)
    report_result(f"{status}, and {len(body):,} bytes that end with {body[-2:]!r}")
    assert (status, body[:1]) == (200, b"[")
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


def test_control_without_unclosed_array_list_seems_complete(serve_without, postgresql, database_name, report_result):
    insert_tasks(postgresql, database_name)
    with serve_without("unclosed array") as server:
        _, body = read_interrupted_list(server, postgresql)
    report_result(f"{len(json.loads(body)):,} tasks of 30,000")
    assert len(json.loads(body)) < 30_000
