"""The change feed leaves nothing out, in any order of commits, and after any restart."""

import os
import signal
import subprocess
from tempfile import TemporaryDirectory

import pytest

from resilience.followers import Follower
from resilience.limits import LONG_RUN
from resilience.operations import trash_path
from resilience.standbys import wait_for_replication
from testing.api_clients import BackgroundClients, RecordingClient, create_task
from testing.databases import new_database
from testing.late_commits import NUMBER_BY_SEQUENCE, running_service_with_pauses
from testing.postgresql import PostgreSQL
from testing.python_processes import python_output
from testing.servers import running_service
from testing.waiting import wait_for

WRITERS = 6
COMMITS = 5_000 if LONG_RUN else 600
WRITE_TIMEOUT = 600

#: One write of ten pauses up to 50 ms.
PAUSES = (0.1, 0.05)


def create_and_remove(client, number):
    """Create three tasks, and remove one of them for good."""
    created = [client.send("POST", "/api/tasks", {"title": f"By {number}"}) for _ in range(3)]
    if created[0].status != 201:
        return created
    path = created[0].headers["location"]
    return [*created, client.send("DELETE", path), client.send("DELETE", trash_path(path))]


def committed(writers):
    return sum(record.status in {200, 201} for record in writers.records)


def follow_writers(server, commits=COMMITS):
    """Follow the feed during writes, and return the follower and the number of commits."""
    with Follower(server.port) as follower, BackgroundClients(server.port, WRITERS, create_and_remove) as writers:
        wait_for(lambda: committed(writers) >= commits, "the writers have written", WRITE_TIMEOUT)
    return follower, committed(writers)


def follow_by_time(server):
    """Follow the writes by ``updated_after``; return the seen ids and the server's ids."""
    seen, last = set(), "2000-01-01T00:00:00.000000Z"
    with (
        RecordingClient(server.port) as reader,
        BackgroundClients(
            server.port, WRITERS, lambda client, _: [client.send("POST", "/api/tasks", {"title": "x"})]
        ) as writers,
    ):

        def read():
            nonlocal last
            found = reader.send("GET", f"/api/tasks?updated_after={last}&ordering=updated_at&limit=1000").body
            seen.update(task["id"] for task in found)
            last = found[-1]["updated_at"] if found else last
            return committed(writers) >= COMMITS

        wait_for(read, "the writers have written", WRITE_TIMEOUT)
    with RecordingClient(server.port) as reader:
        found = reader.send("GET", f"/api/tasks?updated_after={last}&ordering=updated_at").body
        seen.update(task["id"] for task in found)
        return seen, {task["id"] for task in reader.send("GET", "/api/tasks").body}


@pytest.fixture
def sqlite_url():
    with new_database("sqlite") as url:
        yield url


@pytest.mark.parametrize("kind", ["database_url", "sqlite_url"], ids=["postgresql", "sqlite"])
def test_follower_misses_no_delayed_commit(request, kind, report_result):
    with running_service_with_pauses(request.getfixturevalue(kind), *PAUSES) as server:
        follower, commits = follow_writers(server)
        missed = follower.missed()
    report_result(f"{len(missed)} of {commits} commits missed, {follower.pages} pages")
    assert missed == []


def test_control_without_transaction_ids_commits_are_missed(database_url, database_name, postgresql, report_result):
    postgresql.execute(NUMBER_BY_SEQUENCE, database_name)
    with running_service_with_pauses(database_url, *PAUSES) as server:
        follower, commits = follow_writers(server)
        missed = follower.missed()
    report_result(f"{len(missed)} of {commits} commits missed by a sequence")
    assert missed != []


def test_control_without_feed_updated_after_misses_commits(database_url, report_result):
    with running_service_with_pauses(database_url, *PAUSES) as server:
        seen, stored = follow_by_time(server)
    report_result(f"{len(stored - seen)} of {len(stored)} commits missed by updated_after")
    assert stored - seen


def test_follower_misses_nothing_when_processes_are_killed(server, postgresql, report_result):
    def kill(number):
        settings = postgresql.settings
        postgresql.kill()
        postgresql.start(**settings)
        if number == 0:
            os.kill(min(server.workers()), signal.SIGKILL)

    with Follower(server.port) as follower, BackgroundClients(server.port, WRITERS, create_and_remove) as writers:
        for number in range(3):
            before = committed(writers)
            wait_for(lambda: committed(writers) > before + 30, "the writers write")  # noqa: B023
            kill(number)
        before = committed(writers)
        wait_for(lambda: committed(writers) > before + 30, "the writers write again")
    missed = follower.missed()
    report_result(f"{len(missed)} of {committed(writers)} commits missed in 3 kills")
    assert (missed, follower.expired) == ([], 0)


