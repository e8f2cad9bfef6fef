"""Which database errors mean that the database is unavailable."""

import sqlite3
from contextlib import closing

import psycopg
import psycopg_pool
import pytest
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
)
from django.db.utils import DatabaseErrorWrapper

from database.errors import is_unavailable


def with_sqlstate(error, sqlstate):
    """Set the driver's error as the cause, as Django does."""
    error.__cause__ = psycopg.errors.lookup(sqlstate)()
    return error


def sqlite_error(code):
    error = OperationalError()
    error.__cause__ = sqlite3.OperationalError()
    error.__cause__.sqlite_errorcode = code
    return error


def wrap_errors_of(driver):
    """Return the context manager in which Django turns the driver's errors into its own."""
    return DatabaseErrorWrapper(type("Wrapper", (), {"Database": driver, "errors_occurred": False})())


@pytest.mark.parametrize(
    ("error", "unavailable"),
    [
        pytest.param(OperationalError("database is locked"), True, id="operational"),
        pytest.param(with_sqlstate(OperationalError(), "57P01"), True, id="admin-shutdown"),
        pytest.param(with_sqlstate(OperationalError(), "57014"), True, id="statement-timeout"),
        pytest.param(with_sqlstate(OperationalError(), "53300"), True, id="too-many-connections"),
        pytest.param(with_sqlstate(OperationalError(), "53100"), True, id="disk-full"),
        pytest.param(InterfaceError("connection already closed"), True, id="interface"),
        pytest.param(with_sqlstate(InternalError(), "25006"), True, id="read-only"),
        pytest.param(with_sqlstate(InternalError(), "25P03"), True, id="idle-in-transaction-timeout"),
        pytest.param(with_sqlstate(InternalError(), "25P04"), True, id="transaction-timeout"),
        pytest.param(with_sqlstate(OperationalError(), "08P01"), True, id="pooler-query-wait-timeout"),
        pytest.param(with_sqlstate(OperationalError(), "40P01"), True, id="deadlock"),
        pytest.param(with_sqlstate(OperationalError(), "55000"), True, id="standby-without-log-position"),
        pytest.param(with_sqlstate(OperationalError(), "55P03"), True, id="lock-timeout"),
        pytest.param(with_sqlstate(OperationalError(), "57P03"), True, id="starting-up"),
        pytest.param(with_sqlstate(OperationalError(), "58030"), True, id="io-error"),
        pytest.param(with_sqlstate(OperationalError(), "54000"), False, id="program-limit"),
        pytest.param(sqlite_error(sqlite3.SQLITE_BUSY), True, id="sqlite-locked"),
        pytest.param(sqlite_error(sqlite3.SQLITE_IOERR_WRITE), True, id="sqlite-io-error"),
        pytest.param(sqlite_error(sqlite3.SQLITE_FULL), True, id="sqlite-full"),
        pytest.param(sqlite_error(sqlite3.SQLITE_INTERRUPT), True, id="sqlite-stopped"),
        pytest.param(sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), True, id="sqlite-read-only"),
        pytest.param(sqlite_error(sqlite3.SQLITE_CANTOPEN), True, id="sqlite-missing"),
        pytest.param(sqlite_error(sqlite3.SQLITE_CONSTRAINT_TRIGGER), True, id="sqlite-moving-user"),
        pytest.param(sqlite_error(sqlite3.SQLITE_ERROR), False, id="sqlite-no-such-table"),
        pytest.param(None, False, id="no-error"),
        pytest.param(with_sqlstate(InternalError(), "25P02"), False, id="in-failed-transaction"),
        pytest.param(with_sqlstate(InternalError(), "XX000"), False, id="internal"),
        pytest.param(InternalError(), False, id="internal-without-a-cause"),
        pytest.param(with_sqlstate(IntegrityError(), "23505"), False, id="unique"),
        pytest.param(with_sqlstate(DataError(), "22021"), False, id="nul-in-text"),
        pytest.param(with_sqlstate(ProgrammingError(), "42P01"), False, id="no-such-table"),
        pytest.param(NotSupportedError(), False, id="not-supported"),
        pytest.param(DatabaseError(), False, id="database"),
        pytest.param(ConnectionRefusedError(), False, id="connection-refused-elsewhere"),
        pytest.param(TimeoutError(), False, id="timeout-elsewhere"),
        pytest.param(RuntimeError(), False, id="other"),
    ],
)
def test_error_tells_whether_the_database_is_unavailable(error, unavailable):
    assert is_unavailable(error) is unavailable


def test_exhausted_pool_means_unavailable():
    with pytest.raises(OperationalError) as raised, wrap_errors_of(psycopg):
        raise psycopg_pool.PoolTimeout("couldn't get a connection after 1.00 sec")
    assert is_unavailable(raised.value)


def test_undecodable_text_does_not_mean_unavailable():
    """Python's driver raises this error without a code."""
    with (
        closing(sqlite3.connect(":memory:")) as database,
        pytest.raises(OperationalError) as raised,
        wrap_errors_of(sqlite3),
    ):
        database.execute("SELECT CAST(X'ff' AS TEXT)").fetchone()
    assert str(raised.value).startswith("Could not decode to UTF-8")
    assert not is_unavailable(raised.value)
