"""Inspect and release the database connection, and limit how long a request waits for PostgreSQL."""

import select
from typing import Any, ClassVar, Self

import psycopg
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Private, but psycopg has no public name for the exception that Connection.wait raises.
from psycopg.errors import _WaitTimeout

#: The longest wait of a schema change for a lock, because every later request to the table waits behind the change.
LOCK_TIMEOUT = "300ms"


def release_connection() -> None:
    """Give the thread's connection back to the pool, unless a transaction needs it."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


def connection_limit() -> int:
    """Return how many connections PostgreSQL admits for this role and database when no others are open."""
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
    """Tell whether a migration of the code is missing from the database."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that limits how long it waits for an answer from the server.

    A frozen server keeps its sockets open, so no timeout of libpq, the pool or PostgreSQL ends the wait. A timeout
    closes the connection, because the late answer may still arrive there.

    The server counts as ``unavailable`` from a timeout or a refused connection until the next answer. During this time
    requests wait only ``unavailable_timeout`` seconds, so that ``/healthz`` and other requests find a free thread.

    The pool drops a connection whose server has become read-only, because another host in ``DATABASE_URL`` now takes
    the writes.

    Raises:
        psycopg.OperationalError: the server did not answer in time.
    """

    #: In seconds; ``None`` means ``DB_ANSWER_TIMEOUT``.
    deadline: ClassVar[float | None] = None

    #: In seconds.
    unavailable_timeout: ClassVar[float] = 0.01
    unavailable: ClassVar[bool] = False

    #: Whether the server took writes when the connection was opened.
    was_primary = False

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Open a connection, and note whether the server is available and takes writes."""
        try:
            connected = super().connect(*args, **options)
        except psycopg.OperationalError:
            cls._set_availability(unavailable=True)
            raise
        cls._set_availability(unavailable=False)
        connected.was_primary = connected.is_primary()
        return connected

    @classmethod
    def _set_availability(cls, *, unavailable: bool) -> None:
        if cls.unavailable is not unavailable:
            cls.unavailable = unavailable
            timeout = cls.unavailable_timeout if unavailable else settings.DB_POOL_TIMEOUT
            connection.pool.timeout = timeout  # type: ignore[attr-defined]

    def execute(self, query: Any, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """Run a query; the pool runs an empty query to check an idle connection.

        If the socket has nothing to read, treat the connection as alive: a server that closed it would have sent a
        message. After one dead connection, check all others, so that no further request gets a dead connection.
        """
        if query != "":
            return super().execute(query, *args, **options)
        if self.was_primary and not self.is_primary():
            self.close()
        elif not self.unavailable and not self._has_unread_message():
            return self.cursor()
        try:
            return super().execute(query)
        except psycopg.OperationalError:
            connection.pool.check()  # type: ignore[attr-defined]
            raise

    def is_primary(self) -> bool:
        """Tell whether the server takes writes; PostgreSQL 14 and newer report a change without being asked."""
        return self.pgconn.parameter_status(b"default_transaction_read_only") == b"off"

    def _has_unread_message(self) -> bool:
        poll = select.poll()
        poll.register(self.pgconn.socket, select.POLLIN)
        return bool(poll.poll(0))

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, and close the connection when the deadline passes."""
        bound = self.unavailable_timeout if self.unavailable else (self.deadline or settings.DB_ANSWER_TIMEOUT)
        try:
            answer = super().wait(gen, min(interval, bound), bound if timeout is None else timeout)
        except _WaitTimeout as error:
            self.pgconn.finish()
            self._set_availability(unavailable=True)
            raise psycopg.OperationalError("the server did not answer in time") from error
        self._set_availability(unavailable=False)
        return answer
