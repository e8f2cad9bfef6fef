"""What was acknowledged is there afterwards, whatever was killed meanwhile."""

import os
import signal
import sqlite3
import time
from contextlib import closing
from uuid import UUID

import psycopg
import pytest

from resilience.clients import Crowd
from testing.programs import kill_tree, wait_for
from testing.servers import database, served

WRITERS = 16
CYCLES = 20


def write(client, number):
    """A new task, and two changes of it."""
    made = client.send("POST", "/api/tasks", {"title": f"By {number}"})
    if made.status != 201:
        return [made]
    path = made.headers["location"]
    patched = client.send("PATCH", path, {"title": f"By {number}, and changed"})
    return [made, patched, client.send("POST", f"{path}/toggle")]


def acknowledged(crowd):
    """The last answer about each task."""
    return {each.body["id"]: each.body for each in crowd.exchanges if each.status in {200, 201}}


def lost(answers, rows):
    """Answers that the rows know nothing of; a later write whose outcome is unknown may have been done."""
    stored = {str(task): (version, title, completed) for task, version, title, completed in rows}
    return [body for task, body in answers.items() if not bears_out(stored.get(task, (0, "", False)), body)]


def bears_out(row, body):
    return row[0] > body["version"] or row == (body["version"], body["title"], body["completed"])


ROWS = "SELECT id, version, title, completed FROM tasks_task"


def killed_under_writers(server, postgresql, url, cycles, also=lambda cycle: None):
    """The answers to the writers, those that were lost, and how long it took until all writers were served again."""
    recoveries = []
    with Crowd(server.port, WRITERS, write) as crowd:
        for cycle in range(cycles):
            begun = time.monotonic()
            wait_for(lambda: crowd.all_had(begun, 200, 201), "every writer writes")  # noqa: B023
            also(cycle)
            settings = postgresql.settings
            postgresql.kill()
            postgresql.start(**settings)
            back = time.monotonic()
            wait_for(lambda: crowd.all_had(back, 200, 201), "every writer is served again")  # noqa: B023
            recoveries.append(time.monotonic() - back)
    answers = acknowledged(crowd)
    with psycopg.connect(url) as connection:
        return answers, lost(answers, connection.execute(ROWS).fetchall()), max(recoveries)


def test_no_acknowledged_write_is_lost_when_postgresql_and_workers_are_killed(server, postgresql, database_url, figure):
    def kill_worker(cycle):
        if cycle % 4 == 0:  # granian takes one that dies twice within 5.5 s for broken
            os.kill(min(server.workers()), signal.SIGKILL)

    answers, missing, slowest = killed_under_writers(server, postgresql, database_url, CYCLES, kill_worker)
    figure(f"{len(missing)} of {len(answers)} tasks lost in {CYCLES} kills; served again within {slowest:.2f} s")
    assert missing == []
    assert slowest < 3


def test_control_without_synchronous_commit_some_are_lost(server, postgresql, database_url, figure):
    postgresql.restart(synchronous_commit="off", wal_writer_delay="10s")
    answers, missing, _ = killed_under_writers(server, postgresql, database_url, 2)
    figure(f"{len(missing)} of {len(answers)} tasks lost in 2 kills")
    assert missing != []


@pytest.fixture
def killed(monkeypatch):
    """What ``served`` finds at its end."""
    monkeypatch.setattr("testing.servers.stop", lambda process: process.wait())


@pytest.mark.usefixtures("killed")
def test_no_acknowledged_write_is_lost_when_the_server_is_killed_on_sqlite(figure):
    answers = {}
    with database("sqlite") as url:
        for _ in range(3):
            with served(url, WORKERS="2", LOG_LEVEL="CRITICAL") as server, Crowd(server.port, WRITERS, write) as crowd:
                begun = time.monotonic()
                wait_for(lambda: crowd.all_had(begun, 200, 201), "every writer writes")  # noqa: B023
                kill_tree(server.pid)
            answers |= acknowledged(crowd)
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            rows = connection.execute(ROWS).fetchall()
            integrity = connection.execute("PRAGMA integrity_check").fetchall()
    missing = lost(answers, [(UUID(task), version, title, bool(done)) for task, version, title, done in rows])
    figure(f"{len(missing)} of {len(answers)} tasks lost in 3 kills; integrity_check: {integrity[0][0]}")
    assert (missing, integrity) == ([], [("ok",)])
