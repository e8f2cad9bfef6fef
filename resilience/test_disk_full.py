"""The disk of the database is full: what is there is read, what does not fit is a 503, and nothing written is lost."""

import os
import subprocess
from contextlib import contextmanager

import pytest

from resilience.clients import Client, slowest, statuses
from resilience.operations import new_task
from testing.programs import directory
from testing.servers import served

SIZE = "32m"
LARGE = {"title": "Large", "description": "x" * 2000}


@pytest.fixture
def small_disk(postgresql):
    """A file system of 32 MB that is the server's."""
    with directory(postgresql.cluster.system_user) as mount:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", mount], check=False)
        if mounted.returncode:
            pytest.skip("a tmpfs cannot be mounted: be root, with CAP_SYS_ADMIN")
        postgresql.own(mount)
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
def full(small_disk):
    filler = small_disk / "filler"
    free = os.statvfs(small_disk)
    filler.write_bytes(bytes(free.f_bavail * free.f_frsize))
    yield
    filler.unlink()


def test_a_full_disk_refuses_what_does_not_fit_and_loses_nothing(small_disk, url, figure):
    with served(url, LOG_LEVEL="CRITICAL") as server, Client(server.port) as client:
        path = new_task(client)
        with full(small_disk):
            answers = [client.send("POST", "/api/tasks", LARGE) for _ in range(100)]
            read = [client.send("GET", path), client.send("GET", "/api/tasks"), client.send("GET", "/readyz")]
        after = client.send("POST", "/api/tasks", LARGE)
        listed = {task["id"] for task in client.send("GET", "/api/tasks").body}
    made = {each.body["id"] for each in (*answers, after) if each.status == 201}
    figure(f"{dict(statuses(answers))}, the slowest {slowest(answers):.2f} s; {len(made - listed)} lost")
    assert statuses(answers).keys() == {201, 503}
    assert {each.body["code"] for each in answers if each.status == 503} == {"service_unavailable"}
    assert slowest(answers) < 1.5
    assert [each.status for each in read] == [200, 200, 200]
    assert after.status == 201
    assert made <= listed


def test_control_a_handler_that_knows_no_database_answers_500(small_disk, url, served_by, figure):
    with served_by("unsafe", url, WITHOUT="handler") as server, Client(server.port) as client, full(small_disk):
        answers = [client.send("POST", "/api/tasks", LARGE) for _ in range(100)]
    figure(f"{dict(statuses(answers))}")
    assert statuses(answers)[500] > 0
