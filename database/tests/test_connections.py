"""Connections to PostgreSQL: how long a request waits, which connections are reused, and their limit."""

import logging
import os
import socket
from contextlib import closing
from types import SimpleNamespace
from unittest.mock import Mock

import psycopg
import pytest
from django.conf import settings
from django.db import OperationalError, connection
from psycopg_pool import PoolTimeout, TooManyRequests

from database import connections
from database.connections import BoundedConnection, OutageFilter, connection_limit
from testing.ports import free_port

pytestmark = pytest.mark.skipif("config.getoption('database') == 'sqlite'", reason="SQLite has no server")


class ImpatientConnection(BoundedConnection):
    deadline, unavailable_timeout = 0.2, 0.1


AVAILABLE = (False, settings.DB_POOL_TIMEOUT)
UNAVAILABLE = (True, ImpatientConnection.unavailable_timeout)


def availability():
    """Return whether the server counts as unavailable, and how long a request waits for a connection."""
    return ImpatientConnection.unavailable, connection.pool.timeout


@pytest.fixture
def parameters(db):
    parameters = connection.get_connection_params()
    return {name: parameters[name] for name in ("dbname", "user", "password", "host", "port") if name in parameters}


@pytest.fixture
def bounded(parameters):
    with closing(ImpatientConnection.connect(**parameters)) as connected:
        yield connected
    ImpatientConnection.connect(**parameters).close()  # resets ``unavailable``
    ImpatientConnection.outage_start = None


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still until a test sets it."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(connections.time, "monotonic", lambda: clock.now)
    return clock


@pytest.fixture
def pool_checks(monkeypatch):
    """Record each check of all idle connections."""
    checks = []
    monkeypatch.setattr(connection.pool, "check", lambda: checks.append(True))
    return checks


def test_statement_within_the_deadline_succeeds(bounded):
    assert bounded.execute("SELECT 1").fetchone() == (1,)
    assert bounded.execute("SELECT n FROM generate_series(1, 3) AS n").fetchall() == [(1,), (2,), (3,)]
    assert not bounded.closed


def test_statement_over_the_deadline_closes_the_connection(bounded):
    with pytest.raises(psycopg.OperationalError, match=r"^the server did not answer in time$"):
        bounded.execute("SELECT pg_sleep(1)")
    assert bounded.closed
    with pytest.raises(psycopg.OperationalError, match="closed"):
        bounded.execute("SELECT 1")


def test_each_statement_has_its_own_deadline(bounded):
    for _ in range(3):
        bounded.execute("SELECT pg_sleep(0.1)")
    assert not bounded.closed


def test_statement_over_the_deadline_ends_its_transaction(bounded):
    with pytest.raises(psycopg.OperationalError), bounded.transaction():
        bounded.execute("SELECT pg_sleep(1)")
    assert bounded.closed


def test_refusing_server_is_unavailable_until_it_connects(bounded, parameters):
    assert availability() == AVAILABLE
    with pytest.raises(psycopg.OperationalError):
        ImpatientConnection.connect(**{**parameters, "host": "127.0.0.1", "port": free_port()})
    assert availability() == UNAVAILABLE
    ImpatientConnection.connect(**parameters).close()
    assert availability() == AVAILABLE


