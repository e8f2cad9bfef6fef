"""Acknowledged writes survive kills of PostgreSQL, of workers and of the whole server."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from uuid import UUID

import pytest

from resilience.acknowledged import SELECT_ROWS, find_lost, last_acknowledged, read_rows
from resilience.limits import RECOVERY_SECONDS, WRITERS
from resilience.operations import create_and_change
from testing.api_clients import BackgroundClients
from testing.databases import new_database
from testing.process_tree import kill_tree
from testing.servers import running_service
from testing.waiting import wait_for

KILLS = 20


def wait_for_writes(writers):
    now = time.monotonic()
    wait_for(lambda: writers.all_received(now, 200, 201), "every writer has written")


def kill_during_writes(server, postgresql, url, kills, kill_also=lambda number: None):
    """Return the acknowledged writes, the lost writes, and the longest pause of a writer."""
    recoveries = []
    with BackgroundClients(server.port, WRITERS, create_and_change) as writers:
        for number in range(kills):
            wait_for_writes(writers)
            kill_also(number)
            settings = postgresql.settings
            postgresql.kill()
            postgresql.start(**settings)
            started = time.monotonic()
            wait_for_writes(writers)
            recoveries.append(time.monotonic() - started)
    acknowledged = last_acknowledged(writers.records)
    return acknowledged, find_lost(acknowledged, read_rows(url)), max(recoveries)


def test_acknowledged_writes_survive_kills(server, postgresql, database_url, report_result):
    def kill_worker(number):
        if number % 4 == 0:  # because granian gives up when a worker dies twice within 5.5 s
            os.kill(min(server.workers()), signal.SIGKILL)

    acknowledged, lost, recovery = kill_during_writes(server, postgresql, database_url, KILLS, kill_worker)
    report_result(f"{len(lost)} of {len(acknowledged)} tasks lost in {KILLS} kills, recovery {recovery:.2f} s")
    assert lost == []
    assert recovery < RECOVERY_SECONDS


def test_control_without_synchronous_commit_writes_are_lost(server, postgresql, database_url, report_result):
    postgresql.restart(synchronous_commit="off", wal_writer_delay="10s")
    acknowledged, lost, _ = kill_during_writes(server, postgresql, database_url, 2)
    report_result(f"{len(lost)} of {len(acknowledged)} tasks lost in 2 kills")
    assert lost != []


@pytest.fixture
def expect_killed_server(monkeypatch):
    """Make ``served`` accept that the server is gone."""
    monkeypatch.setattr("testing.servers.stop_server", lambda process: process.wait())


@pytest.mark.usefixtures("expect_killed_server")
def test_acknowledged_writes_survive_kills_on_sqlite(report_result):
    acknowledged = {}
    with new_database("sqlite") as url:
        for _ in range(3):
            serving = running_service(url, WORKERS="2", LOG_LEVEL="CRITICAL")
            with serving as server, BackgroundClients(server.port, WRITERS, create_and_change) as writers:
                wait_for_writes(writers)
                kill_tree(server.pid)
            acknowledged |= last_acknowledged(writers.records)
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute(SELECT_ROWS).fetchall()
            integrity = connection.execute("PRAGMA integrity_check").fetchall()
    lost = find_lost(acknowledged, [(UUID(task), version, title, bool(done)) for task, version, title, done in rows])
    report_result(f"{len(lost)} of {len(acknowledged)} tasks lost in 3 kills, integrity_check: {integrity[0][0]}")
    assert (lost, integrity) == ([], [("ok",)])
