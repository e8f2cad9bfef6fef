"""When a database error means that the database is away, and how long a request waits for it."""

import os
import socket
import sqlite3
from contextlib import closing

import psycopg
import psycopg_pool
import pytest
from django.conf import settings
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.db.utils import DatabaseErrorWrapper

from database.connections import BoundedConnection, connection_limit
from database.errors import is_unavailable


def caused(error, sqlstate):
    """A database error as Django wraps it, around the driver's own."""
    error.__cause__ = psycopg.errors.lookup(sqlstate)()
    return error


def in_sqlite(code):
    error = OperationalError()
    error.__cause__ = sqlite3.OperationalError()
    error.__cause__.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        pytest.param(OperationalError("database is locked"), True, id="operational"),
        pytest.param(caused(OperationalError(), "57P01"), True, id="admin-shutdown"),
        pytest.param(caused(OperationalError(), "57014"), True, id="statement-timeout"),
        pytest.param(caused(OperationalError(), "53300"), True, id="too-many-connections"),
        pytest.param(caused(OperationalError(), "53100"), True, id="disk-full"),
        pytest.param(InterfaceError("connection already closed"), True, id="interface"),
        pytest.param(caused(InternalError(), "25006"), True, id="read-only"),
        pytest.param(caused(InternalError(), "25P03"), True, id="idle-in-transaction-timeout"),
        pytest.param(caused(InternalError(), "25P04"), True, id="transaction-timeout"),
        pytest.param(caused(OperationalError(), "08P01"), True, id="pooler-query-wait-timeout"),
        pytest.param(caused(OperationalError(), "40P01"), True, id="deadlock"),
        pytest.param(caused(OperationalError(), "55P03"), True, id="lock-timeout"),
        pytest.param(caused(OperationalError(), "57P03"), True, id="starting-up"),
        pytest.param(caused(OperationalError(), "58030"), True, id="io-error"),
        pytest.param(caused(OperationalError(), "54000"), False, id="program-limit"),
        pytest.param(caused(OperationalError(), "55000"), False, id="not-in-prerequisite-state"),
        pytest.param(in_sqlite(sqlite3.SQLITE_BUSY), True, id="sqlite-locked"),
        pytest.param(in_sqlite(sqlite3.SQLITE_IOERR_WRITE), True, id="sqlite-io-error"),
        pytest.param(in_sqlite(sqlite3.SQLITE_FULL), True, id="sqlite-full"),
        pytest.param(in_sqlite(sqlite3.SQLITE_READONLY_DBMOVED), True, id="sqlite-read-only"),
        pytest.param(in_sqlite(sqlite3.SQLITE_CANTOPEN), True, id="sqlite-missing"),
        pytest.param(in_sqlite(sqlite3.SQLITE_ERROR), False, id="sqlite-no-such-table"),
        pytest.param(None, False, id="no-error"),
        pytest.param(caused(InternalError(), "25P02"), False, id="in-failed-transaction"),
        pytest.param(caused(InternalError(), "XX000"), False, id="internal"),
        pytest.param(InternalError(), False, id="internal-without-a-cause"),
        pytest.param(caused(IntegrityError(), "23505"), False, id="unique"),
        pytest.param(caused(DataError(), "22021"), False, id="nul-in-a-text"),
        pytest.param(caused(ProgrammingError(), "42P01"), False, id="no-such-table"),
        pytest.param(NotSupportedError(), False, id="not-supported"),
        pytest.param(DatabaseError(), False, id="database"),
        pytest.param(ConnectionRefusedError(), False, id="connection-refused-elsewhere"),
        pytest.param(TimeoutError(), False, id="time-out-elsewhere"),
        pytest.param(RuntimeError(), False, id="any-other"),
    ],
)
def test_an_error_says_whether_the_database_is_away(error, unavailable):
    assert is_unavailable(error) is unavailable


def test_a_pool_that_is_exhausted_is_a_database_that_is_away():
    """As Django wraps what the pool raises."""
    wrapper = type("Wrapper", (), {"Database": psycopg, "errors_occurred": False})()
    with pytest.raises(OperationalError) as raised, DatabaseErrorWrapper(wrapper):
        raise psycopg_pool.PoolTimeout("couldn't get a connection after 1.00 sec")
    assert is_unavailable(raised.value)


def test_a_text_that_cannot_be_read_is_no_database_that_is_away():
    """An error of the driver's own, without a code."""
    wrapper = type("Wrapper", (), {"Database": sqlite3, "errors_occurred": False})()
    with (
        closing(sqlite3.connect(":memory:")) as database,
        pytest.raises(OperationalError) as raised,
        DatabaseErrorWrapper(wrapper),
    ):
        database.execute("SELECT CAST(X'ff' AS TEXT)").fetchone()
    assert str(raised.value).startswith("Could not decode to UTF-8")
    assert not is_unavailable(raised.value)


postgresql = pytest.mark.skipif(
    "postgresql" not in settings.DATABASES["default"]["ENGINE"], reason="BoundedConnection is of PostgreSQL's driver"
)


class Impatient(BoundedConnection):
    deadline, unavailable_timeout = 0.2, 0.1


