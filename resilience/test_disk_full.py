"""On a full disk reads succeed, writes that do not fit return 503, and no acknowledged write is lost."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from resilience.limits import UNAVAILABLE_SECONDS
from testing.api_clients import RecordingClient, count_statuses, create_task, find_longest, summarize
from testing.programs import directory_owned_by
from testing.servers import running_service

LARGE_TASK = {"title": "Large", "description": "x" * 2000}


@pytest.fixture
def small_disk(postgresql):
    """Mount a file system of 32 MB that belongs to PostgreSQL's user."""
    with directory_owned_by(postgresql.cluster.system_user) as mount:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", mount], check=False)
        if mounted.returncode:
            pytest.skip("a tmpfs cannot be mounted: run as root with CAP_SYS_ADMIN")
        postgresql.give_to_server_user(mount)
        try:
            yield mount
        finally:
            postgresql.execute("DROP DATABASE IF EXISTS full_disk WITH (FORCE)")
            postgresql.execute("DROP TABLESPACE small")
            subprocess.run(["umount", mount], check=True)


@pytest.fixture
def url(postgresql, small_disk):
    postgresql.execute(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    postgresql.execute("CREATE DATABASE full_disk TEMPLATE template_todo OWNER todo TABLESPACE small")
    return postgresql.url("full_disk", "todo")


@contextmanager
def filled(disk):
    """Fill the disk until the end of the ``with`` block."""
    file = disk / "filler"
    free = os.statvfs(disk)
    file.write_bytes(bytes(free.f_bavail * free.f_frsize))
    yield
    file.unlink()


def create_large_tasks(client):
    return [client.send("POST", "/api/tasks", LARGE_TASK) for _ in range(100)]


def test_full_disk_rejects_writes_and_loses_nothing(small_disk, url, report_result):
    with running_service(url, LOG_LEVEL="CRITICAL") as server, RecordingClient(server.port) as client:
        path = create_task(client)
        with filled(small_disk):
            writes = create_large_tasks(client)
            reads = [client.send("GET", path), client.send("GET", "/api/tasks"), client.send("GET", "/readyz")]
        after = client.send("POST", "/api/tasks", LARGE_TASK)
        listed = {task["id"] for task in client.send("GET", "/api/tasks").body}
    created = {record.body["id"] for record in (*writes, after) if record.status == 201}
    report_result(f"{summarize(writes)}, {len(created - listed)} lost")
    assert count_statuses(writes).keys() == {201, 503}
    assert {record.body["code"] for record in writes if record.status == 503} == {"service_unavailable"}
    assert find_longest(writes) < UNAVAILABLE_SECONDS
    assert [record.status for record in reads] == [200, 200, 200]
    assert after.status == 201
    assert created <= listed


def test_control_without_error_handling_full_disk_returns_500(small_disk, url, serve_without, report_result):
    serving = serve_without("error handling", url)
    with serving as server, RecordingClient(server.port) as client, filled(small_disk):
        writes = create_large_tasks(client)
    report_result(summarize(writes))
    assert count_statuses(writes)[500] > 0
