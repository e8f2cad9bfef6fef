"""When a database error means that the database is away, what is tried again, and how long a request waits for it."""

import select
import sqlite3
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, ParamSpec, Self, TypeVar

import psycopg
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.migrations.executor import MigrationExecutor

# Private, and yet what Connection.wait documents that it raises.
from psycopg.errors import _WaitTimeout

P = ParamSpec("P")
T = TypeVar("T")

#: https://www.postgresql.org/docs/current/errcodes-appendix.html
AWAY_CLASSES = frozenset(
    {
        "08",  # connection exception, which is also what PgBouncer says of itself
        "40",  # transaction rollback: serialization failure, deadlock
        "53",  # insufficient resources: disk full, out of memory, too many connections
        "57",  # operator intervention: cancelled, shut down, starting up
        "58",  # system error: I/O
    }
)
AWAY_STATES = frozenset(
    {
        "25006",  # read-only transaction: a standby, or a primary that has become one
        "25P03",  # idle_in_transaction_session_timeout
        "25P04",  # transaction_timeout
        "55P03",  # lock not available
    }
)
#: https://www.sqlite.org/rescode.html, the primary result codes.
AWAY_IN_SQLITE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
    }
)

#: Serialization failure and deadlock: the statement may well succeed when it is executed again.
PASSING_STATES = frozenset({"40001", "40P01"})


def is_unavailable(error: BaseException | None) -> bool:
    """Whether ``error`` says that the database cannot serve now, so that the same request may succeed later.

    An error without a code is the driver's own: no connection, none free in the pool, one lost, no answer in time. Of
    SQLite's driver it is never one of these, but a text that is no UTF-8, say.
    """
    if not isinstance(error, Error):
        return False
    if state := sqlstate(error):
        return state[:2] in AWAY_CLASSES or state in AWAY_STATES
    if isinstance(error.__cause__, sqlite3.Error):
        return getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF in AWAY_IN_SQLITE
    return isinstance(error, OperationalError | InterfaceError)


def sqlstate(error: Error) -> str | None:
    """The code of an error that PostgreSQL reported."""
    return getattr(error.__cause__, "sqlstate", None)


def tried_twice(execute: Callable[P, T]) -> Callable[P, T]:
    """Once more after a deadlock or a serialization failure; within a transaction, which is lost, it is not."""

    @wraps(execute)
    def twice(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return execute(*args, **kwargs)
        except OperationalError as error:
            if connection.in_atomic_block or sqlstate(error) not in PASSING_STATES:
                raise
        return execute(*args, **kwargs)

    return twice


def connection_limit() -> int:
    """How many connections PostgreSQL admits of this role to this database, if no others are open."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT LEAST(
                current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                    - COALESCE(current_setting('reserved_connections', true)::int, 0),
                NULLIF(datconnlimit, -1),
                NULLIF(rolconnlimit, -1)
            ) FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user
            """
        )
        [limit] = cursor.fetchone()
    return int(limit)


def lacks_migrations() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that never waits longer than ``deadline`` seconds for an answer of the server.

    A frozen server keeps its sockets open, so that no time-out of libpq, of the pool or of the server itself ends
    the wait. The connection is closed, since an answer may still be under way on it.

    Once the server has not answered, or has refused a connection, it is ``away`` until it answers again: requests no
    longer queue for it, and hold no thread that ``/healthz`` and the other requests need.

    One whose server has become read-only since it was opened is not used again: of several hosts in ``DATABASE_URL``
    another takes the writes by now.

    Raises:
        psycopg.OperationalError: no answer came in time.
    """

    deadline: ClassVar[float] = 2.0

    #: Seconds that are waited for a server that is away.
    patience: ClassVar[float] = 0.01
    away: ClassVar[bool] = False

    #: Whether the server took writes when the connection was opened.
    took_writes = False

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        try:
            connected = super().connect(*args, **options)
        except psycopg.OperationalError:
            cls._note(away=True)
            raise
        cls._note(away=False)
        connected.took_writes = connected.takes_writes()
        return connected

    @classmethod
    def _note(cls, *, away: bool) -> None:
        if cls.away is not away:
            cls.away = away
            connection.pool.timeout = cls.patience if away else settings.DB_POOL_TIMEOUT  # type: ignore[attr-defined]

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """With an empty query the pool asks whether an idle connection still works.

        One on which the server is silent does: a server that ended or lost it has said so, and only then is it asked.
        Where one no longer works the others are looked at too, or a request would meet them one by one, with a pause
        of the pool's after each.
        """
        if query != "":
            return super().execute(query, *args, **options)
        if self.took_writes and not self.takes_writes():
            self.close()
        elif not self.away and not self._has_something_to_say():
            return self.cursor()
        try:
            return super().execute(query)
        except psycopg.OperationalError:
            connection.pool.check()  # type: ignore[attr-defined]
            raise

    def takes_writes(self) -> bool:
        """What the server said last; from PostgreSQL 14 on it says unasked when that changes."""
        return self.pgconn.parameter_status(b"default_transaction_read_only") == b"off"

    def _has_something_to_say(self) -> bool:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        bound = self.patience if self.away else self.deadline
        try:
            answer = super().wait(gen, min(interval, bound), bound if timeout is None else timeout)
        except _WaitTimeout as error:
            self.pgconn.finish()
            self._note(away=True)
            raise psycopg.OperationalError("the server did not answer in time") from error
        self._note(away=False)
        return answer
