"""A deadlock and a serialization failure that PostgreSQL finds itself: tried once more, and then a 503.

The service takes the rows of a request in one order, so that no two requests meet in a deadlock. Other sessions do here
what an operator's script may do: they take the same rows in the opposite order.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from resilience.clients import Client, Crowd, statuses
from resilience.operations import new_task
from testing.programs import wait_for

CLIENTS = 12
KEY = "a-key-of-the-scenario"
TAKE_KEY = (
    "INSERT INTO idempotency_keptresponse (user_id, key, fingerprint, status, headers, body, created_at)"
    f" VALUES ('default', '{KEY}', '', 200, '{{}}', '', now())"
)


@pytest.fixture
def name(database_url):
    return database_url.rpartition("/")[2]


@pytest.fixture
def serve(server, served_by):
    """The port of the service, or of the one without a safeguard."""
    with ExitStack() as stack:
        yield lambda without: stack.enter_context(served_by("unsafe", WITHOUT=without)).port if without else server.port


@pytest.fixture
def others(postgresql, name, times):
    """As many sessions that are not the service's, and never the victim of a deadlock."""
    with ExitStack() as stack:
        connect = psycopg.connect
        yield [
            stack.enter_context(connect(postgresql.url(name), options="-c deadlock_timeout=20s")) for _ in range(times)
        ]


CASES = pytest.mark.parametrize(
    ("times", "without", "status"),
    [(1, None, 200), (2, None, 503), (1, "second try", 503)],
    ids=["once", "twice", "control"],
)


def wait_for_one_that_waits(postgresql, condition):
    waiting = f"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {condition}"
    wait_for(lambda: postgresql.execute(waiting) == [(1,)], f"a session waits, {condition}")


def take(session, path):
    session.execute("UPDATE tasks_task SET version = version WHERE id = %s", [path.rpartition("/")[2]])


@CASES
def test_a_deadlock_is_tried_once_more(serve, postgresql, name, others, figure, times, without, status):
    port = serve(without)
    postgresql.execute(f"ALTER DATABASE {name} SET deadlock_timeout = '500ms'")
    postgresql.end_sessions()
    with Client(port) as client, ThreadPoolExecutor(1) as thread:
        path = new_task(client)
        others[0].execute(TAKE_KEY)
        toggle = thread.submit(client.send, "POST", f"{path}/toggle", Idempotency_Key=KEY)
        for _ in range(times):
            wait_for_one_that_waits(postgresql, "query LIKE 'INSERT INTO \"idempotency%'")  # and has the task
            with others[0].transaction(force_rollback=True):
                take(others[0], path)  # a deadlock, until the service lets go
        others[0].rollback()
        answer = toggle.result()
        before = client.send("GET", path).body["version"]
        again = client.send("POST", f"{path}/toggle", Idempotency_Key=KEY)
    found = f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{name}'"
    wait_for(lambda: postgresql.execute(found) == [(times,)], "PostgreSQL counts them")
    figure(f"{answer.status} after {times} deadlocks and {answer.seconds:.2f} s")
    check(answer, status, before)
    assert (again.status, again.body["version"], "idempotency-replayed" in again.headers) == (200, 2, status == 200)


@CASES
def test_a_serialization_failure_is_tried_once_more(serve, postgresql, name, others, figure, times, without, status):
    """Where the database is set to repeatable read, it is one to write what another session has written meanwhile."""
    port = serve(without)
    repeatable_read(postgresql, name)
    with Client(port) as client, ThreadPoolExecutor(2) as threads:
        path = new_task(client)
        take(others[0], path)
        for session in others[1:]:
            threads.submit(take, session, path)
            wait_for_one_that_waits(postgresql, "application_name <> 'todo'")
        toggle = threads.submit(client.send, "POST", f"{path}/toggle")
        for holder in others:  # behind which the service waits in the queue for the row, and then for the holder
            event = "transactionid" if holder is others[-1] else "tuple"
            wait_for_one_that_waits(postgresql, f"application_name = 'todo' AND wait_event = '{event}'")
            holder.commit()
        answer = toggle.result()
        after = client.send("GET", path).body["version"]
    figure(f"{answer.status} after {times} failures and {answer.seconds:.2f} s")
    check(answer, status, after)


def repeatable_read(postgresql, name):
    postgresql.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'")
    postgresql.end_sessions()


def check(answer, status, version):
    assert (answer.status, version) == (status, 2 if status == 200 else 1)
    if status == 503:
        assert (answer.headers["retry-after"], answer.body["code"]) == ("1", "service_unavailable")


def test_toggles_at_repeatable_read_are_done_or_are_503s(server, postgresql, name, figure):
    """Of twelve clients at one task: each 200 is a toggle, and no 503 is one."""
    port = server.port
    repeatable_read(postgresql, name)
    with Client(port) as client:
        path = new_task(client)
        with Crowd(port, CLIENTS, lambda one, _: [one.send("POST", f"{path}/toggle")]) as crowd:
            wait_for(lambda: len(crowd.exchanges) > 500, "the clients toggle")
        version = client.send("GET", path).body["version"]
    seen = statuses(crowd.exchanges)
    figure(f"{dict(seen)}, version {version}")
    assert seen.keys() == {200, 503}
    assert version == 1 + seen[200]