@pytest.fixture
def young_cluster():
    """Start a server that has had few transactions."""
    with TemporaryDirectory(prefix="todo-restored-") as directory:
        cluster = PostgreSQL.create_in(directory)
        cluster.start()
        cluster.execute("CREATE ROLE todo LOGIN")
        cluster.execute("CREATE DATABASE restored OWNER todo")
        yield cluster
        cluster.kill()


def restore(server, name, cluster):
    """Copy a database into another cluster by ``pg_dump``, and return its URL."""
    dump = [str(cluster.cluster.bin_path / "pg_dump"), f"--dbname={server.url(name, 'todo')}"]
    load = [str(cluster.cluster.bin_path / "psql"), "--quiet", f"--dbname={cluster.url('restored', 'todo')}"]
    script = subprocess.run(dump, check=True, stdout=subprocess.PIPE).stdout
    subprocess.run([*load, "--set=ON_ERROR_STOP=1"], input=script, check=True, stdout=subprocess.DEVNULL)
    return cluster.url("restored", "todo")


def dump_and_restore(database_url, postgresql, database_name, young_cluster):
    """Follow some writes, restore the database, and return the follower's state and tasks and the new URL."""
    postgresql.execute("SELECT pg_current_xact_id() FROM generate_series(1, 1)")
    with running_service(database_url, WORKERS="1", LOG_LEVEL="CRITICAL") as server:
        follower, _ = follow_writers(server, 60)
    return follower, restore(postgresql, database_name, young_cluster)


def read_after_restore(follower, url):
    """Write to the restored database, and return what the follower misses."""
    with running_service(url, WORKERS="1", LOG_LEVEL="CRITICAL") as server:
        follower.close()
        follower.client = RecordingClient(server.port)
        follower.read_to_end()
        create_task(follower.client, "After the restore")
        follower.read_to_end()
        return follower.missed()


def test_follower_of_restored_database_starts_again(
    database_url, postgresql, database_name, young_cluster, report_result
):
    follower, url = dump_and_restore(database_url, postgresql, database_name, young_cluster)
    missed = read_after_restore(follower, url)
    report_result(f"{len(missed)} tasks missed after a restore into a young cluster, {follower.expired} state expired")
    assert (missed, follower.expired) == ([], 1)


def test_control_without_epoch_restored_changes_are_missed(
    database_url, postgresql, database_name, young_cluster, report_result
):
    follower, url = dump_and_restore(database_url, postgresql, database_name, young_cluster)
    fingerprint = "from database.fingerprint import fingerprint; print(fingerprint('changes_epoch'))"
    here = python_output("manage.py", "shell", "--verbosity=0", "-c", fingerprint, DATABASE_URL=url).strip()
    young_cluster.execute(f"UPDATE changes_epoch SET fingerprint = '{here}'", "restored")
    missed = read_after_restore(follower, url)
    report_result(f"{len(missed)} tasks missed after a restore without a new epoch")
    assert (len(missed) > 0, follower.expired) == (True, 0)


def lose_commits(primary, standby, follower, server):
    """Let the follower see commits that the standby lacks, then promote the standby."""
    [(receiver,)] = standby.execute("SELECT pid FROM pg_stat_wal_receiver")
    os.kill(receiver, signal.SIGSTOP)
    for _ in range(20):
        create_task(follower.client, "Lost")
    follower.read_to_end()
    seen = len(follower.tasks)
    primary.kill()
    os.kill(receiver, signal.SIGTERM)  # Without this, the standby would read the writes in its socket.
    os.kill(receiver, signal.SIGCONT)
    standby.execute("SELECT pg_promote()")
    with RecordingClient(server.port) as writer:
        wait_for(lambda: writer.send("POST", "/api/tasks", {"title": "Kept"}).status == 201, "a write succeeds", 30)
        for _ in range(5):
            create_task(writer, "Kept")
    return seen


def fail_over_to_lagging_standby(service, primary, standby):
    primary.restart()  # asynchronous from now on
    wait_for_replication(primary)
    with service as server:
        follower = Follower(server.port)
        create_task(follower.client, "Replicated")
        lose_commits(primary, standby, follower, server)
        follower.read_to_end()
        return follower, follower.missed()


def test_follower_misses_nothing_after_lossy_failover(url, primary, standby, report_result):
    service = running_service(url, WORKERS="2", LOG_LEVEL="CRITICAL")
    follower, missed = fail_over_to_lagging_standby(service, primary, standby)
    report_result(f"{len(missed)} tasks missed after a failover that loses commits, {follower.expired} state expired")
    assert (missed, follower.expired) == ([], 1)


def test_control_without_timeline_changes_are_missed(url, primary, standby, report_result, serve_without):
    follower, missed = fail_over_to_lagging_standby(serve_without("timeline", url), primary, standby)
    report_result(f"{len(missed)} tasks missed after a failover that loses commits, without the timeline")
    assert (len(missed) > 0, follower.expired) == (True, 0)
