"""When writes are refused, which ones, and when they are accepted again.

``resilience/test_write_breaker.py`` has a real standby.
"""

from contextlib import closing
from threading import Event
from unittest.mock import Mock

import psycopg
import pytest
from django.db import connection

from database import connections, write_breaker
from database.connections import BoundedConnection
from database.postgresql import base
from database.write_breaker import StandbyTimeout, WriteBreaker, unlogged_tables
from tasks.tests.api.contract import problem
from testing.waiting import wait_for

on_postgresql = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no standby")
without_pooler = pytest.mark.skipif(
    "config.getoption('database') != 'postgresql'", reason="SQLite has no standby, and a pooler hides the process"
)

#: A wait for PostgreSQL that ends only if PostgreSQL cancels the statement.
WAIT = "SELECT pg_sleep(60)"


class ImpatientConnection(BoundedConnection):
    deadline = 0.5


@pytest.fixture
def breaker(monkeypatch):
    """Replace the breaker of this process by one that takes ``pg_sleep`` for the wait for a standby."""
    breaker = WriteBreaker()
    for module in (connections, base):
        monkeypatch.setattr(module, "write_breaker", breaker)
    monkeypatch.setattr(write_breaker, "WAIT_EVENT", "PgSleep")
    monkeypatch.setattr(write_breaker, "QUESTION_SECONDS", 30)
    monkeypatch.setattr(write_breaker, "PROBE", WAIT)
    yield breaker
    write_breaker.PROBE = "SELECT 1"
    wait_for(lambda: breaker.opened_at is None, "the probe is answered")


@pytest.fixture
def waiting(db):
    with closing(ImpatientConnection.connect(**connection.get_connection_params())) as waiting:
        yield waiting
    with connection.cursor() as cursor:  # on a busy machine a statement may begin too late to be cancelled
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = %s AND datname = current_database()",
            [WAIT],
        )


def is_running(pid):
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_stat_activity WHERE pid = %s", [pid])
        return cursor.fetchone() is not None


def messages(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "database"]


@without_pooler
def test_wait_for_standby_is_cancelled_and_opens(breaker, waiting):
    pid = waiting.pgconn.backend_pid
    with pytest.raises(StandbyTimeout, match=r"^the standby did not answer in time$"):
        waiting.execute(WAIT)
    wait_for(lambda: not is_running(pid), "the statement is cancelled")
    assert breaker.opened_at is not None
    assert not ImpatientConnection.unavailable


@without_pooler
def test_breaker_closes_when_a_probe_is_answered(breaker, waiting, monkeypatch, caplog):
    probes = Mock(side_effect=write_breaker._probe_waits)
    monkeypatch.setattr(write_breaker, "_probe_waits", probes)
    with pytest.raises(StandbyTimeout):
        waiting.execute(WAIT)
    wait_for(lambda: probes.call_count > 1, "the first probe has had no answer")
    assert breaker.opened_at is not None
    monkeypatch.setattr(write_breaker, "PROBE", "SELECT 1")
    wait_for(lambda: breaker.opened_at is None, "the breaker closes")
    wait_for(lambda: len(messages(caplog)) == 2, "the end is logged")
    opened, closed = messages(caplog)
    assert opened == ("ERROR", "Writes are refused: PostgreSQL waits for a synchronous standby")
    assert closed[0] == "WARNING"
    assert closed[1].startswith("Writes are accepted again after ")


@without_pooler
def test_breaker_closes_when_a_probe_fails_otherwise(breaker, waiting, monkeypatch):
    monkeypatch.setattr(write_breaker, "PROBE", "SELECT 1 / 0")
    with pytest.raises(StandbyTimeout):
        waiting.execute(WAIT)
    wait_for(lambda: breaker.opened_at is None, "the breaker closes")


@without_pooler
def test_other_wait_opens_nothing(breaker, waiting, monkeypatch):
    monkeypatch.setattr(write_breaker, "WAIT_EVENT", "SyncRep")
    with pytest.raises(psycopg.OperationalError, match=r"^the server did not answer in time$"):
        waiting.execute("SELECT pg_sleep(1)")
    assert breaker.opened_at is None


@without_pooler
def test_statement_younger_than_the_limit_is_not_cancelled(breaker, waiting):
    waiting.pgconn.send_query(WAIT.encode())
    arguments = ImpatientConnection.connect, waiting.pgconn.backend_pid
    assert not breaker.waits_for_standby(*arguments, 50)
    wait_for(lambda: breaker.waits_for_standby(*arguments, 0), "the statement waits")


def test_question_through_a_pooler_is_not_asked(breaker, settings):
    settings.DB_POOLER = "transaction"
    connect = Mock()
    assert not breaker.waits_for_standby(connect, 1, 2)
    connect.assert_not_called()


@without_pooler
def test_question_without_a_connection_opens_nothing(breaker):
    assert not breaker.waits_for_standby(Mock(side_effect=psycopg.OperationalError), 1, 2)


@without_pooler
def test_question_without_answer_delays_shortly(breaker, monkeypatch):
    monkeypatch.setattr(write_breaker, "QUESTION_SECONDS", 0)
    answered = Event()
    assert not breaker.waits_for_standby(lambda **_: answered.wait(), 1, 2)
    answered.set()


@pytest.mark.parametrize(
    ("statement", "refused"),
    [
        ('INSERT INTO "tasks_task" VALUES (%s)', True),
        ('UPDATE "tasks_task" SET "completed" = %s', True),
        ('DELETE FROM "tasks_task"', True),
        ('WITH new AS (SELECT 1) INSERT INTO "tasks_task" SELECT * FROM new', True),
        ('SELECT "id" FROM "tasks_task" FOR UPDATE', True),
        ('SELECT "updated_at", "deleted_at" FROM "tasks_task"', False),
        ("SELECT set_config('todo.user_id', %s, true)", False),
        ("INSERT INTO throttling_window VALUES (1)", False),
    ],
)
def test_open_breaker_refuses_only_writes(statement, refused):
    breaker = WriteBreaker()
    breaker.refuse_write(statement)
    breaker.opened_at = 1000.0
    if not refused:
        breaker.refuse_write(statement)
        return
    with pytest.raises(StandbyTimeout, match=r"^PostgreSQL waits for a synchronous standby$"):
        breaker.refuse_write(statement)


def test_table_of_rate_limits_is_unlogged():
    assert unlogged_tables == {"throttling_window"}


@on_postgresql
@pytest.mark.django_db
def test_open_breaker_answers_writes_with_503_and_reads(client, monkeypatch):
    monkeypatch.setattr(base.write_breaker, "opened_at", 1000.0)
    refused = client.post("/api/tasks", {"title": "New"}, content_type="application/json")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json() == problem("service_unavailable", "/api/tasks", request_id=refused.headers["X-Request-ID"])
    assert client.get("/api/tasks").getvalue() == b"[]"


@on_postgresql
@pytest.mark.django_db
def test_open_breaker_refuses_replays(client, monkeypatch):
    """The write may have been given up, and no other server may have it yet."""

    def send():
        return client.post("/api/tasks", {"title": "New"}, content_type="application/json", HTTP_IDEMPOTENCY_KEY="key")

    assert send().status_code == 201
    monkeypatch.setattr(base.write_breaker, "opened_at", 1000.0)
    assert send().status_code == 503
