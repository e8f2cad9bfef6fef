"""Tell which database errors mean that the database is unavailable, and which errors deserve a retry."""

import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import Error, InterfaceError, OperationalError, connection

P = ParamSpec("P")
T = TypeVar("T")

#: The SQLSTATE of a trigger that refuses a write of a user who moves; no class of PostgreSQL begins like this.
MOVING = "TD001"

#: https://www.postgresql.org/docs/current/errcodes-appendix.html
UNAVAILABLE_CLASSES = frozenset(
    {
        "08",  # connection exception; PgBouncer uses this class for its own errors
        "40",  # transaction rollback: serialization failure, deadlock
        "53",  # insufficient resources: disk full, out of memory, too many connections
        "57",  # operator intervention: cancelled, shut down, starting up
        "58",  # system error: I/O
    }
)
UNAVAILABLE_STATES = frozenset(
    {
        "25006",  # read-only transaction: the server is a standby, or has become one
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "55000",  # object not in prerequisite state: the feed of changes asked a standby for its write position
        "55P03",  # lock not available
    }
)
#: Primary result codes: https://www.sqlite.org/rescode.html
UNAVAILABLE_IN_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)

#: Serialization failure and deadlock.
RETRYABLE_STATES = frozenset({"40001", "40P01"})


def is_unavailable(error: BaseException | None) -> bool:
    """Tell whether the database cannot serve now, so that the same request may succeed later.

    PostgreSQL's driver and its pool raise errors without a code if they have no connection, lose a connection or wait
    too long for an answer. SQLite's driver raises errors without a code for other reasons, such as text
    that is not UTF-8.
    """
    if not isinstance(error, Error):
        return False
    if is_moving(error):
        return True
    if state := sqlstate(error):
        return state[:2] in UNAVAILABLE_CLASSES or state in UNAVAILABLE_STATES
    if isinstance(error.__cause__, sqlite3.Error):
        return getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in UNAVAILABLE_IN_SQLITE
    return isinstance(error, OperationalError | InterfaceError)


def is_moving(error: BaseException | None) -> bool:
    """Tell whether a trigger refused a write because the user's data moves to another database.

    No other trigger of SQLite raises an error.
    """
    cause = error.__cause__ if isinstance(error, Error) else None
    return getattr(cause, "sqlstate", None) == MOVING or (
        getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_CONSTRAINT_TRIGGER
    )


def sqlstate(error: Error) -> str | None:
    """Return the SQLSTATE of an error that PostgreSQL reported, or ``None``."""
    return getattr(error.__cause__, "sqlstate", None)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message; the further lines of PostgreSQL may quote a row."""
    return str(error).strip().partition("\n")[0]


def retry_once_on_conflict(execute: Callable[P, T]) -> Callable[P, T]:
    """Retry once after a deadlock or serialization failure.

    Inside a transaction the error propagates, because PostgreSQL has rolled the transaction back.
    """

    @wraps(execute)
    def execute_or_retry(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return execute(*args, **kwargs)
        except OperationalError as error:
            if connection.in_atomic_block or sqlstate(error) not in RETRYABLE_STATES:
                raise
        return execute(*args, **kwargs)

    return execute_or_retry
