"""Clients that send costly requests do not delay the probes, or the requests of other users."""

import socket
import time
from contextlib import suppress

import pytest

from resilience.operations import insert_tasks
from testing.api_clients import (
    BackgroundClients,
    RecordingClient,
    RequestRecord,
    count_statuses,
    find_longest,
    summarize,
)
from testing.ports import HOST, client_address
from testing.servers import SERVE_COMMAND, running_service
from testing.waiting import wait_for
from todo_project.tests.bad_protocol import message

HEALTHZ_SECONDS = 0.2
PAGE_SECONDS = 1
LOAD_SECONDS = 4

#: A head of 16 KiB. Django parses it in quadratic time.
LONG_HEAD = {"Content-Type": 'a/b;"' + ";" * 16_384}

#: Searches that read every task, because no task has all words.
SEARCH = "/api/tasks?q=xxxxxxxx+zebra+quokka"
SEARCHED_TASKS = 60_000
LISTED_TASKS = 30_000


def send_and_discard(port, path, headers):
    """Send a request, and discard the body, because parsing it would delay the clients that measure."""
    start, status = time.monotonic(), None
    lines = (f"GET {path} HTTP/1.0", "Host: localhost", *(f"{name}: {value}" for name, value in headers.items()))
    with suppress(OSError), socket.create_connection((HOST, port), 60, (client_address(1), 0)) as connection:
        connection.sendall(message(*lines))
        status = int(connection.recv(65_536).split()[1])
        while connection.recv(1_048_576):
            pass
    return RequestRecord("GET", path, None, start, time.monotonic(), status)


def observe(port, number, path, headers, report_result):
    """Let clients of one address repeat a request, while another address probes and reads a page."""

    def send(*_):
        return [send_and_discard(port, path, headers)]

    with BackgroundClients(port, number, send, timeout=60) as attackers:
        others = []
        end = time.monotonic() + LOAD_SECONDS
        with RecordingClient(port, timeout=30) as client:
            while time.monotonic() < end:
                others += [client.send("GET", "/healthz"), client.send("GET", "/api/tasks?limit=1")]
    healthz, pages = others[::2], others[1::2]
    report_result(f"attackers {summarize(attackers.records)}; healthz {summarize(healthz)}; pages {summarize(pages)}")
    return attackers.records, healthz, pages


def test_long_heads_do_not_delay_others(server, report_result):
    refused, healthz, pages = observe(server.port, 10, "/healthz", LONG_HEAD, report_result)
    assert count_statuses(refused).keys() == {431}
    assert count_statuses(healthz + pages).keys() == {200}
    assert find_longest(healthz) < HEALTHZ_SECONDS


def test_control_without_head_limit_healthz_is_late(serve_without, report_result):
    """The kernel chooses the worker of each connection, so most attackers may meet the other worker."""

    def longest_healthz():
        _, healthz, _ = observe(server.port, 10, "/healthz", LONG_HEAD, report_result)
        return find_longest(healthz)

    with serve_without("head limit") as server:
        assert any(longest_healthz() > HEALTHZ_SECONDS for _ in range(4))


@pytest.mark.parametrize(
    ("number", "path", "tasks"),
    [(64, SEARCH, SEARCHED_TASKS), (16, "/api/tasks", LISTED_TASKS)],
    ids=["searches", "whole lists"],
)
def test_one_user_does_not_delay_others(server, postgresql, database_name, report_result, number, path, tasks):
    insert_tasks(postgresql, database_name, tasks)
    attacks, healthz, pages = observe(server.port, number, path, {}, report_result)
    assert count_statuses(attacks).keys() <= {200, 503}
    assert count_statuses(healthz + pages).keys() == {200}
    assert find_longest(healthz) < HEALTHZ_SECONDS
    assert find_longest(pages) < PAGE_SECONDS


def test_control_without_concurrency_limit_others_wait(serve_without, postgresql, database_name, report_result):
    insert_tasks(postgresql, database_name, SEARCHED_TASKS)
    with serve_without("concurrency limit") as server:
        _, healthz, pages = observe(server.port, 64, SEARCH, {}, report_result)
    assert find_longest(healthz) > HEALTHZ_SECONDS
    assert find_longest(pages) > PAGE_SECONDS


def probe_first_second_of_outage(server, postgresql, report_result):
    """Freeze PostgreSQL under 32 clients, and return the probes of the next second."""
    with BackgroundClients(server.port, 32, lambda client, _: [client.send("GET", "/api/tasks?limit=1")]) as clients:
        wait_for(lambda: clients.all_received(0, 200), "every client is served")
        postgresql.freeze()
        end = time.monotonic() + 1
        healthz = []
        try:
            with RecordingClient(server.port) as client:
                while time.monotonic() < end:
                    healthz.append(client.send("GET", "/healthz"))
        finally:
            postgresql.unfreeze()
    report_result(f"healthz {summarize(healthz)}")
    return healthz


def test_healthz_in_first_second_of_outage_is_in_time(server, postgresql, report_result):
    healthz = probe_first_second_of_outage(server, postgresql, report_result)
    assert count_statuses(healthz).keys() == {200}
    assert find_longest(healthz) < HEALTHZ_SECONDS


def test_control_without_spare_threads_healthz_waits(serve_without, postgresql, report_result):
    with serve_without("concurrency limit") as server:
        healthz = probe_first_second_of_outage(server, postgresql, report_result)
    assert find_longest(healthz) > HEALTHZ_SECONDS


SLOW_WRITES = """
CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NULL; END';
CREATE TRIGGER sleep AFTER INSERT ON tasks_task FOR EACH ROW EXECUTE FUNCTION sleep();
"""


@pytest.fixture
def probe_while_all_threads_write(postgresql, database_name, database_url, report_result):
    """Return a function that counts the statuses of ``/readyz`` while four threads hold connections."""

    def probe(connections):
        # Without --skip-checks, the service would refuse to start with as many connections as threads.
        command = (*SERVE_COMMAND, "--skip-checks")
        postgresql.execute(SLOW_WRITES, database_name)
        serving = running_service(
            database_url, command, WORKERS="1", THREADS="4", DB_POOL_SIZE=connections, LOG_LEVEL="CRITICAL"
        )
        with serving as server, BackgroundClients(server.port, 8, create) as clients:
            wait_for(lambda: count_statuses(clients.records)[201] >= 4, "four clients are served")
            probes = []
            with RecordingClient(server.port) as client:
                wait_for(lambda: client.send("GET", "/readyz").status == 200, "the worker is ready")
                end = time.monotonic() + LOAD_SECONDS
                while time.monotonic() < end:
                    probes.append(client.send("GET", "/readyz"))
        report_result(f"writes {summarize(clients.records)}; readyz {summarize(probes)}")
        return count_statuses(probes)

    return probe


def create(client, number):
    return [client.send("POST", "/api/tasks", {"title": f"Task of client {number}"})]


def test_readyz_with_all_threads_busy_is_200(probe_while_all_threads_write):
    assert probe_while_all_threads_write("5").keys() == {200}


def test_control_without_own_connection_readyz_is_503(probe_while_all_threads_write):
    assert probe_while_all_threads_write("4")[503] > 0