def refused_port():
    """A port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def parameters(db):
    given = connection.get_connection_params()
    return {name: given[name] for name in ("dbname", "user", "password", "host", "port") if name in given}


@pytest.fixture
def bounded(parameters):
    with closing(Impatient.connect(**parameters)) as connected:
        yield connected
    Impatient.connect(**parameters).close()  # the server answers, and is waited for again


READ_ONLY = "-c default_transaction_read_only=on"


def waits():
    """Seconds that a request waits for a connection."""
    return connection.pool.timeout


@postgresql
def test_a_statement_in_time_passes(bounded):
    assert bounded.execute("SELECT 1").fetchone() == (1,)
    assert bounded.execute("SELECT n FROM generate_series(1, 3) AS n").fetchall() == [(1,), (2,), (3,)]
    assert not bounded.closed


@postgresql
def test_a_statement_that_takes_too_long_closes_the_connection(bounded):
    with pytest.raises(psycopg.OperationalError, match=r"^the server did not answer in time$"):
        bounded.execute("SELECT pg_sleep(1)")
    assert bounded.closed
    with pytest.raises(psycopg.OperationalError, match="closed"):
        bounded.execute("SELECT 1")


@postgresql
def test_each_wait_has_a_deadline_of_its_own(bounded):
    for _ in range(3):
        bounded.execute("SELECT pg_sleep(0.1)")
    assert not bounded.closed


@postgresql
def test_the_end_of_a_transaction_has_a_deadline_too(bounded):
    with pytest.raises(psycopg.OperationalError), bounded.transaction():
        bounded.execute("SELECT pg_sleep(1)")
    assert bounded.closed


@postgresql
def test_a_server_that_refuses_is_away_until_it_lets_somebody_in(bounded, parameters):
    assert (Impatient.unavailable, waits()) == (False, settings.DB_POOL_TIMEOUT)
    with pytest.raises(psycopg.OperationalError):
        Impatient.connect(**{**parameters, "host": "127.0.0.1", "port": refused_port()})
    assert (Impatient.unavailable, waits()) == (True, Impatient.unavailable_timeout)
    Impatient.connect(**parameters).close()
    assert (Impatient.unavailable, waits()) == (False, settings.DB_POOL_TIMEOUT)


@postgresql
def test_a_server_that_is_silent_is_away_until_it_answers(bounded, parameters):
    with closing(Impatient.connect(**parameters)) as other:
        with pytest.raises(psycopg.OperationalError):
            bounded.execute("SELECT pg_sleep(1)")
        assert (Impatient.unavailable, waits()) == (True, Impatient.unavailable_timeout)
        other.execute("")
        assert (Impatient.unavailable, waits()) == (False, settings.DB_POOL_TIMEOUT)


@postgresql
def test_an_idle_connection_to_a_server_that_is_away_is_asked(bounded, parameters, monkeypatch):
    asked = []
    monkeypatch.setattr(Impatient, "wait", lambda self, *_: asked.append(self))
    bounded.execute("")
    assert asked == []
    monkeypatch.setattr(Impatient, "unavailable", True)
    bounded.execute("")
    assert asked == [bounded]


@postgresql
@pytest.mark.skipif(settings.DB_POOLER != "none", reason="A pooler does not pass it on")
def test_a_connection_whose_server_has_become_read_only_is_not_used_again(bounded, monkeypatch):
    """As after a reload of its configuration, which each session hears of with its next statement."""
    looked = []
    monkeypatch.setattr(connection.pool, "check", lambda: looked.append(True))
    assert (bounded.was_primary, bounded.is_primary()) == (True, True)
    bounded.execute("SET default_transaction_read_only = on")
    with pytest.raises(psycopg.OperationalError, match="closed"):
        bounded.execute("")
    assert (bounded.closed, looked) == (True, [True])


@postgresql
@pytest.mark.skipif(settings.DB_POOLER != "none", reason="A pooler refuses the option")
def test_one_to_a_server_that_was_read_only_is_used(parameters):
    with closing(Impatient.connect(**parameters, options=READ_ONLY)) as connected:
        connected.execute("")
        assert (connected.was_primary, connected.closed) == (False, False)


@postgresql
def test_where_one_idle_connection_is_dead_all_are_looked_at(bounded, monkeypatch):
    looked = []
    monkeypatch.setattr(connection.pool, "check", lambda: looked.append(True))
    with socket.socket(fileno=os.dup(bounded.pgconn.socket)) as lost:
        lost.shutdown(socket.SHUT_RDWR)
    with pytest.raises(psycopg.OperationalError):
        bounded.execute("")
    assert looked == [True]


@pytest.fixture
def limited(db):
    """Sets what the role or the database admits, until the test's transaction is rolled back."""

    def limit(clause):
        with connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_user), quote_ident(current_database())")
            role, database = cursor.fetchone()
            cursor.execute(clause.format(role=role, database=database))

    return limit


@postgresql
@pytest.mark.parametrize(
    "clause", ["ALTER ROLE {role} CONNECTION LIMIT 5", "ALTER DATABASE {database} CONNECTION LIMIT 5"]
)
def test_the_role_and_the_database_limit_the_connections(limited, clause):
    limited(clause)
    assert connection_limit() == 5


@postgresql
@pytest.mark.django_db
def test_without_limits_the_server_has_one():
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_connections")
        admitted = int(cursor.fetchone()[0])
        cursor.execute("SHOW superuser_reserved_connections")
        assert connection_limit() == admitted - int(cursor.fetchone()[0])