@pytest.fixture
def connect_late(parameters):
    """Return a function that connects to a server which accepts the connection and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_server = {"host": "127.0.0.1", "port": silent.getsockname()[1], "connect_timeout": 2}

        def connect_late():
            with pytest.raises(psycopg.errors.ConnectionTimeout):
                ImpatientConnection.connect(**{**parameters, **silent_server})

        yield connect_late


def test_late_attempt_alone_keeps_the_server_available(bounded, connect_late, caplog):
    """A database that wakes up answers the next attempt, for which the requests wait."""
    connect_late()
    assert (availability(), caplog.records) == (AVAILABLE, [])
    ImpatientConnection.note_refusal()
    assert availability() == UNAVAILABLE


def test_late_attempt_after_a_refusal_makes_unavailable(bounded, connect_late):
    ImpatientConnection.note_refusal()
    assert availability() == AVAILABLE
    connect_late()
    assert availability() == UNAVAILABLE
    ImpatientConnection.note_refusal()
    bounded.execute("SELECT 1")
    assert availability() == AVAILABLE
    connect_late()
    assert availability() == AVAILABLE


@pytest.mark.parametrize("error", [PoolTimeout, TooManyRequests])
def test_request_without_connection_is_noted(db, monkeypatch, error):
    monkeypatch.setattr(BoundedConnection, "has_refused", False)
    monkeypatch.setattr(connection.pool, "getconn", Mock(side_effect=error))
    with pytest.raises(error):
        connection.get_new_connection(connection.get_connection_params())
    assert BoundedConnection.has_refused


def test_silent_server_is_unavailable_until_it_answers(bounded, parameters):
    with closing(ImpatientConnection.connect(**parameters)) as other:
        with pytest.raises(psycopg.OperationalError):
            bounded.execute("SELECT pg_sleep(1)")
        assert availability() == UNAVAILABLE
        other.execute("")
        assert availability() == AVAILABLE


def test_outage_is_logged_when_it_begins_and_ends(bounded, parameters, clock, caplog):
    """An answer in the first second is one of a server that shuts down."""
    port = free_port()
    for _ in range(2):
        with pytest.raises(psycopg.OperationalError):
            ImpatientConnection.connect(**{**parameters, "host": "127.0.0.1", "port": port})
        clock.now += 0.9
        bounded.execute("SELECT 1")
        assert not ImpatientConnection.unavailable
        clock.now += 11.4
    reason = f'connection failed: connection to server at "127.0.0.1", port {port} failed: Connection refused'
    assert [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "database"] == [
        ("ERROR", f"The database is unavailable: {reason}"),
        ("WARNING", "The database is available again after 13.2 s"),
    ]


def record_of(status, error=None):
    """Return the log record of a response, as Django makes it."""
    exception = error and (type(error), error, None)
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "", (), exception)
    record.status_code = status
    return record


def caused_by(cause):
    error = OperationalError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("status", "error", "logged"),
    [
        (500, None, True),
        (500, caused_by(psycopg.errors.AdminShutdown()), True),
        (503, None, False),
        (503, caused_by(psycopg.OperationalError("the connection is lost")), False),
        (503, caused_by(psycopg.errors.AdminShutdown()), False),
        (503, caused_by(psycopg.errors.DiskFull()), True),
        (503, caused_by(psycopg.errors.QueryCanceled()), True),
        (503, caused_by(PoolTimeout()), True),
        (503, caused_by(TooManyRequests()), True),
        (503, OperationalError("database is locked"), True),
    ],
)
def test_only_503s_that_tell_nothing_new_are_not_logged(status, error, logged):
    assert OutageFilter().filter(record_of(status, error)) is logged


def test_503s_during_an_outage_and_just_after_it_are_not_logged(clock, monkeypatch):
    record = record_of(503, caused_by(PoolTimeout()))
    monkeypatch.setattr(BoundedConnection, "outage_start", clock.now)
    assert not OutageFilter().filter(record)
    monkeypatch.setattr(BoundedConnection, "outage_start", None)
    monkeypatch.setattr(BoundedConnection, "outage_end", clock.now)
    assert not OutageFilter().filter(record)
    clock.now += 1
    assert OutageFilter().filter(record)


def test_idle_connection_to_an_unavailable_server_is_checked(bounded, monkeypatch):
    waits = []
    monkeypatch.setattr(ImpatientConnection, "wait", lambda self, *_: waits.append(self))
    bounded.execute("")
    assert waits == []
    monkeypatch.setattr(ImpatientConnection, "unavailable", True)
    bounded.execute("")
    assert waits == [bounded]


@pytest.mark.skipif(settings.DB_POOLER != "none", reason="a pooler does not pass the change on")
def test_connection_to_a_server_that_became_read_only_is_closed(bounded, pool_checks):
    """PostgreSQL reports the change with the next statement of the session."""
    assert (bounded.was_primary, bounded.is_primary()) == (True, True)
    bounded.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="closed"):
        bounded.execute("")
    assert (bounded.closed, pool_checks) == (True, [True])


@pytest.mark.skipif(settings.DB_POOLER != "none", reason="a pooler refuses the option")
def test_connection_to_a_read_only_server_stays_open(parameters):
    with closing(ImpatientConnection.connect(**parameters, options="-c default_transaction_read_only=on")) as connected:
        connected.execute("")
        assert (connected.was_primary, connected.closed) == (False, False)


def test_dead_idle_connection_makes_the_pool_check_all(bounded, pool_checks):
    with socket.socket(fileno=os.dup(bounded.pgconn.socket)) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
    with pytest.raises(psycopg.OperationalError):
        bounded.execute("")
    assert pool_checks == [True]


@pytest.fixture
def alter(db):
    """Return a function that alters the role or the database until the test's transaction ends."""

    def execute(clause):
        with connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_user), quote_ident(current_database())")
            role, database = cursor.fetchone()
            cursor.execute(clause.format(role=role, database=database))

    return execute


@pytest.mark.parametrize(
    "clause", ["ALTER ROLE {role} CONNECTION LIMIT 5", "ALTER DATABASE {database} CONNECTION LIMIT 5"]
)
def test_connection_limit_is_that_of_role_or_database(alter, clause):
    alter(clause)
    assert connection_limit() == 5


@pytest.mark.django_db
def test_connection_limit_defaults_to_that_of_the_server():
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        admitted = int(cursor.fetchone()[0])
        cursor.execute("SHOW superuser_reserved_connections")
        assert connection_limit() == admitted - int(cursor.fetchone()[0])


def test_second_failure_of_an_outage_is_not_logged(monkeypatch, caplog):
    monkeypatch.setattr(BoundedConnection, "unavailable", True)
    BoundedConnection._note_failure(psycopg.OperationalError("refused"))
    assert caplog.records == []
