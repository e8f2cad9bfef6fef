"""Tests over HTTP of the running service: server process, workers and a fresh database."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

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
from testing.servers import running_service

ROOT = Path(__file__).parents[2]

VARYING = {
    "<id>": r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "date: <date>": r"date: .*",
}


@pytest.mark.parametrize("page", ["README.md", "docs/session.md"])
def test_documented_session_matches_the_service(server, page):
    """Each page expects an empty list of tasks, and ends with an empty list."""
    session = "".join(re.findall(r"^```console\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE))
    commands = [line[2:] for line in session.splitlines() if line.startswith("$ ")]
    assert commands != []
    script = "\n".join(f"cat <<'END'\n$ {command}\nEND\n{command}" for command in commands)
    script = script.replace("localhost:8000", f"127.0.0.1:{server.port}")
    output = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, check=True)
    printed = output.stdout.replace(f"127.0.0.1:{server.port}", "localhost:8000")
    assert lines_without_varying_parts(printed) == lines_without_varying_parts(session)


def lines_without_varying_parts(text):
    for placeholder, pattern in VARYING.items():
        text = re.sub(pattern, placeholder, text)
    return [line.rstrip() for line in text.splitlines()]


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
