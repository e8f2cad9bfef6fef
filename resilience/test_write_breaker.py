"""A synchronous standby that stops receiving holds back writes, but no reads."""

import os
import signal
import time
from contextlib import contextmanager

import psycopg
import pytest

from resilience.acknowledged import find_lost, last_acknowledged, read_rows
from resilience.limits import CLIENTS, RECOVERY_SECONDS
from resilience.operations import create_and_change
from testing.api_clients import BackgroundClients, RecordingClient, count_statuses, create_task, find_longest, summarize
from testing.servers import running_service
from testing.waiting import wait_for

READERS = 4
WORKERS = 2
POOL_SIZE = 5

#: ``DB_ANSWER_TIMEOUT`` and the question of each worker, in which the first writes wait.
OPENING_SECONDS = 3
#: How long the standby stays frozen afterwards.
FROZEN_SECONDS = 5
READ_SECONDS = 0.5

#: With a limit, each read is counted, and counting is a write.
SETTINGS = {"WORKERS": str(WORKERS), "DB_POOL_SIZE": str(POOL_SIZE), "THROTTLE_READ": "1000000/minute"}


@pytest.fixture
def receiver(primary, standby):
    """Return the process of the standby that receives what the primary writes."""
    [(receiver,)] = standby.execute("SELECT pid FROM pg_stat_wal_receiver")
    yield receiver
    os.kill(receiver, signal.SIGCONT)


@contextmanager
def frozen(receiver):
    os.kill(receiver, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(receiver, signal.SIGCONT)


def read_page(client, number):
    return [client.send("GET", "/api/tasks?limit=2")]


def observe_frozen_standby(server, primary, receiver):
    """Freeze the standby under load.

    Returns:
        The records of the writers; those of the readers and of the writers that began later than ``OPENING_SECONDS``
        and ended while the standby was frozen; the most sessions; the seconds until every writer was served again.
    """
    sessions = []
    with (
        BackgroundClients(server.port, CLIENTS, create_and_change) as writers,
        BackgroundClients(server.port, READERS, read_page) as readers,
    ):
        wait_for(lambda: writers.all_received(0, 200, 201), "every writer has written")
        with frozen(receiver):
            start = time.monotonic() + OPENING_SECONDS
            end = start + FROZEN_SECONDS
            while time.monotonic() < end:
                sessions.append(primary.count_sessions())
        wait_for(lambda: writers.all_received(end, 200, 201), "every writer is served again")
        recovery_seconds = time.monotonic() - end

    def between(clients):
        return [record for record in clients.records if start <= record.start and record.end <= end]

    return writers.records, between(readers), between(writers), max(sessions), recovery_seconds


def test_frozen_standby_delays_no_reads(primary, standby, url, receiver, report_result):
    with running_service(url, LOG_LEVEL="CRITICAL", **SETTINGS) as server:
        records, reads, writes, sessions, seconds = observe_frozen_standby(server, primary, receiver)
    acknowledged = last_acknowledged(records)
    lost = find_lost(acknowledged, read_rows(standby.url(url.rpartition("/")[2].partition("?")[0])))
    report_result(f"reads {summarize(reads)}, writes {summarize(writes)}, {sessions} sessions")
    report_result(f"served again after {seconds:.2f} s, {len(lost)} of {len(acknowledged)} tasks lost")
    assert (count_statuses(reads).keys(), count_statuses(writes).keys()) == ({200}, {503})
    assert {record.headers["retry-after"] for record in writes} == {"1"}
    assert find_longest([*reads, *writes]) <= READ_SECONDS
    assert sessions <= 2 * POOL_SIZE * WORKERS
    assert seconds <= RECOVERY_SECONDS
    assert lost == []


def test_control_without_write_breaker_reads_wait(primary, url, receiver, report_result, serve_without):
    """Reads wait if the writes hold every thread, which may not happen at the first freeze."""

    def reads_wait(server):
        _, reads, writes, sessions, _ = observe_frozen_standby(server, primary, receiver)
        report_result(f"reads {summarize(reads)}, writes {summarize(writes)}, {sessions} sessions")
        assert sessions > 2 * POOL_SIZE * WORKERS
        return not reads or find_longest(reads) > READ_SECONDS

    with serve_without("write breaker", url, **SETTINGS) as server:
        assert any(reads_wait(server) for _ in range(4))


def test_replay_waits_for_standby(url, receiver, report_result):
    """The first response was a 503, so no worker may acknowledge the write before the standby has it."""
    with running_service(url, LOG_LEVEL="CRITICAL", **SETTINGS) as server:

        def send():
            with RecordingClient(server.port) as client:
                return client.send("POST", "/api/tasks", {"title": "Once"}, Idempotency_Key="key")

        with frozen(receiver):
            records = [send() for _ in range(20)]
        wait_for(lambda: send().status == 201, "the write is acknowledged")
        replayed = send().headers.get("idempotency-replayed")
    report_result(summarize(records))
    assert count_statuses(records) == {503: 20}
    assert replayed == "true"


@pytest.fixture
def locked_task(primary, database_name):
    """Return a function that locks a task until the test ends."""
    with psycopg.connect(primary.url(database_name)) as connection:
        yield lambda path: connection.execute(
            "SELECT FROM tasks_task WHERE id = %s FOR UPDATE", [path.rpartition("/")[2]]
        )


def test_locked_row_refuses_no_other_write(url, receiver, locked_task, report_result):
    """Without PostgreSQL's own timeout, the service asks why the statement had no answer."""
    settings = {"WORKERS": "1", "LOG_LEVEL": "CRITICAL"}
    with (
        running_service(f"{url}&options=-c%20statement_timeout%3D0", **settings) as server,
        RecordingClient(server.port) as client,
    ):
        path = create_task(client)
        locked_task(path)
        locked = [client.send("PATCH", path, {"title": "Other"}) for _ in range(2)]
        created = [client.send("POST", "/api/tasks", {"title": "New"}) for _ in range(2)]
    report_result(f"locked {summarize(locked)}, others {summarize(created)}")
    assert count_statuses(locked) == {503: 2}
    assert count_statuses(created) == {201: 2}
