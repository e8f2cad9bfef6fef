"""After a deadlock or serialization failure of PostgreSQL the service retries once, then returns 503.

The service locks rows in one order, so its own requests never deadlock. Here other sessions lock the same rows in the
opposite order, as an operator's script may do.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from resilience.limits import CLIENTS
from testing.api_clients import BackgroundClients, RecordingClient, count_statuses, create_task
from testing.waiting import wait_for

KEY = "a-key-of-the-scenario"
INSERT_KEY = (
    "INSERT INTO idempotency_keptresponse (user_id, key, fingerprint, status, headers, body, created_at)"
    f" VALUES ('default', '{KEY}', '', 200, '{{}}', '', now())"
)
RETRIES = pytest.mark.parametrize(("times", "status"), [(1, 200), (2, 503)], ids=["once", "twice"])


def configure(postgresql, database_name, setting):
    postgresql.execute(f"ALTER DATABASE {database_name} SET {setting}")
    postgresql.end_sessions()


@contextmanager
def open_sessions(postgresql, database_name, number):
    """Open sessions that PostgreSQL never chooses as the victim of a deadlock."""
    url = postgresql.url(database_name)
    with ExitStack() as stack:
        yield [stack.enter_context(psycopg.connect(url, options="-c deadlock_timeout=20s")) for _ in range(number)]


def wait_for_waiting_session(postgresql, condition):
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {condition}"
    wait_for(lambda: postgresql.execute(waiting) == [(1,)], f"a session waits for a lock, {condition}")


def lock_task(session, path):
    session.execute("UPDATE tasks_task SET version = version WHERE id = %s", [path.rpartition("/")[2]])


@pytest.fixture
def toggle_with_deadlocks(postgresql, database_name):
    """Return a function that toggles a task with a key during deadlocks, and again afterwards."""

    def toggle_with_deadlocks(port, times):
        opened = open_sessions(postgresql, database_name, 1)
        with RecordingClient(port) as client, opened as [session], ThreadPoolExecutor(1) as thread:
            configure(postgresql, database_name, "deadlock_timeout = '500ms'")
            path = create_task(client)
            session.execute(INSERT_KEY)
            [(xid,)] = session.execute("SELECT pg_current_xact_id()::xid::text").fetchall()
            waiting = f"SELECT count(*) FROM pg_locks WHERE transactionid = '{xid}' AND NOT granted"
            toggle = thread.submit(client.send, "POST", f"{path}/toggle", Idempotency_Key=KEY)
            for _ in range(times):
                wait_for(lambda: postgresql.execute(waiting) == [(1,)], "the service waits for the key")
                with session.transaction(force_rollback=True):
                    lock_task(session, path)
            session.rollback()
            record = toggle.result()
            version = client.send("GET", path).body["version"]
            again = client.send("POST", f"{path}/toggle", Idempotency_Key=KEY)
        count = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database_name}'"
        wait_for(lambda: postgresql.execute(count) == [(times,)], "PostgreSQL counts the deadlocks")
        return record, version, again

    return toggle_with_deadlocks


@pytest.fixture
def toggle_with_serialization_failures(postgresql, database_name):
    """Return a function that toggles a task at repeatable read while other sessions write the task."""

    def toggle_with_serialization_failures(port, times):
        opened = open_sessions(postgresql, database_name, times)
        with RecordingClient(port) as client, opened as sessions, ThreadPoolExecutor(2) as threads:
            # The sessions above stay at read committed, because they were opened before.
            configure(postgresql, database_name, "default_transaction_isolation = 'repeatable read'")
            path = create_task(client)
            lock_task(sessions[0], path)
            for session in sessions[1:]:
                threads.submit(lock_task, session, path)
                wait_for_waiting_session(postgresql, "application_name <> 'todo'")
            toggle = threads.submit(client.send, "POST", f"{path}/toggle")
            for session in sessions:
                # The service waits in the queue for the row, and finally for the last session's transaction.
                event = "transactionid" if session is sessions[-1] else "tuple"
                wait_for_waiting_session(postgresql, f"application_name = 'todo' AND wait_event = '{event}'")
                session.commit()
            return toggle.result(), client.send("GET", path).body["version"]

    return toggle_with_serialization_failures


def check_response(record, version, status):
    """Check that the task changed if and only if the status is 200."""
    assert (record.status, version) == (status, 2 if status == 200 else 1)
    if status == 503:
        assert (record.headers["retry-after"], record.body["code"]) == ("1", "service_unavailable")


@RETRIES
def test_deadlock_is_retried_once(server, toggle_with_deadlocks, report_result, times, status):
    record, version, again = toggle_with_deadlocks(server.port, times)
    report_result(f"{record.status} after {times} deadlocks and {record.seconds:.2f} s")
    check_response(record, version, status)
    assert (again.status, again.body["version"]) == (200, 2)
    assert ("idempotency-replayed" in again.headers) is (status == 200)


def test_control_without_retry_deadlock_returns_503(serve_without, toggle_with_deadlocks):
    with serve_without("retry") as server:
        record, version, _ = toggle_with_deadlocks(server.port, 1)
    check_response(record, version, 503)


@RETRIES
def test_serialization_failure_is_retried_once(
    server, toggle_with_serialization_failures, report_result, times, status
):
    record, version = toggle_with_serialization_failures(server.port, times)
    report_result(f"{record.status} after {times} failures and {record.seconds:.2f} s")
    check_response(record, version, status)


def test_control_without_retry_conflict_returns_503(serve_without, toggle_with_serialization_failures):
    with serve_without("retry") as server:
        record, version = toggle_with_serialization_failures(server.port, 1)
    check_response(record, version, 503)


def test_toggles_at_repeatable_read_succeed_or_return_503(server, postgresql, database_name, report_result):
    """A 200 is a toggle, and a 503 is none."""
    configure(postgresql, database_name, "default_transaction_isolation = 'repeatable read'")
    with RecordingClient(server.port) as client:
        path = create_task(client)
        toggles = BackgroundClients(server.port, CLIENTS, lambda one, _: [one.send("POST", f"{path}/toggle")])
        with toggles as clients:
            wait_for(lambda: len(clients.records) > 500, "the clients have sent 500 toggles")
        version = client.send("GET", path).body["version"]
    statuses = count_statuses(clients.records)
    report_result(f"{dict(statuses)}, version {version}")
    assert statuses.keys() == {200, 503}
    assert version == 1 + statuses[200]
