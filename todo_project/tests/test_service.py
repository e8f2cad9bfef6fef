"""Tests over HTTP of the running service: server process, workers and a fresh database."""

import json
import os
import signal

import psycopg
import pytest

from benchmarks.concurrency import (
    SimultaneousClients,
    check_conditional_patches,
    check_creates,
    check_labels,
    check_patch_pairs,
    check_toggles,
)
from testing.api_clients import RecordingClient, create_task
from testing.documented_sessions import run_session
from testing.process_tree import proc_fields
from testing.servers import running_service


@pytest.mark.parametrize("page", ["README.md", "docs/session.md"])
def test_documented_session_matches_the_service(server, page):
    """Each page expects an empty list of tasks, and ends with an empty list."""
    printed, documented = run_session(page, server.port)
    assert printed == documented


@pytest.mark.parametrize(
    ("run_check", "requests"),
    [
        (check_toggles, 301),
        (check_patch_pairs, 100),
        (check_conditional_patches, 200),
        (check_labels, 200),
        (check_creates, 300),
    ],
)
def test_writes_of_100_clients_are_applied_exactly_once(server, run_check, requests):
    with SimultaneousClients(server, 100) as clients:
        assert [check for check in run_check(clients, requests) if not check.passed] == []


def test_main_process_has_one_thread(server):
    """A new worker is a fork, which would copy the locks that another thread holds."""
    assert proc_fields(f"/proc/{server.pid}/status")["Threads"] == "1"


def test_tasks_survive_stops_by_signal_with_exit_code_0(database_url):
    with running_service(database_url) as server, RecordingClient(server.port) as client:
        path = create_task(client)
        before = server.get(path)
        assert exit_code_after(signal.SIGTERM, server) == 0
    with running_service(database_url) as server:
        assert server.get(path) == before
        assert exit_code_after(signal.SIGINT, server) == 0


def exit_code_after(number, server):
    os.kill(server.pid, number)
    _, status = os.waitpid(server.pid, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite locks no row")
def test_write_answered_with_503_is_not_applied_later(server, database_url):
    with psycopg.connect(database_url) as holder, RecordingClient(server.port) as client:
        path = create_task(client)
        holder.execute("SELECT 1 FROM tasks_task FOR UPDATE")
        assert client.send("POST", f"{path}/toggle").status == 503
        [(waiting,)] = holder.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        holder.rollback()
    assert (waiting, json.loads(server.get(path)[1])["version"]) == (0, 1)
