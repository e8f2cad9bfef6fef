"""A serverless database that sleeps: the first connection waits until it has woken up."""

import time

import pytest

from testing.api_clients import RecordingClient, count_statuses, send_at_rate, summarize
from testing.cold_start import sleeping_database
from testing.commands import TIMEOUT, start_command
from testing.servers import running_service

DELAYS = pytest.mark.parametrize("delay", [0.5, 1.5, 4.0])

#: The settings of docs/neon.md.
PATIENT = {"DB_POOL_TIMEOUT": "10", "DB_CONNECT_TIMEOUT": "10", "DB_ANSWER_TIMEOUT": "10"}


@pytest.fixture
def sleeping(database_url, postgresql):
    """Return a function that yields a proxy with a delay, and the URL of the database behind it."""

    def sleeping(delay):
        return sleeping_database(postgresql.port, delay)

    return sleeping


def url_through(proxy, url):
    return f"postgresql://todo@127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}"


def first_requests(server, proxy):
    """Return the status and the seconds of each request from the start of the sleep until one is a 200."""
    proxy.sleep()
    requests = []
    with RecordingClient(server.port) as client:
        while not requests or requests[-1][0] != 200:
            record = client.send("GET", "/api/tasks")
            requests.append((record.status, round(record.seconds, 2)))
            time.sleep(0.1)
    return requests


@DELAYS
def test_command_waits_for_cold_start(sleeping, database_url, delay):
    with (
        sleeping(delay) as proxy,
        start_command(url_through(proxy, database_url), "task_stats", "--json") as process,
    ):
        assert process.wait(TIMEOUT) == 0


@DELAYS
def test_request_waits_for_cold_start(sleeping, database_url, report_result, delay):
    with (
        sleeping(delay) as proxy,
        running_service(url_through(proxy, database_url), WORKERS="1", **PATIENT) as server,
    ):
        requests = first_requests(server, proxy)
    report_result(requests)
    assert [status for status, _ in requests] == [200]
    assert requests[0][1] >= delay


@DELAYS
def test_control_without_patience_cold_start_is_503(sleeping, database_url, report_result, delay):
    """The default limits fit a database that never sleeps, and a cold start of half a second."""
    with sleeping(delay) as proxy, running_service(url_through(proxy, database_url), WORKERS="1") as server:
        requests = first_requests(server, proxy)
    report_result(requests)
    assert (requests[0][0] == 503) is (delay > 1)


def test_failed_attempt_refuses_no_waiting_request(sleeping, database_url, report_result):
    """Two attempts end after 2 s each, the third one succeeds, and no request gets a 503."""
    limits = {
        **PATIENT,
        "DB_CONNECT_TIMEOUT": "2",
        "THREADS": "16",
        "MAX_CONCURRENT_PER_USER": "16",
        "DB_POOL_SIZE": "17",
    }
    with (
        sleeping(5) as proxy,
        running_service(url_through(proxy, database_url), WORKERS="1", LOG_LEVEL="CRITICAL", **limits) as server,
    ):
        proxy.sleep()
        records = send_at_rate(server.port, "/api/tasks", rate=2, seconds=6, timeout=20)
    report_result(summarize(records))
    assert count_statuses(records) == {200: 12}
