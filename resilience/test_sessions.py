"""PostgreSQL ends the service's sessions, and no client notices unless its statement was running."""

import pytest

from resilience.limits import CLIENTS, REQUESTS_AT_ONCE, UNAVAILABLE_SECONDS
from testing.api_clients import (
    BackgroundClients,
    RecordingClient,
    count_statuses,
    create_task,
    find_longest,
    summarize,
)
from testing.waiting import wait_for

MOMENTS = pytest.mark.parametrize("idle", [False, True], ids=["under load", "idle"])


def get_around_end_of_sessions(server, postgresql, idle):
    """Return the records of GETs while sessions end, or of GETs before and after it if ``idle``."""
    with RecordingClient(server.port) as client:
        path = create_task(client)

    def get(client, number):
        return [client.send("GET", path)]

    with BackgroundClients(server.port, CLIENTS, get) as clients:
        wait_for(lambda: len(clients.records) > 500, "the pools are full")
        if not idle:
            postgresql.end_sessions()
            ended = len(clients.records)
            wait_for(lambda: len(clients.records) > ended + 500, "the service answers 500 more requests")
    if idle:
        postgresql.end_sessions()
        with BackgroundClients(server.port, CLIENTS, get) as clients:
            wait_for(lambda: len(clients.records) > 500, "the service answers 500 more requests")
    return clients.records


@MOMENTS
def test_end_of_sessions_breaks_only_running_statements(server, postgresql, report_result, idle):
    """An operator or a switch-over ends sessions like this."""
    records = get_around_end_of_sessions(server, postgresql, idle)
    statuses = count_statuses(records)
    report_result(summarize(records))
    assert find_longest(records) < UNAVAILABLE_SECONDS
    assert statuses.keys() <= ({200} if idle else {200, 503})
    assert statuses[503] <= REQUESTS_AT_ONCE


@MOMENTS
def test_control_without_connection_check_clients_get_503(serve_without, postgresql, report_result, idle):
    with serve_without("connection check") as server:
        records = get_around_end_of_sessions(server, postgresql, idle)
    report_result(summarize(records))
    assert count_statuses(records)[503] > 0


@pytest.fixture
def get_after_idle_timeout(postgresql, database_name):
    """Make PostgreSQL end idle sessions, and return a function that sends five GETs after such ends."""
    postgresql.execute(f"ALTER DATABASE {database_name} SET idle_session_timeout = '300ms'")

    def get_after_idle_timeout(server):
        postgresql.end_sessions()
        records = []
        with RecordingClient(server.port) as client:
            path = None
            while not path:
                path = client.send("POST", "/api/tasks", {"title": "Water the plants"}).headers.get("location")
            for _ in range(5):
                wait_for(lambda: postgresql.count_sessions() == 0, "PostgreSQL has ended the idle sessions")
                records.append(client.send("GET", path))
        return records

    return get_after_idle_timeout


def test_idle_session_timeout_causes_no_503(server, get_after_idle_timeout, report_result):
    records = get_after_idle_timeout(server)
    report_result(summarize(records))
    assert count_statuses(records) == {200: 5}


def test_control_without_connection_check_timeout_causes_503(serve_without, get_after_idle_timeout, report_result):
    with serve_without("connection check") as server:
        records = get_after_idle_timeout(server)
    report_result(summarize(records))
    assert count_statuses(records)[503] > 0
